// What the direct ways do to a chunk's bytes and shadows: as guest/addressable.ts and guest/block-validity.ts do when the host is asked.

import {
  OP_ELSE,
  OP_END,
  OP_F64_ADD,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_GT_U,
  OP_I32_LE_U,
  OP_I32_LOAD,
  OP_I32_MUL,
  OP_I32_STORE,
  OP_I32_STORE8,
  OP_I32_SUB,
  OP_I64_EXTEND_I32_U,
  OP_I64_LOAD,
  OP_I64_OR,
  OP_I64_SHL,
  OP_I64_SHR_U,
  OP_I64_STORE,
  OP_I64_STORE16,
  OP_I64_STORE32,
  OP_IF,
} from "../binary/instructions.ts";
import type { DirectCode } from "./direct-code.ts";
import * as tables from "./heap-tables.ts";
import { ALLOCATION_BYTES, GRANULE, GRANULE_SHIFT, KEPT_ALLOCATIONS, PATTERN, PATTERN_WORD } from "./layout.ts";

/** Up to so many bytes are set by single stores: the engine's memory.fill is a call out of the compiled code. */
const SHORT = 256;
/** Of any map of size classes. */
const SMALLEST_BLOCK = 32;
/** Sizes are rounded up to this, as blocks are made. */
const ROUNDING = 2 * GRANULE;
/** Bytes that have an origin together. */
const WORD = 4;

/** As Addressable.chunkAllocated: whole granules, and of the last one its bytes. The room of a block is an even number of granules. */
export function markAddressable(code: DirectCode): void {
  paint(code, -1n, (push) => {
    push();
    code.shiftLeft(3);
    code.table(OP_I64_LOAD, tables.SHADOWS);
  });
}

/** As Addressable.chunkFreed. */
export function erase(code: DirectCode): void {
  paint(code, 0n, () => code.constant64(0n));
}

/**
 * The shadow of the chunk's granules, two at a time, which a chunk is rounded up to: by one store or two that overlap, or by words
 * and one that overlaps the one before.
 * @param whole a word of it, of a chunk that goes on behind
 * @param last its last word, from how many of the chunk's bytes that stands for, which are pushed
 */
function paint(code: DirectCode, whole: bigint, last: (push: () => void) => void): void {
  const { at, left, size, word } = code;
  const pushSize = () => code.localGet(size);
  code.pushPointer();
  code.shiftRight(GRANULE_SHIFT);
  code.localSet(at);
  ifAtMost(code, size, 32);
  ifAtMost(code, size, 16);
  code.localGet(at);
  last(pushSize);
  shadow(code, OP_I64_STORE16);
  code.byte(OP_ELSE);
  code.localGet(at);
  last(pushSize);
  shadow(code, OP_I64_STORE32);
  code.plain(OP_END, OP_ELSE);
  // From here on, what the room has beyond 16 bytes.
  code.localGet(size);
  code.constant(ROUNDING - 1);
  code.byte(OP_I32_ADD);
  code.constant(-ROUNDING);
  code.byte(OP_I32_AND);
  code.constant(ROUNDING);
  code.byte(OP_I32_SUB);
  code.localSet(left);
  ifAtMost(code, size, tables.SHADOW_WORD);
  last(pushSize);
  code.localSet(word);
  code.localGet(at);
  code.localGet(word);
  shadow(code, OP_I64_STORE32);
  pushTail(code);
  code.localGet(word);
  code.localGet(left);
  code.constant(32 - ROUNDING);
  code.plain(OP_I32_SUB, OP_I64_EXTEND_I32_U, OP_I64_SHR_U);
  shadow(code, OP_I64_STORE32, (32 - ROUNDING) / GRANULE);
  code.byte(OP_ELSE);
  code.whileAtLeast(left, tables.SHADOW_WORD, () => {
    code.localGet(at);
    code.constant64(whole);
    shadow(code, OP_I64_STORE);
    code.advance(at, tables.SHADOW_WORD / GRANULE);
  });
  pushTail(code);
  last(() => {
    code.localGet(size);
    code.constant(ROUNDING - 1);
    code.byte(OP_I32_ADD);
    code.constant(ROUNDING - 1);
    code.byte(OP_I32_AND);
    code.constant(tables.SHADOW_WORD - ROUNDING + 1);
    code.byte(OP_I32_ADD);
  });
  shadow(code, OP_I64_STORE, (tables.SHADOW_WORD - ROUNDING) / GRANULE);
  code.plain(OP_END, OP_END);
}

