// The bodies of the compiled malloc and free: what combined/direct-paths.ts does, step by step the same, on the same cache, page table
// and headers. Each gives up, with nothing done, at the first thing that is unusual: it answers 0 then, and the heap goes its own way.

import { RAM_BEGIN } from "../../platform/hardware/host-memory.ts";
import { ADDRESS_BITS, GRANULE_SHIFT, GRANULE_SIZE } from "../../platform/hardware/layout.ts";
import { lowBitsDifference } from "../combined/checksum.ts";
import { HEADER_SIZE, STATE_ALLOCATED } from "../combined/chunk-header.ts";
import {
  OP_BLOCK,
  OP_END,
  OP_F64_ADD,
  OP_F64_CONVERT_I64_S,
  OP_F64_NE,
  OP_F64_SUB,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_GT_U,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_STORE,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I64_ADD,
  OP_I64_EXTEND_I32_U,
  OP_I64_GE_U,
  OP_I64_LOAD,
  OP_I64_NE,
  OP_I64_REINTERPRET_F64,
  OP_I64_SHR_U,
  OP_I64_STORE,
  OP_I64_SUB,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
} from "../wasm/binary/instructions.ts";
import { finish } from "../wasm/rewriting/helpers.ts";
import { type FillKind, fillAnyBlock, fillShortBlock } from "./fill-code.ts";
import { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";

/** Chunks lie below this. */
const ADDRESS_END = 1n << BigInt(ADDRESS_BITS);
/** A double of this and a whole number below it has the number in its lowest bits, above which it is always the same. */
export const LARGE = 2 ** 52;
export const LARGE_BITS = new BigInt64Array(new Float64Array([LARGE]).buffer)[0];
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
  const { area, operand: size, inCache, count, at, low, address, header } = code;
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
    code.localGet(size);
    code.shiftLeft(3);
    code.localGet(area);
    code.byte(OP_I32_ADD);
    code.memory(OP_I64_LOAD, places.HEADERS);
    code.localTee(header);
    code.byte(OP_I32_WRAP_I64);
    code.constant(0xff);
    code.byte(OP_I32_AND);
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
  code.toRow();
  code.localGet(inCache);
  code.memory(OP_I32_LOAD, places.COUNTS);
  code.localTee(count);
  code.byte(OP_I32_EQZ);
  code.giveUpIf();
  code.localGet(count);
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.localTee(count);
  code.toBlock();
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
  code.memory(OP_I64_STORE, RAM_BEGIN);
  code.localGet(inCache);
  code.localGet(count);
  code.memory(OP_I32_STORE, places.COUNTS);
  code.countBlock(OP_F64_ADD);
  code.localGet(address);
  code.plain(OP_F64_CONVERT_I64_S, OP_RETURN, OP_END);
  code.constantDouble(0);
  return finish(code);
}

/** (area, pointer) → 1, or 0. */
export function freeBody({ isInTable, others }: Way): Uint8Array {
  const code = new HeapCode();
  const { area, operand: pointer, inCache, count, at, low, address, header, double } = code;
  code.open(OP_BLOCK);
  code.enter();
  // One with a fraction, a tag, a sign or nothing at all, and null, is not such an address.
  code.localGet(pointer);
  code.constantDouble(LARGE);
  code.byte(OP_F64_ADD);
  code.localTee(double);
  code.constantDouble(LARGE);
  code.byte(OP_F64_SUB);
  code.localGet(pointer);
  code.byte(OP_F64_NE);
  code.giveUpIf();
  code.localGet(double);
  code.byte(OP_I64_REINTERPRET_F64);
  code.constant64(LARGE_BITS + BigInt(HEADER_SIZE));
  code.byte(OP_I64_SUB);
  code.localTee(address);
  code.constant64(ADDRESS_END - BigInt(HEADER_SIZE));
  code.byte(OP_I64_GE_U);
  code.giveUpIf();
  code.localGet(address);
  code.byte(OP_I32_WRAP_I64);
  code.constant(GRANULE_SIZE - 1);
  code.byte(OP_I32_AND);
  code.giveUpIf();
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
    code.localGet(count);
    code.shiftLeft(3);
    code.localGet(area);
    code.byte(OP_I32_ADD);
    code.memory(OP_I64_LOAD, places.HEADERS);
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
    code.constant(0xff);
    code.plain(OP_I32_AND, OP_I32_EQZ);
    code.giveUpIf();
  }
  code.localGet(low);
  code.constant(0xff);
  code.byte(OP_I32_AND);
  code.toRow();
  // Room in the stack; a class that there is not has none.
  code.localGet(inCache);
  code.memory(OP_I32_LOAD, places.COUNTS);
  code.localTee(count);
  code.fromRow(OP_I32_LOAD, places.MOST);
  code.byte(OP_I32_EQ);
  code.giveUpIf();
  // From here on nothing is unusual any more: state and origin go, and their part of the checksum.
  code.localGet(at);
  code.localGet(header);
  code.constant64(BigInt(ALLOCATED) | (BigInt(lowBitsDifference(ALLOCATED)) << 48n));
  code.byte(OP_I64_XOR);
  code.memory(OP_I64_STORE, RAM_BEGIN);
  code.localGet(count);
  code.stackEntry();
  code.localGet(address);
  code.constant64(BigInt(HEADER_SIZE));
  code.byte(OP_I64_SUB);
  code.fromRow(OP_I64_LOAD, places.BEGIN);
  code.byte(OP_I64_SUB);
  code.constant64(BigInt(GRANULE_SHIFT));
  code.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
  code.memory(OP_I32_STORE, 0);
  code.localGet(inCache);
  code.localGet(count);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.memory(OP_I32_STORE, places.COUNTS);
  code.countBlock(OP_F64_SUB);
  code.constant(1);
  code.plain(OP_RETURN, OP_END);
  code.constant(0);
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
