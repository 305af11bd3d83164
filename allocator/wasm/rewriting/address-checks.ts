// The inlined check in front of a load or store: its address's shadow byte is looked up, and unless that says "all yours" a helper
// function is called (helpers.ts). Which checks are not needed again is checked-addresses.ts; locals come from scratch-locals.ts.
//
//   i32.const 3, i32.shr_u, i32.load8_s shadow     -1: may be stored to, -2: may be loaded, else: ask
//   address << (32 - log2 size), i32.xor           an address that is not aligned changes the top bits, so it asks too
//   i32.const -2, i32.lt_u (store: -1, i32.ne)
//   if (call helper(address, size)) end
//
// Poisoned places begin and end at granules of 8 bytes, or at a byte inside one (a chunk's last granule), which the helper knows.

import {
  ACCESS_BYTES,
  IS_STORE,
  OP_END,
  OP_I32_ADD,
  OP_I32_LOAD8_S,
  OP_I32_LOAD16_S,
  OP_I32_LT_U,
  OP_I32_NE,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I32_XOR,
  OP_IF,
} from "../binary/instructions.ts";
import type { Code } from "./code.ts";
import { GRANULE, GRANULE_SHIFT } from "./layout.ts";

export interface CheckTargets {
  readonly shadowBase: number;
  /** Functions (address, size) that look closer, by their index. */
  readonly loadHelper: number;
  readonly storeHelper: number;
}

/** The address on the stack becomes the number of its granule: where its shadow byte lies. */
export function writeGranule(code: Code): void {
  code.constant(GRANULE_SHIFT);
  code.byte(OP_I32_SHR_U);
}

/**
 * Writes the check of an access to the address in `local` plus `offset`. Nothing is taken from the stack or left there.
 * @param alignment log2 of the alignment that the instruction promises, a hint
 * @param scratch a local that may be overwritten, for the sum
 */
export function writeCheck(
  code: Code,
  targets: CheckTargets,
  opcode: number,
  alignment: number,
  local: number,
  offset: number,
  scratch: number,
): void {
  const size = ACCESS_BYTES[opcode];
  const isStore = IS_STORE[opcode] === 1;
  const inGranule = offset & (GRANULE - 1);
  let base = local;
  code.localGet(local);
  if (inGranule !== 0) {
    code.constant(inGranule);
    code.byte(OP_I32_ADD);
    code.localTee(scratch);
    base = scratch;
  }
  writeGranule(code);
  // Two granules together for what is as long, or says that it may lie across two.
  const isWide = size === 16 || (size > 1 && 2 ** alignment < size);
  code.memory(isWide ? OP_I32_LOAD16_S : OP_I32_LOAD8_S, targets.shadowBase + (offset - inGranule) / GRANULE);
  const aligned = isWide ? (size === 16 ? 8 : 1) : size;
  if (aligned > 1) {
    code.localGet(base);
    code.constant(32 - Math.log2(aligned));
    code.plain(OP_I32_SHL, OP_I32_XOR);
  }
  if (isStore || isWide) {
    code.constant(-1);
    code.byte(OP_I32_NE);
  } else {
    code.constant(-2);
    code.byte(OP_I32_LT_U);
  }
  code.open(OP_IF);
  code.localGet(base);
  if (offset !== inGranule) {
    code.constant(offset - inGranule);
    code.byte(OP_I32_ADD);
  }
  code.constant(size);
  code.call(isStore ? targets.storeHelper : targets.loadHelper);
  code.byte(OP_END);
}
