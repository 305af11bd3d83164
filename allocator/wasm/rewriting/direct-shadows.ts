// What the direct ways do to a chunk's bytes and shadows: as guest/addressable.ts and guest/block-validity.ts do when the host is asked.

import {
  OP_ELSE,
  OP_END,
  OP_F64_ADD,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_GE_U,
  OP_I32_GT_U,
  OP_I32_LOAD,
  OP_I32_MUL,
  OP_I32_STORE,
  OP_I32_STORE8,
  OP_I32_STORE16,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I64_EXTEND_I32_U,
  OP_I64_OR,
  OP_I64_SHL,
  OP_I64_SHR_U,
  OP_I64_STORE,
  OP_I64_SUB,
  OP_IF,
} from "../binary/instructions.ts";
import type { DirectCode } from "./direct-code.ts";
import * as tables from "./heap-tables.ts";
import { ALLOCATION_BYTES, GRANULE, GRANULE_SHIFT, KEPT_ALLOCATIONS, PATTERN } from "./layout.ts";

/** Up to so many bytes are set by single stores: the engine's memory.fill is a call out of the compiled code. */
const SHORT = 256;
/** Bytes that have an origin together. */
const WORD = 4;

/** As Addressable.chunkAllocated: whole granules, and of the last one its bytes. The room of a block is an even number of granules. */
export function markAddressable(code: DirectCode): void {
  paint(code, -1n, () => {
    code.localGet(code.word);
    code.byte(OP_I32_WRAP_I64);
  });
}

/** As Addressable.chunkFreed. */
export function erase(code: DirectCode): void {
  paint(code, 0n, () => code.constant(0));
}

/** The shadow of the chunk's granules: `whole` while a word of them is left, and then what `part` pushes. */
function paint(code: DirectCode, whole: bigint, part: () => void): void {
  const { at, left, size } = code;
  code.pushPointer();
  code.shiftRight(GRANULE_SHIFT);
  code.localSet(at);
  code.localGet(size);
  code.localSet(left);
  code.whileAtLeast(left, 8 * GRANULE, () => {
    code.localGet(at);
    code.constant64(whole);
    shadow(code, OP_I64_STORE);
    code.advance(at, 8);
  });
  if (code.way.kind === "allocate") lastWord(code);
  rest(code, 32, OP_I32_STORE, part);
  rest(code, 16, OP_I32_STORE16, part);
  code.localGet(left);
  code.open(OP_IF);
  code.localGet(at);
  part();
  shadow(code, OP_I32_STORE16);
  code.byte(OP_END);
}

/** What is left, as the bytes of a word: 0xff for each granule, then the count of the last one's. */
function lastWord(code: DirectCode): void {
  const { left, size, word } = code;
  code.constant64(1n);
  code.localGet(left);
  code.shiftRight(GRANULE_SHIFT);
  code.shiftLeft(3);
  code.byte(OP_I64_EXTEND_I32_U);
  code.byte(OP_I64_SHL);
  code.constant64(1n);
  code.byte(OP_I64_SUB);
  code.localGet(size);
  code.constant(GRANULE - 1);
  code.byte(OP_I32_AND);
  code.byte(OP_I64_EXTEND_I32_U);
  code.localGet(left);
  code.shiftRight(GRANULE_SHIFT);
  code.shiftLeft(3);
  code.byte(OP_I64_EXTEND_I32_U);
  code.plain(OP_I64_SHL, OP_I64_OR);
  code.localSet(word);
}

function shadow(code: DirectCode, opcode: number): void {
  code.memory(opcode, code.layout.shadowBase);
}

/** If `bytes` are left, the shadow of so many, and the word for the others moves down. */
function rest(code: DirectCode, bytes: number, opcode: number, value: () => void): void {
  const { at, left, word } = code;
  code.localGet(left);
  code.constant(bytes);
  code.byte(OP_I32_GE_U);
  code.open(OP_IF);
  code.localGet(at);
  value();
  shadow(code, opcode);
  code.advance(at, bytes / GRANULE);
  if (code.way.kind === "allocate") {
    code.localGet(word);
    code.constant64(BigInt(bytes));
    code.byte(OP_I64_SHR_U);
    code.localSet(word);
  }
  code.localGet(left);
  code.constant(bytes);
  code.byte(OP_I32_SUB);
  code.localSet(left);
  code.byte(OP_END);
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
    () =>
      code.whileAtLeast(left, 16, () => {
        for (const offset of [0, 8]) {
          code.localGet(at);
          code.constant64(0n);
          code.memory(OP_I64_STORE, offset);
        }
        code.advance(at, 16);
      }),
  );
  code.countBytes(tables.FILLED, OP_F64_ADD);
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
    const pattern = BigInt.asIntN(64, BigInt(PATTERN) * 0x0101_0101_0101_0101n);
    fillLeft(
      code,
      PATTERN,
      () => code.localGet(at),
      () => {
        code.whileAtLeast(left, 8, () => {
          code.localGet(at);
          code.constant64(pattern);
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
