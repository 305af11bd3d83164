// The functions that a module gets for definedness: frames that begin and end, memory copied and filled with its shadow.
// They are WebAssembly; what the host does is reached by slots (rewriting/helpers.ts).

import {
  I32,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_ELSE,
  OP_END,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQZ,
  OP_I32_GE_U,
  OP_I32_GT_U,
  OP_I32_LOAD8_U,
  OP_I32_LT_U,
  OP_I32_OR,
  OP_I32_STORE,
  OP_I32_SUB,
  OP_I64_CONST,
  OP_I64_LOAD,
  OP_I64_STORE,
  OP_IF,
  OP_LOOP,
  OP_RETURN,
} from "../binary/instructions.ts";
import type { FunctionType } from "../binary/module.ts";
import type { Code } from "../rewriting/code.ts";
import { begin, finish, LONGEST_FRAME } from "../rewriting/helpers.ts";
import { PATTERN } from "../rewriting/layout.ts";
import { ORIGIN_CELL } from "./origin-code.ts";

export const FOUR_NUMBERS: FunctionType = { params: Uint8Array.of(I32, I32, I32, I32), results: new Uint8Array(0) };
export const FIVE_NUMBERS: FunctionType = {
  params: Uint8Array.of(I32, I32, I32, I32, I32),
  results: new Uint8Array(0),
};

/** Where shadows lie, and origins (−1: they are not followed). */
export interface Shadows {
  readonly validityBase: number;
  readonly originBase: number;
}

const I64_NE = 0x52;
/** Frames up to this size are marked by single stores, longer ones by memory.fill. */
const SHORT_FRAME = 128;
const MASK_7 = 7;

/** Eight pattern bytes as a signed LEB128 number of 64 bits. */
const PATTERN_WORD = signedLeb(BigInt.asIntN(64, BigInt(PATTERN) * 0x0101_0101_0101_0101n));

function signedLeb(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 127n);
    const isLast = rest >> 6n === 0n || rest >> 6n === -1n;
    bytes.push(isLast ? low : low | 128);
    if (isLast) return Uint8Array.from(bytes);
  }
}

/** For origins: the local that has a frame's, and the function (address, size, origin) that sets those of memory. */
interface FrameHost {
  readonly origin: number;
  readonly setOrigin: number;
}

/** Makes [from, to) undefined, where both are locals, and fills it with the pattern if it `isFresh`; `length` is a scratch local. */
function markUndefined(
  code: Code,
  { validityBase, originBase }: Shadows,
  [from, to, length]: readonly number[],
  isFresh: boolean,
  host: FrameHost,
): void {
  code.localGet(to);
  code.localGet(from);
  code.byte(OP_I32_SUB);
  code.localTee(length);
  code.constant(SHORT_FRAME);
  code.byte(OP_I32_GT_U);
  code.localGet(length);
  code.constant(MASK_7);
  code.plain(OP_I32_AND, OP_I32_OR);
  code.open(OP_IF);
  code.localGet(length);
  code.constant(LONGEST_FRAME);
  code.byte(OP_I32_GT_U);
  code.open(OP_IF);
  code.plain(OP_RETURN, OP_END);
  code.localGet(from);
  code.constant(validityBase);
  code.byte(OP_I32_ADD);
  code.constant(0xff);
  code.localGet(length);
  code.fillMemory();
  if (isFresh) {
    code.localGet(from);
    code.constant(PATTERN);
    code.localGet(length);
    code.fillMemory();
  }
  if (originBase >= 0) {
    for (const local of [from, length, host.origin]) code.localGet(local);
    code.call(host.setOrigin);
  }
  code.byte(OP_ELSE);
  code.open(OP_BLOCK);
  code.open(OP_LOOP);
  code.localGet(from);
  code.localGet(to);
  code.byte(OP_I32_GE_U);
  code.branch(OP_BR_IF, 1);
  code.localGet(from);
  code.two(OP_I64_CONST, 0x7f);
  code.memory(OP_I64_STORE, validityBase);
  if (isFresh) {
    code.localGet(from);
    code.byte(OP_I64_CONST);
    code.append(PATTERN_WORD, 0, PATTERN_WORD.length);
    code.memory(OP_I64_STORE, 0);
  }
  for (let cell = 0; cell < 8 && originBase >= 0; cell += ORIGIN_CELL) {
    code.localGet(from);
    code.localGet(host.origin);
    code.memory(OP_I32_STORE, originBase + cell);
  }
  code.localGet(from);
  code.constant(8);
  code.byte(OP_I32_ADD);
  code.localSet(from);
  code.branch(OP_BR, 0);
  code.plain(OP_END, OP_END, OP_END);
}

/** (new stack pointer), and its origin if that is followed: the frame down to it becomes undefined. */
export function frameHelper(shadows: Shadows, stackGlobal: number, setOrigin: number): Uint8Array {
  return belowStack(shadows, stackGlobal, setOrigin, true);
}

/** As {@link frameHelper}, of a frame that is left, and may never have begun: then it is called with 0. */
export function leafHelper(shadows: Shadows, stackGlobal: number, setOrigin: number): Uint8Array {
  return belowStack(shadows, stackGlobal, setOrigin, false);
}

