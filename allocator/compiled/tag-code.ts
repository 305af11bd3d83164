// Steps of the compiled malloc and free of a tagged heap: a granule's tag, a range that gets one with zeroes, a draw, a row in the ring of
// freed chunks. The bodies are tagged-code.ts.

import { GZVA_BLOCKS } from "../../platform/hardware/host-memory.ts";
import { GRANULE_SHIFT, GRANULE_SIZE, TAG_UNIT } from "../../platform/hardware/layout.ts";
import { HEADER_SIZE } from "../combined/chunk-header.ts";
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
  OP_F64_STORE,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_GT_S,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_LT_U,
  OP_I32_MUL,
  OP_I32_OR,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I32_STORE,
  OP_I32_STORE8,
  OP_I32_SUB,
  OP_I32_XOR,
  OP_I64_EXTEND_I32_U,
  OP_I64_OR,
  OP_I64_SHL,
  OP_IF,
  OP_LOOP,
  OP_SELECT,
} from "../wasm/binary/instructions.ts";
import type { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";

export const TAG_SHIFT = Math.log2(TAG_UNIT);
/** What makes a tag of a generator's state (platform/hardware/mte.ts). */
const MIXER = 0x9e3779b1;
/** Two granules' tags a byte. */
const PAIR_SHIFT = GRANULE_SHIFT + 1;

/** Keeps in `pair` where the tags of the granule at a place are, and its neighbour's. */
export function pairOf(code: HeapCode, place: number): void {
  code.localGet(place);
  code.shiftRight(PAIR_SHIFT);
  code.areaWord(places.TAGS);
  code.byte(OP_I32_ADD);
  code.localSet(code.pair);
}

/** Pushes by how many bits the tag of the granule at a place is shifted in its byte: 0 or 4. */
export function shiftInPair(code: HeapCode, place: number): void {
  code.localGet(place);
  code.shiftRight(2);
  code.constant(4);
  code.byte(OP_I32_AND);
}

/** Pushes the tag of the chunk's first granule, behind the header at `at`. */
export function loadTag(code: HeapCode): void {
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

/** FreedChunks.note of the chunk at `address` with `tag`, whose size is in `low`. */
export function noteFreed(code: HeapCode): void {
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
export function drawTag(code: HeapCode): void {
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
export function tagAndZero(code: HeapCode): void {
  const { place, tagBytes, next, end, pair, tag, vector, entry } = code;
  code.localGet(place);
  code.localTee(next);
  code.localGet(tagBytes);
  code.byte(OP_I32_ADD);
  code.localSet(end);
  code.constant(0);
  code.splat();
  code.localSet(vector);
  code.open(OP_LOOP);
  code.localGet(next);
  code.localGet(vector);
  code.storeVector(0);
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
  code.addTo(GZVA_BLOCKS, () => {
    code.localGet(next);
    code.byte(OP_F64_CONVERT_I32_U);
  });
  code.byte(OP_END);
}
