// "Did you mean …?" for values of options, as the argument library has it for commands and options themselves; and for options where
// it finds none: with a value behind the name, or by one of several words.
import { editDistance, nearestName } from "../../../allocator/options/option-error.ts";

const FARTHEST = 4;

/** The argument library's message, without a suggestion. */
const UNKNOWN_OPTION = /^error: unknown option '--([^'=]+)(?:=.*)?'\n$/s;

/** A sentence with the nearest of the names, or "" if none is near. */
export function didYouMean(text: string, names: readonly string[]): string {
  const near = nearName(text, names, 2);
  return near === null ? "" : ` (Did you mean ${near}?)`;
}

/** @param part how much of a name may differ: one in two characters, one in three … */
function nearName(text: string, names: readonly string[], part: number): string | null {
  const nearest = nearestName(text, names);
  const isNear =
    nearest !== null && editDistance(text, nearest) <= Math.min(FARTHEST, Math.ceil(nearest.length / part));
  return isNear ? nearest : null;
}

/** The library's message about an unknown option, with the one that was meant if it says none. `options`: without dashes. */
export function withNearestOption(message: string, options: readonly string[]): string {
  const given = UNKNOWN_OPTION.exec(message)?.[1];
  if (given === undefined) return message;
  const near = nearName(given, options, 2) ?? nearByWords(given, options);
  return near === null ? message : `${message}(Did you mean --${near}?)\n`;
}

/** `origins` for `track-origins`. */
function nearByWords(given: string, options: readonly string[]): string | null {
  const byWords = new Map(options.flatMap((option) => runsOfWords(option).map((words) => [words, option])));
  const near = nearName(given, [...byWords.keys()], 3);
  return near === null ? null : byWords.get(near)!;
}

function runsOfWords(option: string): string[] {
  const words = option.split("-");
  return words.flatMap((_, from) => words.slice(from).map((_, count) => words.slice(from, from + count + 1).join("-")));
}
