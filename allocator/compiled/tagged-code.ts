// The bodies of the compiled malloc and free of a tagged heap: what reuseFast and freeFast of tagging/tagged-allocator.ts do, step by step
// the same, for chunks inside one page whose headers are in the table of sizes. All others are left to the heap, as in code.ts.

import { GZVA_BLOCKS, RAM_BEGIN } from "../../platform/hardware/host-memory.ts";
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
import { FREED_NEXT, FREED_ROWS, FREED_TOTAL } from "../tagging/freed-chunks.ts";
import {
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_END,
  OP_F64_ADD,
  OP_F64_CONVERT_I32_U,
  OP_F64_CONVERT_I64_S,
  OP_F64_LOAD,
  OP_F64_NE,
  OP_F64_STORE,
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
  OP_I32_MUL,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I32_STORE,
  OP_I32_STORE8,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I32_XOR,
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
  OP_LOOP,
  OP_RETURN,
  OP_SELECT,
  PREFIX_SIMD,
} from "../wasm/binary/instructions.ts";
import { finish } from "../wasm/rewriting/helpers.ts";
import { LARGE, LARGE_BITS } from "./code.ts";
import { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";

const ADDRESS_END = 1n << BigInt(ADDRESS_BITS);
const TAG_SHIFT = Math.log2(TAG_UNIT);
/** No tag is above this. */
const POINTER_END = 16n << BigInt(TAG_SHIFT);
/** As UncheckedMemory.positionOf wants an entry. */
const TAGGED = PTE_READ | PTE_WRITE | PTE_MTE;
const TAGGED_MASK = TAGGED | PTE_BANK_MASK;
/** How the header of a freed chunk that was zeroed differs from that of the chunk. */
const FREED_BITS = (STATE_ALLOCATED << 8) | WAS_ZEROED;
const FREED_DIFFERENCE = BigInt(FREED_BITS) | (BigInt(lowBitsDifference(FREED_BITS)) << 48n);
/** What makes a tag of a generator's state (platform/hardware/mte.ts). */
const MIXER = 0x9e3779b1;
/** Two granules' tags a byte. */
const PAIR_SHIFT = GRANULE_SHIFT + 1;
const V128_STORE = 0x0b;
const SPLAT_8 = 0x0f;

/** (area, size) → pointer with its tag, or 0. */
export function allocateTaggedBody(): Uint8Array {
  const code = new HeapCode();
  const { operand: size, inCache, count, at, low, address, header, tag, tagBytes, place } = code;
  code.open(OP_BLOCK);
  code.areaWord(places.GATE);
  code.giveUpIf();
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
  code.stackEntry();
  code.memory(OP_I32_LOAD, 0);
  code.byte(OP_I64_EXTEND_I32_U);
  code.constant64(BigInt(GRANULE_SHIFT));
  code.byte(OP_I64_SHL);
  code.fromRow(OP_I64_LOAD, places.BEGIN);
  code.byte(OP_I64_ADD);
  code.localSet(address);
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
  code.areaWord(places.GATE);
  code.giveUpIf();
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

/** Keeps in `pair` where the tags of the granule at a place are, and its neighbour's. */
function pairOf(code: HeapCode, place: number): void {
  code.localGet(place);
  code.shiftRight(PAIR_SHIFT);
  code.areaWord(places.TAGS);
  code.byte(OP_I32_ADD);
  code.localSet(code.pair);
}

/** Pushes by how many bits the tag of the granule at a place is shifted in its byte: 0 or 4. */
function shiftInPair(code: HeapCode, place: number): void {
  code.localGet(place);
  code.shiftRight(2);
  code.constant(4);
  code.byte(OP_I32_AND);
}

/** Pushes the tag of the chunk's first granule, behind the header at `at`. */
function loadTag(code: HeapCode): void {
  const { at, place, pair } = code;
  code.localGet(at);
  code.constant(HEADER_SIZE);
  code.byte(OP_I32_ADD);
  code.localSet(place);
  pairOf(code, place);
  code.localGet(pair);
  code.memory(OP_I32_LOAD8_U, 0);
  shiftInPair(code, place);
  code.byte(OP_I32_SHR_U);
  code.constant(15);
  code.byte(OP_I32_AND);
}

function storeVector(code: HeapCode, offset: number): void {
  code.two(PREFIX_SIMD, V128_STORE);
  code.byte(0);
  code.u32(RAM_BEGIN + offset);
}

/** FreedChunks.note of the chunk at `address` with `tag`, whose size is in `low`. */
function noteFreed(code: HeapCode): void {
  const { address, tag, low, place, pair } = code;
  code.areaWord(places.FREED);
  code.localTee(place);
  code.memory(OP_I32_LOAD, FREED_NEXT);
  code.localSet(pair);
  rowPlace(code, 3);
  code.localGet(address);
  code.localGet(tag);
  code.byte(OP_I64_EXTEND_I32_U);
  code.constant64(BigInt(TAG_SHIFT));
  code.plain(OP_I64_SHL, OP_I64_OR, OP_F64_CONVERT_I64_S);
  code.memory(OP_F64_STORE, FREED_ROWS);
  rowPlace(code, 3);
  code.areaWord(places.FREED_CAPACITY);
  code.shiftLeft(3);
  code.byte(OP_I32_ADD);
  code.localGet(low);
  code.byte(OP_F64_CONVERT_I32_U);
  code.memory(OP_F64_STORE, FREED_ROWS);
  rowPlace(code, 2);
  code.areaWord(places.FREED_CAPACITY);
  code.shiftLeft(4);
  code.byte(OP_I32_ADD);
  code.areaWord(places.THREAD);
  code.memory(OP_I32_STORE, FREED_ROWS);
  code.localGet(place);
  code.constant(0);
  code.localGet(pair);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.localTee(pair);
  code.localGet(pair);
  code.areaWord(places.FREED_CAPACITY);
  code.plain(OP_I32_EQ, OP_SELECT);
  code.memory(OP_I32_STORE, FREED_NEXT);
  code.localGet(place);
  code.localGet(place);
  code.memory(OP_F64_LOAD, FREED_TOTAL);
  code.constantDouble(1);
  code.byte(OP_F64_ADD);
  code.memory(OP_F64_STORE, FREED_TOTAL);
}

/** Pushes where the ring's row `pair` begins in a column of elements of 2^shift bytes, at `place`. */
function rowPlace(code: HeapCode, shift: number): void {
  code.localGet(code.pair);
  code.shiftLeft(shift);
  code.localGet(code.place);
  code.byte(OP_I32_ADD);
}

/** Draws a tag that is neither 0 nor `tag`, and keeps it there (randomTag of platform/hardware/mte.ts). */
function drawTag(code: HeapCode): void {
  const { tag, pair, draw, place } = code;
  // What is not to be drawn, a bit a tag.
  code.constant(1);
  code.localGet(tag);
  code.byte(OP_I32_SHL);
  code.constant(1);
  code.byte(OP_I32_OR);
  code.localSet(pair);
  code.areaWord(places.RANDOM_TAGS);
  code.localTee(place);
  code.memory(OP_I32_LOAD, 0);
  code.localTee(draw);
  code.constant(1);
  code.localGet(draw);
  code.byte(OP_SELECT);
  code.localSet(draw);
  code.open(OP_LOOP);
  for (const [shift, operation] of [
    [13, OP_I32_SHL],
    [17, OP_I32_SHR_U],
    [5, OP_I32_SHL],
  ]) {
    code.localGet(draw);
    code.localGet(draw);
    code.constant(shift);
    code.plain(operation, OP_I32_XOR);
    code.localSet(draw);
  }
  code.localGet(pair);
  code.localGet(draw);
  code.constant(MIXER);
  code.byte(OP_I32_MUL);
  code.shiftRight(28);
  code.localTee(tag);
  code.byte(OP_I32_SHR_U);
  code.constant(1);
  code.byte(OP_I32_AND);
  code.branch(OP_BR_IF, 0);
  code.byte(OP_END);
  code.localGet(place);
  code.localGet(draw);
  code.memory(OP_I32_STORE, 0);
}

/** Zeroes the `tagBytes` at `place`, whole granules of one page and more than none, and gives them `tag` (tagAndZeroThere). */
function tagAndZero(code: HeapCode): void {
  const { place, tagBytes, next, end, pair, tag, vector, entry } = code;
  code.localGet(place);
  code.localTee(next);
  code.localGet(tagBytes);
  code.byte(OP_I32_ADD);
  code.localSet(end);
  code.constant(0);
  code.two(PREFIX_SIMD, SPLAT_8);
  code.localSet(vector);
  code.open(OP_LOOP);
  code.localGet(next);
  code.localGet(vector);
  storeVector(code, 0);
  code.localGet(next);
  code.constant(GRANULE_SIZE);
  code.byte(OP_I32_ADD);
  code.localTee(next);
  code.localGet(end);
  code.byte(OP_I32_LT_U);
  code.branch(OP_BR_IF, 0);
  code.byte(OP_END);
  pairOf(code, place);
  // Half a byte at either end, whole ones between.
  code.localGet(place);
  code.constant(GRANULE_SIZE);
  code.byte(OP_I32_AND);
  code.open(OP_IF);
  code.localGet(pair);
  code.localGet(pair);
  code.memory(OP_I32_LOAD8_U, 0);
  code.constant(0x0f);
  code.byte(OP_I32_AND);
  code.localGet(tag);
  code.shiftLeft(4);
  code.byte(OP_I32_OR);
  code.memory(OP_I32_STORE8, 0);
  code.localGet(pair);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.localSet(pair);
  code.byte(OP_END);
  // The first byte that is not whole.
  code.localGet(end);
  code.shiftRight(PAIR_SHIFT);
  code.areaWord(places.TAGS);
  code.byte(OP_I32_ADD);
  code.localSet(next);
  code.localGet(tag);
  code.constant(0x11);
  code.byte(OP_I32_MUL);
  code.localSet(entry);
  code.open(OP_BLOCK);
  code.open(OP_LOOP);
  code.localGet(pair);
  code.localGet(next);
  code.plain(OP_I32_LT_U, OP_I32_EQZ);
  code.branch(OP_BR_IF, 1);
  code.localGet(pair);
  code.localGet(entry);
  code.memory(OP_I32_STORE8, 0);
  code.localGet(pair);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.localSet(pair);
  code.branch(OP_BR, 0);
  code.plain(OP_END, OP_END);
  code.localGet(end);
  code.constant(GRANULE_SIZE);
  code.byte(OP_I32_AND);
  code.open(OP_IF);
  code.localGet(next);
  code.localGet(next);
  code.memory(OP_I32_LOAD8_U, 0);
  code.constant(0xf0);
  code.byte(OP_I32_AND);
  code.localGet(tag);
  code.byte(OP_I32_OR);
  code.memory(OP_I32_STORE8, 0);
  code.byte(OP_END);
  countBlocks(code);
}

/** Counts the whole blocks of DC GZVA from `place` to `end`. */
function countBlocks(code: HeapCode): void {
  const { place, end, next } = code;
  code.localGet(end);
  code.areaWord(places.GZVA_SHIFT);
  code.byte(OP_I32_SHR_U);
  code.localGet(place);
  code.constant(1);
  code.areaWord(places.GZVA_SHIFT);
  code.byte(OP_I32_SHL);
  code.constant(1);
  code.plain(OP_I32_SUB, OP_I32_ADD);
  code.areaWord(places.GZVA_SHIFT);
  code.plain(OP_I32_SHR_U, OP_I32_SUB);
  code.localTee(next);
  code.constant(0);
  code.byte(OP_I32_GT_S);
  code.open(OP_IF);
  code.constant(0);
  code.constant(0);
  code.memory(OP_F64_LOAD, GZVA_BLOCKS);
  code.localGet(next);
  code.plain(OP_F64_CONVERT_I32_U, OP_F64_ADD);
  code.memory(OP_F64_STORE, GZVA_BLOCKS);
  code.byte(OP_END);
}
