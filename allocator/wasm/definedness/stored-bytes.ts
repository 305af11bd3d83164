// What a module itself does about undefined bytes that it loads and stores: where it is plain that glue has not written them, it asks
// nothing. The host answers about all others (guest/validity.ts has how glue's bytes are known).

import {
  I64,
  OP_END,
  OP_I32_AND,
  OP_I32_EQ,
  OP_I32_GE_U,
  OP_I32_LOAD,
  OP_I32_OR,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I32_STORE,
  OP_I32_SUB,
  OP_I64_AND,
  OP_I64_EQ,
  OP_I64_EQZ,
  OP_I64_LOAD,
  OP_I64_LOAD32_U,
  OP_I64_OR,
  OP_I64_SUB,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
} from "../binary/instructions.ts";
import { Code } from "../rewriting/code.ts";
import { finish } from "../rewriting/helpers.ts";
import { PATTERN_WORD } from "../rewriting/layout.ts";

const ONES = 0x0101010101010101n;
const HIGH_BITS = BigInt.asIntN(64, 0x8080808080808080n);
/** Bytes that a word of four has not. */
const UPPER = BigInt.asIntN(64, 0xffffffff00000000n);

/** Where the host is asked, from which address on, and where the bits of stored bytes lie. */
export interface StoredBytes {
  readonly from: number;
  readonly storedBase: number;
  readonly host: number;
}

const [ADDRESS, SIZE, WORD] = [0, 1, 2];

/** A body with one local of 64 bits, within an `if` that the address is one of those that the host hears of. */
function beginFrom(from: number): Code {
  const code = new Code(256);
  code.two(1, 1);
  code.byte(I64);
  code.localGet(ADDRESS);
  code.constant(from);
  code.byte(OP_I32_GE_U);
  code.open(OP_IF);
  return code;
}

function endByHost(code: Code, host: number): Uint8Array {
  code.localGet(ADDRESS);
  code.localGet(SIZE);
  code.call(host);
  code.byte(OP_END);
  return finish(code);
}

/** Pushes where a byte's bit lies in the table: the address of 32 bits, of which those of an access are within the lowest 23. */
function pushRow(code: Code): void {
  code.localGet(ADDRESS);
  code.constant(3);
  code.byte(OP_I32_SHR_U);
}

function pushPlaceInRow(code: Code): void {
  code.localGet(ADDRESS);
  code.constant(7);
  code.byte(OP_I32_AND);
}

/** Pushes 64 bits of memory at the address, of which the guest's four are the lowest where `size` is 4. */
function pushWord(code: Code, size: number, base: number): void {
  code.localGet(ADDRESS);
  code.memory(size === 8 ? OP_I64_LOAD : OP_I64_LOAD32_U, base);
}

/** `size` bytes begin an `if`. */
function openIfSize(code: Code, size: number): void {
  code.localGet(SIZE);
  code.constant(size);
  code.byte(OP_I32_EQ);
  code.open(OP_IF);
}

/**
 * (address, size ≤ 16): asks the host about undefined bytes that are loaded, unless the guest stored all of them, or all still hold
 * the pattern.
 */
export function loadedHelper({ from, storedBase, host }: StoredBytes): Uint8Array {
  const code = beginFrom(from);
  pushMask(code);
  pushRow(code);
  code.memory(OP_I32_LOAD, storedBase);
  pushPlaceInRow(code);
  code.plain(OP_I32_SHR_U);
  pushMask(code);
  code.plain(OP_I32_AND, OP_I32_EQ);
  code.open(OP_IF);
  code.plain(OP_RETURN, OP_END);
  for (const size of [8, 4]) {
    openIfSize(code, size);
    pushWord(code, size, 0);
    code.constant64(size === 8 ? PATTERN_WORD : PATTERN_WORD & 0xffffffffn);
    code.byte(OP_I64_EQ);
    code.open(OP_IF);
    code.plain(OP_RETURN, OP_END, OP_END);
  }
  return endByHost(code, host);
}

/** Pushes as many low bits as the access has bytes. */
function pushMask(code: Code): void {
  code.constant(1);
  code.localGet(SIZE);
  code.byte(OP_I32_SHL);
  code.constant(1);
  code.byte(OP_I32_SUB);
}

/** From 64 bits on the stack, as high bits of bytes, which bytes are zero; all of them are 0 only if none is. */
function findZeroes(code: Code): void {
  code.localTee(WORD);
  code.constant64(ONES);
  code.byte(OP_I64_SUB);
  code.localGet(WORD);
  code.constant64(-1n);
  code.plain(OP_I64_XOR, OP_I64_AND);
  code.constant64(HIGH_BITS);
  code.byte(OP_I64_AND);
}

/**
 * (address, size): tells the host of stored bytes some of which are undefined, unless all of a word of 4 or 8 are, and none is the
 * pattern: then all their bits are set.
 */
export function storedHelper({ from, storedBase, host }: StoredBytes, validityBase: number): Uint8Array {
  const code = beginFrom(from);
  for (const size of [8, 4]) {
    openIfSize(code, size);
    for (const base of [validityBase, 0]) {
      pushWord(code, size, base);
      if (base === 0) {
        code.constant64(PATTERN_WORD);
        code.byte(OP_I64_XOR);
      }
      if (size === 4) {
        code.constant64(UPPER);
        code.byte(OP_I64_OR);
      }
      findZeroes(code);
    }
    code.plain(OP_I64_OR, OP_I64_EQZ);
    code.open(OP_IF);
    pushRow(code);
    pushRow(code);
    code.memory(OP_I32_LOAD, storedBase);
    pushMask(code);
    pushPlaceInRow(code);
    code.plain(OP_I32_SHL, OP_I32_OR);
    code.memory(OP_I32_STORE, storedBase);
    code.plain(OP_RETURN, OP_END, OP_END);
  }
  return endByHost(code, host);
}
