// Names in recorded cases and the numbers they stand for: options, protections, advice, flags, modes, signals' flags.
// A name that is in no table is the file's mistake, and is said to be one.

import * as mman from "../../../platform/kernel/abi/mman.ts";
import { PR_GET_TAGGED_ADDR_CTRL, PR_SET_TAGGED_ADDR_CTRL } from "../../../platform/kernel/abi/prctl.ts";
import { SA_EXPOSE_TAGBITS, SA_SIGINFO } from "../../../platform/kernel/signals.ts";

/** A line that is no recorded case, or a step that the format does not have. */
export class MalformedCase extends Error {
  override readonly name = "MalformedCase";
}

type Table = Readonly<Record<string, number>>;

const tables = {
  "prctl option": { PR_SET_TAGGED_ADDR_CTRL, PR_GET_TAGGED_ADDR_CTRL },
  protection: {
    NONE: mman.PROT_NONE,
    READ: mman.PROT_READ,
    WRITE: mman.PROT_WRITE,
    EXEC: mman.PROT_EXEC,
    MTE: mman.PROT_MTE,
  },
  advice: startingWith("MADV_"),
  "msync flag": startingWith("MS_"),
  "signal flag": { SA_SIGINFO, SA_EXPOSE_TAGBITS },
} as const satisfies Readonly<Record<string, Table>>;

function startingWith(prefix: string): Table {
  return Object.fromEntries(Object.entries(mman).filter(([name]) => name.startsWith(prefix))) as Table;
}

/** The number that a name stands for. @throws MalformedCase */
export function numberNamed(kind: keyof typeof tables, name: unknown): number {
  const table: Table = tables[kind];
  if (typeof name === "number") return name;
  if (typeof name !== "string" || !Object.hasOwn(table, name)) throw unknownName(kind, name, Object.keys(table));
  return table[name] as number;
}

/** All of a list of names, or one of them; nothing for none. @throws MalformedCase */
export function flagsNamed(kind: keyof typeof tables, names: unknown): number {
  if (!Array.isArray(names)) return names === undefined ? 0 : numberNamed(kind, names);
  return names.reduce<number>((all, name) => all | numberNamed(kind, name), 0);
}

/** `name`, known to be one of `known`. @throws MalformedCase */
export function oneOf<T extends string>(kind: string, name: unknown, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === name);
  if (found === undefined) throw unknownName(kind, name, known);
  return found;
}

export function unknownName(kind: string, name: unknown, known: readonly string[]): MalformedCase {
  return new MalformedCase(`unknown ${kind} ${JSON.stringify(name)} (known: ${[...known].sort().join(", ")})`);
}
