// OptionError: a heap option that does not exist or has a bad value, and the search for the name that was meant.
// Parsing is in flags.ts (Scudo's string) and options.ts (the typed object).

import { HeapError } from "../common/heap-error.ts";

/** An unknown or malformed option. `report` is what Scudo would have written where it has such a report. */
export class OptionError extends HeapError {
  /** The class's name, for what is told apart by name. */
  override readonly name: string = "OptionError";
  /** The option as it was written. */
  readonly option: string;
  /** The value as it was written; for a string option the rest of the whole string, as Scudo prints it. */
  readonly value: unknown;
  /** The nearest right name (of an unknown option) or value (of a bad one), or null if there is none. */
  readonly nearest: string | null;

  constructor(option: string, value: unknown, nearest: string | null, scudoText: string, explanation: string) {
    super("invalid-option", null, scudoText === "" ? `refheap: ${explanation}` : `Scudo ERROR: ${scudoText}`);
    this.option = option;
    this.value = value;
    this.nearest = nearest;
    this.message = scudoText === "" ? explanation : `${explanation} (Scudo ERROR: ${scudoText})`;
  }
}

/** Compare only this many characters: no option name is longer. */
const LONGEST_COMPARED = 64;

/** The candidate with the least edit distance to `word`; the first of equals; null for no candidates. */
export function nearestName(word: string, candidates: readonly string[]): string | null {
  const start = word.slice(0, LONGEST_COMPARED).toLowerCase();
  let nearest: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(start, candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Levenshtein's distance: the least number of inserted, deleted and replaced characters. */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
}
