// Scudo's flags and the grammar of its option string (S15.1–S15.3), exactly, including what it does with odd input.
// What the flags mean to a heap, and the typed options, are in options.ts.

import { PLAIN_REPORTS, type ReportContext, reportCheckFailed } from "../common/report.ts";
import { nearestName, OptionError } from "./option-error.ts";

/** The flags of 19.1.7 under Scudo's own names (S15.1). */
export interface Flags {
  quarantine_size_kb: number;
  thread_local_quarantine_size_kb: number;
  quarantine_max_chunk_size: number;
  dealloc_type_mismatch: boolean;
  delete_size_mismatch: boolean;
  zero_contents: boolean;
  pattern_fill_contents: boolean;
  may_return_null: boolean;
  release_to_os_interval_ms: number;
  allocation_ring_buffer_size: number;
}

/** S15.1's defaults. */
export const DEFAULT_FLAGS: Readonly<Flags> = {
  quarantine_size_kb: 0,
  thread_local_quarantine_size_kb: 0,
  quarantine_max_chunk_size: 0,
  dealloc_type_mismatch: false,
  delete_size_mismatch: true,
  zero_contents: false,
  pattern_fill_contents: false,
  may_return_null: true,
  release_to_os_interval_ms: 5000,
  allocation_ring_buffer_size: 32768,
};

/** A flag set as any parser sees it: a name and its current value, whose type says how the text is read. */
export type FlagTable = { [name: string]: number | boolean };

/** An option whose name no flag has: name, value as written, and the text from the name to the end of the whole string. */
export interface UnknownFlag {
  readonly name: string;
  readonly value: string;
  readonly rest: string;
}

/** Scudo collects this many unknown names; one more is a failed CHECK (S15.3). */
const MAX_UNKNOWN_FLAGS = 16;

const SEPARATORS = " ,:\n\t\r";

function isSeparator(character: string | undefined): boolean {
  return character !== undefined && SEPARATORS.includes(character);
}

/**
 * Reads `text` into `flags`, later pairs over earlier ones, and collects the names that no flag has into `unknown`.
 * A null or undefined text is no text.
 * @throws OptionError: no '=', an unterminated quote, a bad value. HeapError check-failed: a 17th unknown name.
 */
export function parseFlags(
  text: string | null | undefined,
  flags: FlagTable,
  unknown: UnknownFlag[] = [],
  context: ReportContext = PLAIN_REPORTS,
): void {
  // As in C, a NUL ends the string.
  const whole = (text ?? "").split("\0", 1)[0]!;
  let position = 0;
  for (;;) {
    while (isSeparator(whole[position])) position++;
    if (position >= whole.length) return;
    position = parsePair(whole, position, flags, unknown, context);
  }
}

/** Reads one name=value that starts at `start`; answers the position after it. */
function parsePair(
  whole: string,
  start: number,
  flags: FlagTable,
  unknown: UnknownFlag[],
  context: ReportContext,
): number {
  let position = start;
  while (position < whole.length && whole[position] !== "=" && !isSeparator(whole[position])) position++;
  const name = whole.slice(start, position);
  if (whole[position] !== "=") {
    throw new OptionError(name, "", nearestFlag(name, flags), "expected '='", `option '${name}' has no '='`);
  }
  position++;
  const quote = whole[position];
  const isQuoted = quote === "'" || quote === '"';
  if (isQuoted) position++;
  const valueStart = position;
  while (position < whole.length && (isQuoted ? whole[position] !== quote : !isSeparator(whole[position]))) position++;
  if (isQuoted && position >= whole.length) {
    const value = whole.slice(valueStart);
    const explanation = `option '${name}': no closing ${quote} after '${value}'`;
    throw new OptionError(name, value, nearestFlag(name, flags), "unterminated string", explanation);
  }
  const value = whole.slice(valueStart, position);
  if (Object.hasOwn(flags, name)) setFlag(flags, name, whole.slice(valueStart), value);
  else addUnknown(unknown, { name, value, rest: whole.slice(start) }, context);
  return isQuoted ? position + 1 : position;
}

function addUnknown(unknown: UnknownFlag[], flag: UnknownFlag, context: ReportContext): void {
  if (unknown.length === MAX_UNKNOWN_FLAGS) {
    const condition = "(NumberOfUnknownFlags) < (MaxUnknownFlags)";
    reportCheckFailed({ file: "flags.ts", line: 1 }, condition, unknown.length, MAX_UNKNOWN_FLAGS, context);
  }
  unknown.push(flag);
}

/** Sets one flag from text; `rest` is the whole string from the value on, which is what Scudo looks at and prints. */
export function setFlag(flags: FlagTable, name: string, rest: string, value: string): void {
  const type = typeof flags[name] === "boolean" ? "bool" : "int";
  const parsed = type === "bool" ? parseBool(rest) : parseInt32(rest);
  if (parsed === null) {
    const allowed = type === "bool" ? "0, 1, no, yes, false or true" : "a whole number from -2147483648 to 2147483647";
    const nearest = type === "bool" ? nearestName(value, ["no", "yes", "false", "true", "0", "1"]) : null;
    const explanation = `option '${name}': '${value}' is not ${allowed}`;
    throw new OptionError(name, value, nearest ?? name, `invalid value for ${type} option: '${rest}'`, explanation);
  }
  flags[name] = parsed;
}

/** Only the beginning counts: "trueish" is true, "nope" is false (S15.3). */
function parseBool(text: string): boolean | null {
  if (text.startsWith("0") || text.startsWith("no") || text.startsWith("false")) return false;
  if (text.startsWith("1") || text.startsWith("yes") || text.startsWith("true")) return true;
  return null;
}

/** C's strtol, and then a separator, a quote or the end: blanks before the number are skipped, and no digits at all are 0. */
function parseInt32(text: string): number | null {
  const match = /^[ \t\n\v\f\r]*[+-]?[0-9]+/.exec(text);
  const end = match === null ? 0 : match[0].length;
  const follower = text[end];
  if (follower !== undefined && follower !== '"' && follower !== "'" && !isSeparator(follower)) return null;
  const number = match === null ? 0 : Number(match[0].trim());
  if (number < -(2 ** 31) || number > 2 ** 31 - 1) return null;
  return number === 0 ? 0 : number;
}

/** The known name nearest to `name`. */
function nearestFlag(name: string, flags: FlagTable): string | null {
  return nearestName(name, Object.keys(flags));
}

/** The warning about unknown flags, each with the text to the end of the whole string (S21.2); "" if there are none. */
export function formatUnknownFlags(unknown: readonly UnknownFlag[]): string {
  if (unknown.length === 0) return "";
  const lines = unknown.map((flag) => `    ${flag.rest}\n`);
  return `Scudo WARNING: found ${unknown.length} unrecognized flag(s):\n${lines.join("")}`;
}