function belowStack(shadows: Shadows, stackGlobal: number, setOrigin: number, isFresh: boolean): Uint8Array {
  const params = shadows.originBase < 0 ? 1 : 2;
  const [lowest, end, length] = [0, params, params + 1];
  const code = begin(2);
  if (!isFresh) {
    code.localGet(lowest);
    code.byte(OP_I32_EQZ);
    code.open(OP_IF);
    code.plain(OP_RETURN, OP_END);
  }
  code.globalGet(stackGlobal);
  code.localSet(end);
  code.localGet(lowest);
  code.localGet(end);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  markUndefined(code, shadows, [lowest, end, length], isFresh, { origin: 1, setOrigin });
  code.byte(OP_END);
  return finish(code);
}

/** (new begin, old begin), and the origin if that is followed: what lies between them becomes undefined, unless the new one is higher. */
export function longerFrameHelper(shadows: Shadows, setOrigin: number): Uint8Array {
  const [lowest, end, length] = [0, 1, shadows.originBase < 0 ? 2 : 3];
  const code = begin(1);
  code.localGet(lowest);
  code.localGet(end);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  markUndefined(code, shadows, [lowest, end, length], true, { origin: 2, setOrigin });
  code.byte(OP_END);
  return finish(code);
}

/**
 * (new stack pointer), and the origin if that is followed: what lies between it and the old one becomes undefined, and fresh if the
 * new one is the lower.
 */
export function stackHelper(shadows: Shadows, stackGlobal: number, setOrigin: number): Uint8Array {
  const params = shadows.originBase < 0 ? 1 : 2;
  const [value, old, length] = [0, params, params + 1];
  const host = { origin: 1, setOrigin };
  const code = begin(2);
  code.globalGet(stackGlobal);
  code.localTee(old);
  code.localGet(value);
  code.byte(OP_I32_GE_U);
  code.open(OP_IF);
  markUndefined(code, shadows, [value, old, length], true, host);
  code.byte(OP_ELSE);
  markUndefined(code, shadows, [old, value, length], false, host);
  code.byte(OP_END);
  return finish(code);
}

/** (new stack pointer) of a frame that the host asks for, to write to it: it is defined. */
export function hostFrameHelper(validityBase: number, stackGlobal: number): Uint8Array {
  const [value, length] = [0, 1];
  const code = begin(1);
  code.globalGet(stackGlobal);
  code.localGet(value);
  code.byte(OP_I32_SUB);
  code.localTee(length);
  code.constant(LONGEST_FRAME);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  code.localGet(value);
  code.constant(validityBase);
  code.byte(OP_I32_ADD);
  code.constant(0);
  code.localGet(length);
  code.fillMemory();
  code.byte(OP_END);
  return finish(code);
}

/**
 * (to, from, count): memory.copy of the bytes, by `copy` (which may check them first; −1: plainly), and of their shadows.
 * `stored` (address, size) is called if some of them are undefined, and before it `origins` (to, from, count) unless that is −1.
 */
export function copyShadowHelper(validityBase: number, copy: number, stored: number, origins: number): Uint8Array {
  const [to, from, count, at] = [0, 1, 2, 3];
  const code = begin(1);
  for (const local of [to, from, count]) code.localGet(local);
  if (copy >= 0) code.call(copy);
  else code.plain(0xfc, 10, 0, 0);
  for (const local of [to, from]) {
    code.localGet(local);
    code.constant(validityBase);
    code.byte(OP_I32_ADD);
  }
  code.localGet(count);
  code.plain(0xfc, 10, 0, 0);
  // Eight at a time, then the rest one by one: the first that is undefined ends it.
  code.localGet(to);
  code.localSet(at);
  for (const step of [8, 1]) {
    code.open(OP_BLOCK);
    code.open(OP_LOOP);
    code.localGet(count);
    code.localGet(at);
    code.localGet(to);
    code.plain(OP_I32_SUB, OP_I32_SUB);
    code.constant(step);
    code.byte(OP_I32_LT_U);
    code.branch(OP_BR_IF, 1);
    code.localGet(at);
    code.memory(step === 8 ? OP_I64_LOAD : OP_I32_LOAD8_U, validityBase);
    if (step === 8) code.plain(OP_I64_CONST, 0, I64_NE);
    code.open(OP_IF);
    if (origins >= 0) {
      for (const local of [to, from, count]) code.localGet(local);
      code.call(origins);
    }
    code.localGet(to);
    code.localGet(count);
    code.call(stored);
    code.plain(OP_RETURN, OP_END);
    code.localGet(at);
    code.constant(step);
    code.byte(OP_I32_ADD);
    code.localSet(at);
    code.branch(OP_BR, 0);
    code.plain(OP_END, OP_END);
  }
  return finish(code);
}

/**
 * (to, value, count, shadow of the value), and its origin unless `setOrigin` (address, size, origin) is −1: memory.fill with its shadow;
 * `stored` (address, size) is called for undefined bytes.
 */
export function fillShadowHelper(validityBase: number, fill: number, stored: number, setOrigin: number): Uint8Array {
  const code = begin(0);
  for (const local of [0, 1, 2]) code.localGet(local);
  if (fill >= 0) code.call(fill);
  else code.fillMemory();
  code.localGet(0);
  code.constant(validityBase);
  code.byte(OP_I32_ADD);
  code.localGet(3);
  code.localGet(2);
  code.fillMemory();
  code.localGet(3);
  code.constant(0xff);
  code.plain(OP_I32_AND, OP_I32_EQZ);
  code.open(OP_IF);
  code.plain(OP_RETURN, OP_END);
  if (setOrigin >= 0) {
    for (const local of [0, 2, 4]) code.localGet(local);
    code.call(setOrigin);
  }
  code.localGet(0);
  code.localGet(2);
  code.call(stored);
  return finish(code);
}
