// The bodies of the compiled malloc and free of a tagged heap: what reuseFast and freeFast of tagging/tagged-allocator.ts do, step by step
// the same, for chunks inside one page whose headers are in the table of sizes. All others are left to the heap, as in code.ts.

import { RAM_BEGIN } from "../../platform/hardware/host-memory.ts";
import {
  ADDRESS_BITS,
  GRANULE_SHIFT,
  GRANULE_SIZE,
  OFFSET_MASK,
  PAGE_SIZE,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
  TAG_UNIT,
} from "../../platform/hardware/layout.ts";
import { PTE_BANK_MASK } from "../../platform/hardware/mmu.ts";
import { lowBitsDifference } from "../combined/checksum.ts";
import { HEADER_SIZE, STATE_ALLOCATED, WAS_ZEROED } from "../combined/chunk-header.ts";
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
  OP_I32_GT_S,
  OP_I32_GT_U,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_LT_U,
  OP_I32_NE,
  OP_I32_SHR_U,
  OP_I32_STORE,
  OP_I32_STORE8,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I64_ADD,
  OP_I64_AND,
  OP_I64_EXTEND_I32_U,
  OP_I64_GE_U,
  OP_I64_LOAD,
  OP_I64_NE,
  OP_I64_OR,
  OP_I64_REINTERPRET_F64,
  OP_I64_SHL,
  OP_I64_SHR_U,
  OP_I64_STORE,
  OP_I64_SUB,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
  PREFIX_SIMD,
} from "../wasm/binary/instructions.ts";
import { finish } from "../wasm/rewriting/helpers.ts";
import { LARGE, LARGE_BITS } from "./code.ts";
import { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";
import {
  drawTag,
  loadTag,
  noteFreed,
  pairOf,
  SPLAT_8,
  shiftInPair,
  storeVector,
  TAG_SHIFT,
  tagAndZero,
} from "./tag-code.ts";

const ADDRESS_END = 1n << BigInt(ADDRESS_BITS);
/** No tag is above this. */
const POINTER_END = 16n << BigInt(TAG_SHIFT);
/** As UncheckedMemory.positionOf wants an entry. */
const TAGGED = PTE_READ | PTE_WRITE | PTE_MTE;
const TAGGED_MASK = TAGGED | PTE_BANK_MASK;
/** How the header of a freed chunk that was zeroed differs from that of the chunk. */
const FREED_BITS = (STATE_ALLOCATED << 8) | WAS_ZEROED;
const FREED_DIFFERENCE = BigInt(FREED_BITS) | (BigInt(lowBitsDifference(FREED_BITS)) << 48n);

/** (area, size) → pointer with its tag, or 0. */
export function allocateTaggedBody(): Uint8Array {
  const code = new HeapCode();
  const { operand: size, inCache, count, at, low, address, header, tag, tagBytes, place } = code;
  code.open(OP_BLOCK);
  code.enter();
  // Of no bytes, or not in the table.
  code.localGet(size);
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.constant(places.LARGEST_IN_TABLE);
  code.plain(OP_I32_LT_U, OP_I32_EQZ);
  code.giveUpIf();
  headerOf(code, size);
  code.byte(OP_I32_WRAP_I64);
  code.constant(0xff);
  code.byte(OP_I32_AND);
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
  code.locate(TAGGED_MASK, TAGGED);
  code.localGet(at);
  code.constant(OFFSET_MASK);
  code.byte(OP_I32_AND);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.byte(OP_I32_ADD);
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  // The block's last chunk lay at the same place, and was zeroed with a new tag when it was freed: its header is as free left it.
  code.moveAddress(OP_I64_ADD);
  code.loadHeader();
  code.localTee(header);
  code.byte(OP_I32_WRAP_I64);
  code.shiftRight(12);
  code.localTee(low);
  code.constant(places.LARGEST_IN_TABLE);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  code.localGet(header);
  headerOf(code, low);
  code.constant64(FREED_DIFFERENCE);
  code.byte(OP_I64_XOR);
  code.sum(null);
  code.plain(OP_I64_XOR, OP_I64_NE);
  code.giveUpIf();
  loadTag(code);
  code.localTee(tag);
  code.byte(OP_I32_EQZ);
  code.giveUpIf();
  // From here on nothing is unusual any more. What the last chunk did not have gets its tag, and zeroes.
  roundUp(code, low);
  code.localSet(place);
  roundUp(code, size);
  code.localTee(tagBytes);
  code.localGet(place);
  code.byte(OP_I32_SUB);
  code.localTee(code.draw);
  code.constant(0);
  code.byte(OP_I32_GT_S);
  code.open(OP_IF);
  code.localGet(place);
  code.localGet(at);
  code.constant(HEADER_SIZE);
  code.plain(OP_I32_ADD, OP_I32_ADD);
  code.localSet(place);
  code.localGet(tagBytes);
  code.localGet(code.draw);
  code.localSet(tagBytes);
  tagAndZero(code);
  code.localSet(tagBytes);
  code.byte(OP_END);
  // The granule behind the chunk has tag 0, if it is the block's.
  code.localGet(tagBytes);
  code.constant(HEADER_SIZE);
  code.byte(OP_I32_ADD);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  code.localGet(at);
  code.localGet(tagBytes);
  code.constant(HEADER_SIZE);
  code.plain(OP_I32_ADD, OP_I32_ADD);
  code.localSet(place);
  pairOf(code, place);
  code.localGet(code.pair);
  code.localGet(code.pair);
  code.memory(OP_I32_LOAD8_U, 0);
  code.constant(0xf0);
  shiftInPair(code, place);
  code.plain(OP_I32_SHR_U, OP_I32_AND);
  code.memory(OP_I32_STORE8, 0);
  code.byte(OP_END);
  code.localGet(at);
  code.constant(0);
  code.two(PREFIX_SIMD, SPLAT_8);
  storeVector(code, HEADER_SIZE);
  code.localGet(at);
  headerOf(code, size);
  code.sum(null);
  code.byte(OP_I64_XOR);
  code.memory(OP_I64_STORE, RAM_BEGIN);
  code.localGet(inCache);
  code.localGet(count);
  code.memory(OP_I32_STORE, places.COUNTS);
  code.countBlock(OP_F64_ADD);
  code.localGet(address);
  code.localGet(tag);
  code.byte(OP_I64_EXTEND_I32_U);
  code.constant64(BigInt(TAG_SHIFT));
  code.plain(OP_I64_SHL, OP_I64_OR, OP_F64_CONVERT_I64_S, OP_RETURN, OP_END);
  code.constantDouble(0);
  return finish(code);
}

/** (area, pointer with its tag) → 1, or 0. */
export function freeTaggedBody(): Uint8Array {
  const code = new HeapCode();
  const { operand: pointer, inCache, count, at, low, address, header, double, tag, tagBytes, place } = code;
  code.open(OP_BLOCK);
  code.enter();
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
  code.constant64(LARGE_BITS);
  code.byte(OP_I64_SUB);
  code.localTee(header);
  code.constant64(POINTER_END);
  code.byte(OP_I64_GE_U);
  code.giveUpIf();
  code.localGet(header);
  code.constant64(BigInt(TAG_SHIFT));
  code.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
  code.localSet(tag);
  code.localGet(header);
  code.constant64(BigInt(TAG_UNIT) - 1n);
  code.byte(OP_I64_AND);
  code.constant64(BigInt(HEADER_SIZE));
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
  code.locate(TAGGED_MASK, TAGGED);
  code.moveAddress(OP_I64_ADD);
  code.loadHeader();
  code.localTee(header);
  code.byte(OP_I32_WRAP_I64);
  code.shiftRight(12);
  code.localTee(low);
  // Of no bytes, or not in the table.
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.constant(places.LARGEST_IN_TABLE);
  code.plain(OP_I32_LT_U, OP_I32_EQZ);
  code.giveUpIf();
  roundUp(code, low);
  code.localTee(tagBytes);
  code.localGet(at);
  code.constant(OFFSET_MASK);
  code.plain(OP_I32_AND, OP_I32_ADD);
  code.constant(PAGE_SIZE - HEADER_SIZE);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  loadTag(code);
  code.localGet(tag);
  code.byte(OP_I32_NE);
  code.giveUpIf();
  code.localGet(header);
  headerOf(code, low);
  code.sum(null);
  code.plain(OP_I64_XOR, OP_I64_NE);
  code.giveUpIf();
  code.localGet(header);
  code.byte(OP_I32_WRAP_I64);
  code.constant(0xff);
  code.byte(OP_I32_AND);
  code.toRow();
  code.localGet(inCache);
  code.memory(OP_I32_LOAD, places.COUNTS);
  code.localTee(count);
  code.fromRow(OP_I32_LOAD, places.MOST);
  code.byte(OP_I32_EQ);
  code.giveUpIf();
  // From here on nothing is unusual any more.
  noteFreed(code);
  drawTag(code);
  code.localGet(at);
  code.constant(HEADER_SIZE);
  code.byte(OP_I32_ADD);
  code.localSet(place);
  tagAndZero(code);
  code.localGet(at);
  code.localGet(header);
  code.constant64(FREED_DIFFERENCE);
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

/** Pushes the header that malloc gives a chunk of the size in a local, but for its pointer's part of the sum. */
function headerOf(code: HeapCode, size: number): void {
  code.localGet(size);
  code.shiftLeft(3);
  code.localGet(code.area);
  code.byte(OP_I32_ADD);
  code.memory(OP_I64_LOAD, places.HEADERS);
}

/** Pushes the size in a local, rounded up to whole granules. */
function roundUp(code: HeapCode, size: number): void {
  code.localGet(size);
  code.constant(GRANULE_SIZE - 1);
  code.byte(OP_I32_ADD);
  code.constant(-GRANULE_SIZE);
  code.byte(OP_I32_AND);
}
