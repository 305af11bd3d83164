// Where a guest's stack lies: what linkers tell of it by names and exports, and by where the data are. Nothing is guessed from code.

import type { Address } from "../../../platform/hardware/integers.ts";
import { I32 } from "../binary/instructions.ts";
import { EXTERNAL_GLOBAL, type Module } from "../binary/module.ts";
import type { Names } from "../binary/names.ts";

/** The stack is [lowest, highest) and grows down; `global` is its pointer. */
export interface StackRegion {
  readonly global: number;
  readonly lowest: number;
  readonly highest: number;
}

/** The stack of clang's and rustc's modules, by `__stack_pointer`; null: there is none, or nothing says where. */
export function findStack(module: Module, names: Names): StackRegion | null {
  const global = globalNamed(module, names, "__stack_pointer");
  const pointer = module.globals[global];
  if (pointer === undefined || pointer.type !== I32 || !pointer.mutable || pointer.constant === null) return null;
  const highest = pointer.constant >>> 0;
  return { global, lowest: lowestOf(module, names, highest), highest };
}

/** `__data_end`, else the end of the last segment in front of the stack; 0 if the stack comes first. */
function lowestOf(module: Module, names: Names, highest: number): number {
  const dataEnd = module.globals[globalNamed(module, names, "__data_end")]?.constant ?? null;
  if (dataEnd !== null && dataEnd <= highest) return dataEnd;
  let lowest = 0;
  for (const { offset, start, end } of module.data) {
    if (offset !== null && offset + (end - start) <= highest) lowest = Math.max(lowest, offset + (end - start));
  }
  return lowest;
}

/** Below the stack pointer, functions that call no other keep so much without setting it (LLVM's red zone). */
const RED_ZONE = 128;

/** Where frames of functions that returned may have left something, of a stack whose pointer was never lower than `deepest`. */
export function deadFrames(
  { lowest }: StackRegion,
  deepest: Address,
  pointer: Address,
): { from: Address; to: Address } {
  const from = Math.max(lowest, deepest - RED_ZONE);
  return { from, to: Math.max(from, pointer) };
}

function globalNamed(module: Module, names: Names, wanted: string): number {
  const exported = module.exports.find(({ name, kind }) => kind === EXTERNAL_GLOBAL && name === wanted);
  if (exported !== undefined) return exported.index;
  for (const [index, name] of names.globals) if (name === wanted) return index;
  return -1;
}

/** The first address that is no null pointer: what was asked for, unless data lie there. */
export function endOfNull(module: Module, wanted: number): number {
  let end = wanted;
  for (const { offset, start, end: dataEnd } of module.data) {
    if (offset !== null && dataEnd > start) end = Math.min(end, offset);
  }
  return Math.floor(end / 8) * 8;
}
