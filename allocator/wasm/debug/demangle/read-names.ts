// Names that were made readable for stacks, and what linkers call them: two functions may read alike.

import { demangle } from "./demangle.ts";

/** Readable names that are remembered; a program's stacks have some hundreds. */
const REMEMBERED = 65_536;

const linkedNames = new Map<string, string[]>();

/** {@link demangle}, remembered for {@link linkedNamesOf}. */
export function readName(name: string): string {
  const readable = demangle(name);
  if (readable === name) return name;
  const names = linkedNames.get(readable);
  if (names === undefined) {
    if (linkedNames.size >= REMEMBERED) linkedNames.delete(linkedNames.keys().next().value!);
    linkedNames.set(readable, [name]);
  } else if (!names.includes(name)) names.push(name);
  return readable;
}

/** The names that were read so. */
export function linkedNamesOf(readable: string): readonly string[] {
  return linkedNames.get(readable) ?? [];
}
