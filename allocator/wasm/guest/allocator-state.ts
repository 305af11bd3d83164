// Whether the functions that a module exports as malloc and free are all of its allocator. Where functions have no names, realloc or
// memalign may be among those that nothing says so of; they would work on the heap's blocks with the module's own tables.

import { BodyWalker } from "../binary/body-walker.ts";
import { ACCESS_BYTES, OP_I32_CONST } from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";

/** Below this a number is seldom an address. */
const LOWEST_ADDRESS = 1024;
/** So many of the allocator's own addresses in another function are no accident. */
const SUSPICIOUS = 2;

/**
 * Whether no function outside `chosen`, and none that is called something else, works on the static data that two functions of `chosen` have in common, which is the
 * allocator's state. Cost: a walk over all code.
 */
export function isWholeAllocator(
  module: Module,
  chosen: ReadonlySet<number>,
  names: ReadonlyMap<number, string>,
): boolean {
  const uses = new Map<number, number>();
  const walker = new BodyWalker(module);
  for (const index of chosen)
    for (const address of addressesIn(walker, index)) uses.set(address, (uses.get(address) ?? 0) + 1);
  const state = new Set([...uses].filter(([, count]) => count > 1).map(([address]) => address));
  for (let body = 0; body < module.bodyStart.length; body++) {
    const index = module.importedFunctions + body;
    if (chosen.has(index) || names.has(index)) continue;
    let found = 0;
    for (const address of addressesIn(walker, index)) if (state.has(address)) found++;
    if (found >= SUSPICIOUS) return false;
  }
  return true;
}

/** Constants and offsets of a function that may be addresses of static data. */
function addressesIn(walker: BodyWalker, index: number): Set<number> {
  const { module } = walker;
  const found = new Set<number>();
  const end = (module.memory?.minimum ?? 0) * 65536;
  walker.begin(index - module.importedFunctions);
  while (walker.next()) {
    const value = walker.opcode === OP_I32_CONST ? walker.first : ACCESS_BYTES[walker.opcode] !== 0 ? walker.second : 0;
    if (value >= LOWEST_ADDRESS && value < end) found.add(value);
  }
  return found;
}
