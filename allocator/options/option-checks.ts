// Checks of single option values, each of which answers the value or throws an OptionError that says what is allowed.
// Each value is read once, so that an object with getters cannot be another one afterwards. Which options exist: options.ts.

import { keepPlaceOfGiven } from "../../platform/state/kept.ts";
import { type CustomConfig, configs, customConfig, type HeapConfig } from "./config.ts";
import { type HeapHooks, HOOK_NAMES } from "./hooks.ts";
import { nearestName, OptionError } from "./option-error.ts";
import { SizeClassMap } from "./size-class-map.ts";

/** Answers what the heap works with, from what was given under `option`. */
export type OptionCheck<Given, Checked> = (option: string, value: Given) => Checked;

/**
 * The values of an object of options or of parts of one, each read once; inherited ones count.
 * @param prefix the option that they are parts of, with its point
 * @throws OptionError: no object, or a name that is not among `names`
 */
export function ownValues(options: object, names: readonly string[], prefix = ""): Record<string, unknown> {
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    const whole = prefix === "" ? "heap options are an object or an option string" : partsText(prefix, names);
    throw new OptionError(prefix.slice(0, -1) || "options", options, null, "", `${whole}, not ${describe(options)}`);
  }
  const values: Record<string, unknown> = Object.create(null);
  for (const name in options) {
    const value: unknown = (options as Record<string, unknown>)[name];
    if (!names.includes(name)) refuseName(name, value, names, prefix);
    values[name] = value;
  }
  return values;
}

function partsText(prefix: string, names: readonly string[]): string {
  return `option '${prefix.slice(0, -1)}' is an object with ${names.join(", ")}`;
}

function refuseName(name: string, value: unknown, names: readonly string[], prefix: string): never {
  const option = prefix + name;
  const nearest = prefix + nearestName(name, names);
  const explanation = `unknown option '${option}' with value ${describe(value)}; did you mean '${nearest}'?`;
  throw new OptionError(option, value, nearest, "", explanation);
}

function refuse(option: string, value: unknown, nearest: string | null, allowed: string): never {
  const hint = nearest === null ? "" : `; did you mean '${nearest}'?`;
  throw new OptionError(option, value, nearest, "", `option '${option}' is ${allowed}, not ${describe(value)}${hint}`);
}

/** One of a few words. */
export function oneOf<Word extends string>(option: string, value: Word, words: readonly Word[]): Word {
  if (words.includes(value)) return value;
  const nearest = typeof value === "string" ? nearestName(value, words) : null;
  refuse(option, value, nearest, `one of ${words.map((word) => `'${word}'`).join(", ")}`);
}

/** true or false. */
export function flag(option: string, value: boolean): boolean {
  return typeof value === "boolean" ? value : refuse(option, value, null, "true or false");
}

export interface WholeRange {
  readonly min: number;
  readonly max: number;
  /** What it must be a multiple of. */
  readonly unit?: number;
}

/** A whole number in [min, max]. */
export function wholeNumber(option: string, value: number, { min, max, unit = 1 }: WholeRange): number {
  if (Number.isInteger(value) && value >= min && value <= max && value % unit === 0) return value;
  const isNumber = typeof value === "number" && !Number.isNaN(value);
  const nearest = isNumber ? String(Math.min(Math.max(Math.round(value / unit) * unit, min), max)) : null;
  const multiple = unit === 1 ? "a whole number" : `a multiple of ${unit}`;
  const explanation = `option '${option}' is ${multiple} from ${min} to ${max}, not ${describe(value)}`;
  throw new OptionError(option, value, nearest, "", explanation);
}

/** A whole number of 32 bits with sign, as Scudo's int flags are. */
export function int32(option: string, value: number): number {
  return wholeNumber(option, value, { min: -(2 ** 31), max: 2 ** 31 - 1 });
}

export function aText(option: string, value: string): string {
  return typeof value === "string" ? value : refuse(option, value, null, "a string");
}

export function aFunction<Given extends (...given: never[]) => void>(option: string, value: Given): Given {
  return typeof value === "function" ? value : refuse(option, value, null, "a function");
}

/** An object of a class. @param what the class, for the message */
export function anInstance<Instance extends object>(
  type: abstract new (...given: never[]) => Instance,
  what: string,
): OptionCheck<Instance, Instance> {
  return (option, value) => (value instanceof type ? value : refuse(option, value, null, what));
}

const PATTERN_LENGTHS = [1, 2, 4, 8, 16];

/** A fill pattern: one byte, or 1, 2, 4, 8 or 16 of them. */
export function patternBytes(option: string, pattern: number | readonly number[] | Uint8Array): Uint8Array {
  const isList = Array.isArray(pattern) || pattern instanceof Uint8Array;
  if (typeof pattern !== "number" && !isList) refuse(option, pattern, null, "1, 2, 4, 8 or 16 bytes");
  // By index: an array whose buffer was taken away has no elements, but its iterator throws.
  const given = typeof pattern === "number" ? [pattern] : pattern;
  const bytes = Array.from({ length: given.length }, (_, index): unknown => given[index]);
  if (!PATTERN_LENGTHS.includes(bytes.length)) refuse(option, pattern, null, "1, 2, 4, 8 or 16 bytes");
  for (const [index, byte] of bytes.entries()) {
    if (Number.isInteger(byte) && Number(byte) >= 0 && Number(byte) <= 255) continue;
    const explanation = `option '${option}': byte ${index} is ${describe(byte)}, not a whole number from 0 to 255`;
    throw new OptionError(option, pattern, null, "", explanation);
  }
  return Uint8Array.from(bytes as number[]);
}

