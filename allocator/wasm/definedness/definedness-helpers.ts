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
  OP_I32_GT_U,
  OP_I32_LT_U,
  OP_I32_SUB,
  OP_IF,
  OP_LOOP,
  OP_RETURN,
  OP_SELECT,
} from "../binary/instructions.ts";
import type { FunctionType } from "../binary/module.ts";
import { Code } from "../rewriting/code.ts";

export const FOUR_NUMBERS: FunctionType = { params: Uint8Array.of(I32, I32, I32, I32), results: new Uint8Array(0) };

const I64_STORE = 0x37;
const I64_CONST = 0x42;
const I32_GE_U = 0x4f;
/** A stack pointer that moves further than this changes to another stack, where what was written stays. */
const LONGEST_FRAME = 2 ** 20;
/** Frames up to this size are marked by single stores, longer ones by memory.fill. */
const SHORT_FRAME = 128;
const MASK_7 = 7;

function begin(locals: number): Code {
  const code = new Code(128);
  if (locals === 0) code.byte(0);
  else {
    code.two(1, locals);
    code.byte(I32);
  }
  return code;
}

function finish(code: Code): Uint8Array {
  code.byte(OP_END);
  return code.written.slice();
}

/** Makes [from, to) undefined, where both are locals; `at` is a scratch local, `length` another. */
function markUndefined(code: Code, validityBase: number, from: number, to: number, length: number): void {
  code.localGet(to);
  code.localGet(from);
  code.byte(OP_I32_SUB);
  code.localTee(length);
  code.constant(SHORT_FRAME);
  code.byte(OP_I32_GT_U);
  code.localGet(length);
  code.constant(MASK_7);
  code.plain(OP_I32_AND, 0x72);
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
  code.plain(0xfc, 11, 0);
  code.byte(OP_ELSE);
  code.open(OP_BLOCK);
  code.open(OP_LOOP);
  code.localGet(from);
  code.localGet(to);
  code.byte(I32_GE_U);
  code.branch(OP_BR_IF, 1);
  code.localGet(from);
  code.two(I64_CONST, 0x7f);
  code.memory(I64_STORE, validityBase);
  code.localGet(from);
  code.constant(8);
  code.byte(OP_I32_ADD);
  code.localSet(from);
  code.branch(OP_BR, 0);
  code.plain(OP_END, OP_END, OP_END);
}

/** (new stack pointer): the frame down to it becomes undefined. */
export function frameHelper(validityBase: number, stackGlobal: number): Uint8Array {
  const [lowest, end, length] = [0, 1, 2];
  const code = begin(2);
  code.globalGet(stackGlobal);
  code.localSet(end);
  code.localGet(lowest);
  code.localGet(end);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  markUndefined(code, validityBase, lowest, end, length);
  code.byte(OP_END);
  return finish(code);
}

/** (new stack pointer): what lies between it and the old one becomes undefined, whichever is the lower. */
export function stackHelper(validityBase: number, stackGlobal: number): Uint8Array {
  const [value, from, to, length] = [0, 1, 2, 3];
  const code = begin(3);
  const pick = (first: number, target: number): void => {
    if (first === value) code.localGet(value);
    else code.globalGet(stackGlobal);
    if (first === value) code.globalGet(stackGlobal);
    else code.localGet(value);
    code.localGet(value);
    code.globalGet(stackGlobal);
    code.plain(OP_I32_LT_U, OP_SELECT);
    code.localSet(target);
  };
  pick(value, from);
  pick(-1, to);
  markUndefined(code, validityBase, from, to, length);
  return finish(code);
}

/** (to, from, count): memory.copy of the bytes, by `copy` (which may check them first; −1: plainly), and of their shadows. */
export function copyShadowHelper(validityBase: number, copy: number): Uint8Array {
  const code = begin(0);
  for (const local of [0, 1, 2]) code.localGet(local);
  if (copy >= 0) code.call(copy);
  else code.plain(0xfc, 10, 0, 0);
  for (const local of [0, 1]) {
    code.localGet(local);
    code.constant(validityBase);
    code.byte(OP_I32_ADD);
  }
  code.localGet(2);
  code.plain(0xfc, 10, 0, 0);
  return finish(code);
}

/** (to, value, count, shadow of the value): memory.fill with its shadow; `stored` (address, size) is called for undefined bytes. */
export function fillShadowHelper(validityBase: number, fill: number, stored: number): Uint8Array {
  const code = begin(0);
  for (const local of [0, 1, 2]) code.localGet(local);
  if (fill >= 0) code.call(fill);
  else code.plain(0xfc, 11, 0);
  code.localGet(0);
  code.constant(validityBase);
  code.byte(OP_I32_ADD);
  code.localGet(3);
  code.localGet(2);
  code.plain(0xfc, 11, 0);
  code.localGet(3);
  code.constant(0xff);
  code.plain(OP_I32_AND, OP_I32_EQZ);
  code.open(OP_IF);
  code.plain(OP_RETURN, OP_END);
  code.localGet(0);
  code.localGet(2);
  code.call(stored);
  return finish(code);
}