/** Pushes where the granules of what is left begin. */
function pushTail(code: DirectCode): void {
  code.localGet(code.at);
  code.localGet(code.left);
  code.shiftRight(GRANULE_SHIFT);
  code.byte(OP_I32_ADD);
}

function ifAtMost(code: DirectCode, local: number, most: number): void {
  code.localGet(local);
  code.constant(most);
  code.byte(OP_I32_LE_U);
  code.open(OP_IF);
}

/** A store to the shadow, of granules that begin so many before the address. */
function shadow(code: DirectCode, opcode: number, before = 0): void {
  code.memory(opcode, code.layout.shadowBase - before);
}

/** calloc's block is zeroed as a whole, and counted. */
export function zeroBlock(code: DirectCode): void {
  const { block, row, at, left } = code;
  code.localGet(block);
  code.localSet(at);
  code.localGet(row);
  code.table(OP_I32_LOAD, tables.BLOCK_SIZES);
  code.localTee(left);
  fillLeft(
    code,
    0,
    () => code.localGet(block),
    () => {
      zero(code, SMALLEST_BLOCK);
      code.localGet(left);
      code.constant(SMALLEST_BLOCK);
      code.byte(OP_I32_SUB);
      code.localSet(left);
      code.whileAtLeast(left, ROUNDING, () => zero(code, ROUNDING));
    },
  );
  code.countBytes(tables.FILLED, OP_F64_ADD);
}

function zero(code: DirectCode, bytes: number): void {
  for (let offset = 0; offset < bytes; offset += 8) {
    code.localGet(code.at);
    code.constant64(0n);
    code.memory(OP_I64_STORE, offset);
  }
  code.advance(code.at, bytes);
}

/** As Origins.allocated: the allocation gets a number, and a row. */
function numberAllocation(code: DirectCode): void {
  const { layout, size, trace, origin, at } = code;
  code.constant(0);
  code.loadWord(tables.LAST_ORIGIN);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.localTee(origin);
  code.table(OP_I32_STORE, tables.LAST_ORIGIN);
  code.localGet(origin);
  code.constant(KEPT_ALLOCATIONS - 1);
  code.byte(OP_I32_AND);
  code.constant(ALLOCATION_BYTES);
  code.byte(OP_I32_MUL);
  code.localTee(at);
  code.pushPointer();
  code.memory(OP_I32_STORE, layout.allocationsBase);
  code.localGet(at);
  code.localGet(size);
  code.memory(OP_I32_STORE, layout.allocationsBase + 4);
  code.localGet(at);
  code.localGet(trace);
  code.memory(OP_I32_STORE, layout.allocationsBase + 8);
}

/** As Validity.setOrigin and blockEnds: the origins of all granules that an undefined chunk has a part of. */
function setOrigins(code: DirectCode): void {
  const { layout, size, at, left, origin, word } = code;
  code.localGet(origin);
  code.byte(OP_I64_EXTEND_I32_U);
  code.localTee(word);
  code.localGet(word);
  code.constant64(32n);
  code.plain(OP_I64_SHL, OP_I64_OR);
  code.localSet(word);
  code.pushPointer();
  code.localSet(at);
  code.localGet(size);
  code.constant(GRANULE - 1);
  code.byte(OP_I32_ADD);
  code.localSet(left);
  code.whileAtLeast(left, GRANULE, () => {
    code.localGet(at);
    code.localGet(word);
    code.memory(OP_I64_STORE, layout.originBase);
    code.advance(at, GRANULE);
  });
}

/** As Validity.blockEnds, of a chunk that is zeroed: the origin of a word of four bytes between its end and the granule's. */
function setOriginBehind(code: DirectCode): void {
  const { layout, size, at, origin } = code;
  code.localGet(size);
  code.constant(WORD - 1);
  code.byte(OP_I32_ADD);
  code.constant(-WORD);
  code.byte(OP_I32_AND);
  code.localTee(at);
  code.constant(WORD);
  code.byte(OP_I32_AND);
  code.open(OP_IF);
  code.pushPointer();
  code.localGet(at);
  code.byte(OP_I32_ADD);
  code.localGet(origin);
  code.memory(OP_I32_STORE, layout.originBase);
  code.byte(OP_END);
}

