// Where a guest's stack lies: what linkers tell of it by names and exports, and by where the data are. Nothing is guessed from code.

import { BodyWalker } from "../binary/body-walker.ts";
import { ACCESS_BYTES, I32, OP_I32_CONST } from "../binary/instructions.ts";
import { EXTERNAL_GLOBAL, type Module } from "../binary/module.ts";
import type { Names } from "../binary/names.ts";

const WORD = 4;

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

/** What wasm-ld gives a stack unless an option says otherwise. */
const USUAL_STACK_BYTES = 65536;

/**
 * Where static data may end of which no segment tells, since they are zero: they lie between the segments and the stack, and linkers
 * do not say how long the stack is. It is at least where a stack of the usual size begins, and behind every address in between that
 * the code has as a number. Rather too much: words of dead frames may be among them. Cost: a reading of the code.
 */
export function endOfStatics(module: Module, { lowest, highest }: StackRegion): number {
  let end = Math.max(lowest, highest - USUAL_STACK_BYTES);
  const walker = new BodyWalker(module);
  for (let body = 0; body < module.bodyStart.length; body++) {
    walker.begin(body);
    while (walker.next()) {
      const { opcode } = walker;
      const value = opcode === OP_I32_CONST ? walker.first : ACCESS_BYTES[opcode] !== 0 ? walker.second : 0;
      if (value >= end && value < highest - WORD) end = value + WORD;
    }
  }
  return end;
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
