// The bodies of the compiled malloc and free: what combined/direct-paths.ts does, step by step the same, on the same cache, page table
// and headers. Each gives up, with nothing done, at the first thing that is unusual: it answers 0 then, and the heap goes its own way.

import { GRANULE_SHIFT, GRANULE_SIZE } from "../../platform/hardware/layout.ts";
import { lowBitsDifference } from "../combined/checksum.ts";
import { HEADER_SIZE, STATE_ALLOCATED } from "../combined/chunk-header.ts";
import {
  OP_BLOCK,
  OP_END,
  OP_F64_CONVERT_I64_S,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQZ,
  OP_I32_GT_U,
  OP_I32_LOAD8_U,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_WRAP_I64,
  OP_I64_ADD,
  OP_I64_EXTEND_I32_U,
  OP_I64_NE,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
} from "../wasm/binary/instructions.ts";
import { finish } from "../wasm/rewriting/helpers.ts";
import { type FillKind, fillAnyBlock, fillShortBlock } from "./fill-code.ts";
import { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";

const ALLOCATED = STATE_ALLOCATED << 8;
/** State and origin, of the header's low word: a chunk of malloc's has {@link ALLOCATED} there. */
const STATE_AND_ORIGIN = 0xf00;

if (HEADER_SIZE !== GRANULE_SIZE) throw new Error("a header takes a granule");

/** Up to this many bytes a loop beats a call out of the compiled code. */
const LONGEST_LOOP = 256;

/** How a chunk's header is put together, and looked at: from the table of sizes, or for any size. */
export interface Way {
  readonly isInTable: boolean;
  /** The function that goes on with sizes, or chunks, that are not in the table, or long; null: none. */
  readonly others: number | null;
}

/** (area, size) → pointer, or 0. */
export function allocateBody({ isInTable, others }: Way, fill: FillKind): Uint8Array {
  const code = new HeapCode();
  const { area, operand: size, at, low, address, header } = code;
  if (others !== null) {
    code.localGet(size);
    code.constant(fill === "none" ? places.LARGEST_IN_TABLE : LONGEST_LOOP);
    code.byte(OP_I32_GT_U);
    passOnTo(code, others);
  }
  code.open(OP_BLOCK);
  code.enter();
  // The class, the top of its stack, and the block there.
  if (isInTable) {
    code.headerOf(size);
    code.localTee(header);
    code.byte(OP_I32_WRAP_I64);
    code.classOf();
  } else {
    code.localGet(size);
    code.areaWord(places.LARGEST);
    code.byte(OP_I32_GT_U);
    code.giveUpIf();
    code.localGet(size);
    code.constant(HEADER_SIZE + GRANULE_SIZE - 1);
    code.byte(OP_I32_ADD);
    code.shiftRight(GRANULE_SHIFT);
    code.localGet(area);
    code.byte(OP_I32_ADD);
    code.memory(OP_I32_LOAD8_U, places.CLASS_BY_SIZE);
    code.localTee(low);
  }
  code.popBlock();
  code.locate();
  if (!isInTable) {
    code.localGet(low);
    code.localGet(size);
    code.shiftLeft(12);
    code.byte(OP_I32_OR);
    code.constant(ALLOCATED);
    code.byte(OP_I32_OR);
    code.localTee(low);
    code.byte(OP_I64_EXTEND_I32_U);
    code.localSet(header);
  }
  if (fill !== "none") (isInTable ? fillShortBlock : fillAnyBlock)(code, fill);
  // From here on nothing is unusual any more: the header, the stack, the statistics.
  code.moveAddress(OP_I64_ADD);
  code.localGet(at);
  code.localGet(header);
  code.sum(isInTable ? null : low);
  code.byte(OP_I64_XOR);
  code.takeBlock();
  code.localGet(address);
  code.plain(OP_F64_CONVERT_I64_S, OP_RETURN, OP_END);
  code.constantDouble(0);
  return finish(code);
}

/** (area, pointer) → 1, or 0. */
export function freeBody({ isInTable, others }: Way): Uint8Array {
  const code = new HeapCode();
  const { count, low, header } = code;
  code.open(OP_BLOCK);
  code.enter();
  // One with a fraction, a tag, a sign or nothing at all, and null, is not such an address.
  code.wholePointer(BigInt(HEADER_SIZE));
  code.headerAddress();
  code.locate();
  code.moveAddress(OP_I64_ADD);
  code.loadHeader();
  code.localTee(header);
  code.byte(OP_I32_WRAP_I64);
  code.localTee(low);
  if (isInTable) {
    code.shiftRight(12);
    code.localTee(count);
    code.constant(places.LARGEST_IN_TABLE);
    code.byte(OP_I32_GT_U);
    if (others !== null) passOnTo(code, others);
    // All of the header is as malloc made it: state, origin, class, checksum, offset 0.
    code.headerOf(count);
    code.sum(null);
    code.byte(OP_I64_XOR);
    code.localGet(header);
    code.byte(OP_I64_NE);
    if (others !== null) passOnTo(code, others);
  } else {
    code.constant(STATE_AND_ORIGIN);
    code.byte(OP_I32_AND);
    code.constant(ALLOCATED);
    code.byte(OP_I32_NE);
    code.giveUpIf();
    // The checksum is right, and the offset 0; no large chunk.
    code.localGet(low);
    code.byte(OP_I64_EXTEND_I32_U);
    code.sum(low);
    code.byte(OP_I64_XOR);
    code.localGet(header);
    code.byte(OP_I64_NE);
    code.giveUpIf();
    code.localGet(low);
    code.classOf();
    code.byte(OP_I32_EQZ);
    code.giveUpIf();
  }
  code.localGet(low);
  code.classOf();
  code.roomForBlock();
  // From here on nothing is unusual any more: state and origin go, and their part of the checksum.
  code.pushBlock(BigInt(ALLOCATED) | (BigInt(lowBitsDifference(ALLOCATED)) << 48n));
  return finish(code);
}

/** If what is on the stack is not 0, another function's answer is this one's. */
function passOnTo(code: HeapCode, other: number): void {
  code.open(OP_IF);
  code.localGet(code.area);
  code.localGet(code.operand);
  code.call(other);
  code.plain(OP_RETURN, OP_END);
}
