// Checks of single option values, each of which answers the value or throws an OptionError that says what is allowed.
// Which options exist, their defaults and how they combine: options.ts.

import { nearestName, OptionError } from "./option-error.ts";

/** Every own name of `options` must be one of `names`. @param prefix of the option that they are parts of, with its point */
export function checkNames(options: object, names: readonly string[], prefix = ""): void {
  if (options === null || typeof options !== "object") {
    const explanation = `heap options are an object or an option string, not ${describe(options)}`;
    throw new OptionError("options", options, null, "", explanation);
  }
  for (const [name, value] of Object.entries(options)) {
    if (names.includes(name)) continue;
    const option = prefix + name;
    const nearest = prefix + nearestName(name, names);
    const explanation = `unknown option '${option}' with value ${describe(value)}; did you mean '${nearest}'?`;
    throw new OptionError(option, value, nearest, "", explanation);
  }
}

/** One of a few words. */
export function oneOf<Word extends string>(option: string, value: Word, words: readonly Word[]): Word {
  if (words.includes(value)) return value;
  const nearest = typeof value === "string" ? nearestName(value, words) : null;
  const hint = nearest === null ? "" : `; did you mean '${nearest}'?`;
  const allowed = words.map((word) => `'${word}'`).join(", ");
  throw new OptionError(
    option,
    value,
    nearest,
    "",
    `option '${option}' is one of ${allowed}, not ${describe(value)}${hint}`,
  );
}

/** true or false. */
export function flag(option: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new OptionError(option, value, null, "", `option '${option}' is true or false, not ${describe(value)}`);
}

/** A whole number in [min, max]. */
export function wholeNumber(
  option: string,
  value: number,
  range: { readonly min: number; readonly max: number },
): number {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  const nearest = typeof value === "number" && !Number.isNaN(value) ? nearestWhole(value, range) : null;
  const explanation = `option '${option}' is a whole number from ${range.min} to ${range.max}, not ${describe(value)}`;
  throw new OptionError(option, value, nearest, "", explanation);
}

/** A whole number of 32 bits with sign, as Scudo's int flags are. */
export function int32(option: string, value: number): number {
  return wholeNumber(option, value, { min: -(2 ** 31), max: 2 ** 31 - 1 });
}

function nearestWhole(value: number, range: { readonly min: number; readonly max: number }): string {
  return String(Math.min(Math.max(Math.round(value), range.min), range.max));
}

const PATTERN_LENGTHS = [1, 2, 4, 8, 16];

/** A fill pattern: one byte, or 1, 2, 4, 8 or 16 of them. */
export function patternBytes(pattern: number | readonly number[] | Uint8Array): Uint8Array {
  const bytes = typeof pattern === "number" ? [pattern] : pattern;
  const isList = Array.isArray(bytes) || bytes instanceof Uint8Array;
  if (!isList || !PATTERN_LENGTHS.includes(bytes.length)) {
    const explanation = `option 'pattern' is 1, 2, 4, 8 or 16 bytes, not ${describe(pattern)}`;
    throw new OptionError("pattern", pattern, null, "", explanation);
  }
  for (const [index, byte] of bytes.entries()) {
    if (!Number.isInteger(byte) || byte < 0 || byte > 255) {
      const explanation = `option 'pattern': byte ${index} is ${describe(byte)}, not a whole number from 0 to 255`;
      throw new OptionError("pattern", pattern, null, "", explanation);
    }
  }
  return Uint8Array.from(bytes);
}

function describe(value: unknown): string {
  if (typeof value === "string") return `'${value}'`;
  if (Array.isArray(value) || value instanceof Uint8Array) return `${value.length} bytes`;
  if (value !== null && typeof value === "object") return "an object";
  return String(value);
}
