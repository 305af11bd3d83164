// Values of the command's options: numbers, sizes, shards, lists of policies; each error says what is allowed.
// Options that several subcommands share are made here once.
import { existsSync } from "node:fs";
import { Option } from "commander";
import { MACHINE_NAMES } from "../cost/machine-models.ts";
import { isOwnPolicy, namedOwnPolicy } from "../replay/own-policy.ts";
import { PLAIN, POLICIES, type Policy, parsePolicy } from "../replay/policy.ts";
import { parseTouchModel, TOUCH_MODELS } from "../replay/touch-model.ts";
import { TRACE_FORMATS } from "../traces/detect.ts";
import { optionValue } from "./exit.ts";
import { didYouMean } from "./nearest.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

export function wholeNumber(min: number, max: number): (text: string) => number {
  return optionValue((text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new RangeError(`"${text}" is not a whole number from ${min} to ${max}.`);
    }
    return value;
  });
}

/** An address: hexadecimal with 0x in front, or decimal. */
export const anAddress = optionValue((text: string): number => {
  const value = Number(text);
  if (!/^(?:0x[\da-f]+|\d+)$/i.test(text) || !Number.isSafeInteger(value))
    throw new RangeError(`"${text}" is not an address.`);
  return value;
});

/** For an option that may be given several times. */
export function listOf<Value>(parse: (text: string) => Value): (text: string, before?: readonly Value[]) => Value[] {
  return (text, before = []) => [...before, parse(text)];
}

/** Bytes, in decimal with K, M or G behind; NaN: the text is no size. */
export function bytesIn(text: string): number {
  const match = /^(\d+)([KMG]?)(?:iB|B)?$/i.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * UNITS[match[2].toUpperCase()];
}

/** Bytes with K, M or G behind. */
export const byteSize = optionValue((text: string): number => {
  const bytes = bytesIn(text);
  if (!(bytes >= 2 ** 24 && bytes <= 2 ** 34)) throw new RangeError(`"${text}" is not a size from 16M to 16G.`);
  return bytes;
});

export interface Shard {
  readonly index: number;
  readonly of: number;
}

export const shard = optionValue((text: string): Shard => {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  const [index, of] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || index < 1 || index > of) throw new RangeError(`"${text}" is not i/n with 1 ≤ i ≤ n.`);
  return { index, of };
});

/** `--policy` may be given several times, each with a list; policies of a list stand between commas. */
function collectPolicies(text: string, before: readonly Policy[] | undefined): readonly Policy[] {
  const policies = optionValue((list: string) => list.split(",").map(policy))(text);
  const all = [...(before ?? []), ...policies];
  const names = all.map((policy) => policy.name);
  return all.filter((policy, index) => names.indexOf(policy.name) === index);
}

function policy(text: string): Policy {
  if (isOwnPolicy(text)) return namedOwnPolicy(text, PLAIN);
  const [name] = text.split("+");
  return hinting(name, Object.keys(POLICIES), () => parsePolicy(text));
}

export const touches = optionValue((text: string): string => {
  const [kind] = text.split("=");
  const kinds = TOUCH_MODELS.map((model) => model.split("=")[0]);
  hinting(kind, kinds, () => parseTouchModel(text));
  return text;
});

/** Runs a parser; what it throws for a name that is not among `names` says the nearest one too. */
function hinting<T>(name: string, names: readonly string[], parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const hint = names.includes(name) ? "" : didYouMean(name, names);
    throw new RangeError(`${(error as Error).message}${hint}`);
  }
}

/** A value that must be one of a few. */
function oneOf<T extends string>(names: readonly T[]): (text: string) => T {
  return optionValue((text) => {
    if (names.includes(text as T)) return text as T;
    throw new RangeError(`Allowed choices are ${names.join(", ")}.${didYouMean(text, names)}`);
  });
}

/** An option whose value must be one of a few, which its help names. */
export function choiceOption(flags: string, description: string, names: readonly string[]): Option {
  return new Option(flags, description).choices(names).argParser(oneOf(names));
}

/** The name of a built-in machine, or a file that is there. */
const machine = optionValue((text: string): string => {
  if (MACHINE_NAMES.includes(text) || existsSync(text)) return text;
  throw new RangeError(
    `It is no file, and no machine of ${MACHINE_NAMES.join(", ")}.${didYouMean(text, MACHINE_NAMES)}`,
  );
});

/** An option with values that completion and help know, though others may be allowed. */
function suggesting<T>(option: Option, values: readonly string[], parse: (text: string, before: T) => T): Option {
  return option.choices([...values]).argParser<T>(parse);
}

export const policyOption = (): Option =>
  suggesting(
    new Option(
      "-p, --policy <policies>",
      "policies, by name or NAME+field=value, or ./FILE.mjs of your own; a comma between several",
    ),
    Object.keys(POLICIES),
    collectPolicies,
  );

export const touchOption = (): Option =>
  suggesting(new Option("-t, --touch <model>", "which pages of a fresh block are touched"), TOUCH_MODELS, touches);

export const machineOption = (): Option =>
  suggesting(
    new Option("-m, --machine <machine>", "machine of the time estimates: a name, or a file of refheap calibrate"),
    MACHINE_NAMES,
    machine,
  ).default(MACHINE_NAMES[0]);

export const formatOption = (): Option =>
  suggesting(
    new Option("-f, --format <format>", "the traces' format, if it is not to be detected"),
    TRACE_FORMATS,
    oneOf(TRACE_FORMATS),
  );

export const skipBadOption = (): Option => new Option("--skip-bad", "count bad lines instead of stopping at the first");
export const jsonOption = (): Option => new Option("--json", "print JSON instead of text");