const QUARANTINE_NAMES = ["sizeKb", "threadLocalSizeKb", "maxChunkSize"] as const;

export interface CheckedQuarantine {
  readonly sizeKb: number;
  readonly threadLocalSizeKb: number;
  readonly maxChunkSize: number;
}

/** Scudo's three sizes, 0 where one is not given. */
export function quarantineSizes(option: string, value: object): CheckedQuarantine {
  const values = ownValues(value, QUARANTINE_NAMES, `${option}.`);
  const sizeOf = (name: (typeof QUARANTINE_NAMES)[number]): number =>
    values[name] === undefined ? 0 : int32(`${option}.${name}`, values[name] as number);
  return {
    sizeKb: sizeOf("sizeKb"),
    threadLocalSizeKb: sizeOf("threadLocalSizeKb"),
    maxChunkSize: sizeOf("maxChunkSize"),
  };
}

const STACKS_CAPACITY = 4096;
const STACKS_FRAMES = 16;

/** false: none are kept. */
export function stackSizes(
  option: string,
  value: boolean | object,
): {
  /** Stacks that are kept. */
  readonly capacity: number;
  /** Frames of each. */
  readonly frames: number;
} | null {
  if (value === false) return null;
  if (value !== true && (typeof value !== "object" || value === null)) flag(option, value as never);
  const given = value === true ? {} : ownValues(value as object, ["capacity", "frames"], `${option}.`);
  const { capacity = STACKS_CAPACITY, frames = STACKS_FRAMES } = given as { capacity?: number; frames?: number };
  return {
    capacity: wholeNumber(`${option}.capacity`, capacity, { min: 1, max: 2 ** 24 }),
    frames: wholeNumber(`${option}.frames`, frames, { min: 1, max: 200 }),
  };
}

/** The hooks there are, each called as a method of the object that was given; those of its class count, too. */
export function hookFunctions(option: string, value: HeapHooks): HeapHooks {
  ownValues(value, HOOK_NAMES, `${option}.`);
  const hooks: Record<string, unknown> = {};
  for (const name of HOOK_NAMES) {
    const hook: unknown = value[name];
    if (hook === undefined) continue;
    const bound = aFunction(`${option}.${name}`, hook as () => void).bind(value);
    hooks[name] = givenHooks.get(name)?.(bound) ?? bound;
  }
  return hooks as HeapHooks;
}

const VARIABLES = ["SCUDO_OPTIONS", "SCUDO_ALLOCATION_RING_BUFFER_SIZE"] as const;

/** Scudo's two variables; what else there is in an environment is not looked at. */
export function variables(
  option: string,
  value: { readonly [name: string]: string | undefined },
): { readonly [Name in (typeof VARIABLES)[number]]?: string } {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    refuse(option, value, null, "an object of strings by name");
  }
  const found: { [name: string]: string } = {};
  for (const name of VARIABLES) {
    const text = value[name];
    if (text !== undefined) found[name] = aText(`${option}.${name}`, text);
  }
  return found;
}

const CONFIG_NAMES = ["name", "maySupportMemoryTagging", "primary", "tsd", "secondaryCache"];

/** @throws OptionError: an unknown name, or parts of the wrong kind. RangeError: a field of a user's own configuration out of range */
export function heapConfig(option: string, value: string | CustomConfig | HeapConfig): HeapConfig {
  if (typeof value === "object" && value !== null) {
    const given = ownValues(value, CONFIG_NAMES, `${option}.`) as unknown as CustomConfig;
    const { primary, tsd, secondaryCache } = given;
    const parts = { primary, tsd: tsd ?? {}, secondaryCache: secondaryCache ?? {} };
    for (const [name, part] of Object.entries(parts)) {
      if (typeof part !== "object" || part === null) refuse(`${option}.${name}`, part, null, "an object");
    }
    if (!(primary.sizeClassMap instanceof SizeClassMap)) {
      refuse(`${option}.primary.sizeClassMap`, primary.sizeClassMap, null, "a SizeClassMap");
    }
    if (tsd !== undefined) oneOf(`${option}.tsd.model`, tsd.model, ["exclusive", "shared"]);
    return customConfig(given);
  }
  return configs[oneOf(option, value as keyof typeof configs, Object.keys(configs) as (keyof typeof configs)[])];
}

const LONGEST_SHOWN = 60;

/** A value for a message; an object is not asked for its text, which could throw. */
function describe(value: unknown): string {
  if (typeof value === "string") {
    return value.length > LONGEST_SHOWN ? `'${value.slice(0, LONGEST_SHOWN)}…'` : `'${value}'`;
  }
  if (typeof value === "function") return "a function";
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `${value.length} ${value.every(Number.isFinite) ? "bytes" : "values"}`;
  return value !== null && typeof value === "object" ? "an object" : String(value);
}

/** In a restored heap a hook is silent unless it is given again. */
const givenHooks = new Map(
  HOOK_NAMES.map((name) => [name, keepPlaceOfGiven<() => void>(`heap.hooks.${name}`, () => {})]),
);