/** As BlockValidity: a chunk that is not zeroed is undefined and holds the pattern, and so are the bytes behind its end. */
export function markFresh(code: DirectCode): void {
  const { layout, size, at, left, way } = code;
  if (layout.originBase >= 0) {
    numberAllocation(code);
    if (way.isZeroed) setOriginBehind(code);
    else setOrigins(code);
  }
  if (!way.isZeroed) {
    fillRange(code, layout.validityBase, -1);
    // The pattern, but for the bytes behind the end.
    code.pushPointer();
    code.localSet(at);
    code.localGet(size);
    code.localTee(left);
    fillLeft(
      code,
      PATTERN,
      () => code.localGet(at),
      () => {
        code.whileAtLeast(left, 8, () => {
          code.localGet(at);
          code.constant64(PATTERN_WORD);
          code.memory(OP_I64_STORE, 0);
          code.advance(at, 8);
        });
        code.whileAtLeast(left, 1, () => {
          code.localGet(at);
          code.constant(PATTERN);
          code.memory(OP_I32_STORE8, 0);
          code.advance(at, 1);
        });
      },
    );
    clearStored(code);
    return;
  }
  // calloc's last granule: what is behind the end is undefined.
  code.localGet(size);
  code.constant(GRANULE - 1);
  code.byte(OP_I32_AND);
  code.localTee(left);
  code.open(OP_IF);
  code.pushPointer();
  code.localGet(size);
  code.constant(-GRANULE);
  code.plain(OP_I32_AND, OP_I32_ADD);
  code.constant64(-1n);
  code.localGet(left);
  code.shiftLeft(3);
  code.plain(OP_I64_EXTEND_I32_U, OP_I64_SHL);
  code.memory(OP_I64_STORE, layout.validityBase);
  code.byte(OP_END);
}

/** Sets the granules of a range's shadow of bytes: all of those that the chunk has a part of. */
export function fillRange(code: DirectCode, base: number, value: -1 | 0): void {
  const { size, at, left } = code;
  code.pushPointer();
  code.localSet(at);
  code.localGet(size);
  code.constant(GRANULE - 1);
  code.byte(OP_I32_ADD);
  code.constant(-GRANULE);
  code.byte(OP_I32_AND);
  code.localTee(left);
  fillLeft(
    code,
    value & 0xff,
    () => {
      code.localGet(at);
      code.constant(base);
      code.byte(OP_I32_ADD);
    },
    () =>
      code.whileAtLeast(left, GRANULE, () => {
        code.localGet(at);
        code.constant64(BigInt(value));
        code.memory(OP_I64_STORE, base);
        code.advance(at, GRANULE);
      }),
  );
}

/** From `left` on the stack: fills so many bytes from the pushed address on, a few by `short` in the place of the engine's fill. */
function fillLeft(code: DirectCode, value: number, pushAddress: () => void, short: () => void): void {
  code.constant(SHORT);
  code.byte(OP_I32_GT_U);
  code.open(OP_IF);
  pushAddress();
  code.constant(value);
  code.localGet(code.left);
  code.fillMemory();
  code.byte(OP_ELSE);
  short();
  code.byte(OP_END);
}

/** A bit for each byte: none of the chunk's was stored by the module. */
function clearStored(code: DirectCode): void {
  const { size, at, left, layout } = code;
  code.pushPointer();
  code.shiftRight(3);
  code.localSet(at);
  code.localGet(size);
  code.constant(GRANULE - 1);
  code.byte(OP_I32_ADD);
  code.shiftRight(3);
  code.localSet(left);
  code.whileAtLeast(left, 8, () => {
    code.localGet(at);
    code.constant64(0n);
    code.memory(OP_I64_STORE, layout.storedBase);
    code.advance(at, 8);
  });
  code.whileAtLeast(left, 1, () => {
    code.localGet(at);
    code.constant(0);
    code.memory(OP_I32_STORE8, layout.storedBase);
    code.advance(at, 1);
  });
}
