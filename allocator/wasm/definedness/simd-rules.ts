// The rules of the vector instructions (rule.ts says what a rule is): a lane of the result is undefined as a whole if a lane that it
// comes from has an undefined bit; moves and bitwise operations are exact.

import {
  BASE_SIMD,
  OP_ELSE,
  OP_END,
  OP_I32_AND,
  OP_I32_CONST,
  OP_I32_XOR,
  OP_IF,
  PREFIX_SIMD,
  V128,
} from "../binary/instructions.ts";
import type { Code } from "../rewriting/code.ts";
import type { Rule, RuleInput } from "./rule.ts";

const SHUFFLE = 0x0d;
const SWIZZLE = 0x0e;
const NOT = 0x4d;
const AND = 0x4e;
const ANDNOT = 0x4f;
const OR = 0x50;
const XOR = 0x51;
const ANY_TRUE = 0x53;

/** By log2 of a lane's bytes: `ne`, which makes all ones of a lane that is not zero. */
const NE = [0x24, 0x2e, 0x38, 0xd7];
const EXTEND_LOW_S_16 = 0x87;

function simd(code: Code, opcode: number): void {
  code.byte(PREFIX_SIMD);
  code.u32(opcode);
}

function pushVector(code: Code, byte: number): void {
  simd(code, 0x0c);
  for (let i = 0; i < 16; i++) code.byte(byte);
}

function pushShadow({ code, shadows }: RuleInput, operand: number): void {
  if (shadows[operand] < 0) pushVector(code, 0);
  else code.localGet(shadows[operand]);
}

function pushUnion({ code, shadows }: RuleInput, operands: number): void {
  let pushed = 0;
  for (let operand = 0; operand < operands; operand++) {
    if (shadows[operand] < 0) continue;
    code.localGet(shadows[operand]);
    if (pushed++ > 0) simd(code, OR);
  }
}

/** On the stack a shadow: leaves all ones in each lane that has a set bit. */
function pessimiseLanes(code: Code, lane: number): void {
  pushVector(code, 0);
  simd(code, NE[lane]);
}

/** On the stack an i32 truth value: leaves a vector of all ones or zeroes. */
function spread(code: Code): void {
  code.two(OP_IF, V128);
  pushVector(code, 0xff);
  code.byte(OP_ELSE);
  pushVector(code, 0);
  code.byte(OP_END);
}

function pessimiseVector(code: Code): void {
  simd(code, ANY_TRUE);
  spread(code);
}

const rule = (write: (input: RuleInput) => void): Rule => ({ values: () => 0, write });
const ruleOfValues = (write: (input: RuleInput) => void): Rule => ({ values: () => 7, write });

/** `operands` vectors, lane by lane of 2^lane bytes. */
const lanes = (lane: number, operands: number): Rule =>
  rule((input) => {
    pushUnion(input, operands);
    pessimiseLanes(input.code, lane);
  });

/** Lanes of a result that has other lanes than its operands, by the instruction `move` on the operands' lanes. */
const moved = (lane: number, operands: number, move: number): Rule =>
  rule((input) => {
    pushUnion(input, operands);
    pessimiseLanes(input.code, lane);
    simd(input.code, move);
  });

const vector = (operands: number): Rule =>
  rule((input) => {
    pushUnion(input, operands);
    pessimiseVector(input.code);
  });

const unchanged: Rule = rule((input) => pushShadow(input, 0));

/** The same instruction on the shadows of its operands. */
const same = (operands: number): Rule =>
  rule((input) => {
    for (let operand = 0; operand < operands; operand++) pushShadow(input, operand);
    input.code.append(input.bytes, input.start, input.end);
  });

/** Another instruction on the shadow, with the lane of this one. */
const laneOf = (opcode: number, scalar: number): Rule =>
  rule((input) => {
    const { code, shadows } = input;
    pushShadow(input, 0);
    if (scalar !== 0) {
      if (shadows[1] >= 0) code.localGet(shadows[1]);
      else {
        code.byte(scalar);
        code.byte(0);
      }
    }
    simd(code, opcode);
    code.byte(input.bytes[input.end - 1]);
  });

const splat = (opcode: number): Rule =>
  rule(({ code, shadows }) => {
    code.localGet(shadows[0]);
    simd(code, opcode);
  });

/** A bit is defined where both are, or where one decides; `flips`: operands whose values count inverted. */
const bitwise = (flips: readonly [boolean, boolean]): Rule =>
  ruleOfValues((input) => {
    const { code, values, shadows } = input;
    pushUnion(input, 2);
    for (const operand of [0, 1]) {
      code.localGet(values[operand]);
      if (flips[operand]) simd(code, NOT);
      if (shadows[operand] >= 0) {
        code.localGet(shadows[operand]);
        simd(code, OR);
      }
      simd(code, AND);
    }
  });

/** bitselect(a, b, mask): where the mask is undefined, what a and b do not agree in. */
const select: Rule = ruleOfValues((input) => {
  const { code, values, shadows } = input;
  pushShadow(input, 0);
  pushShadow(input, 1);
  code.localGet(values[2]);
  simd(code, 0x52);
  if (shadows[2] < 0) return;
  code.localGet(values[0]);
  code.localGet(values[1]);
  simd(code, XOR);
  for (const operand of [0, 1]) {
    if (shadows[operand] < 0) continue;
    code.localGet(shadows[operand]);
    simd(code, OR);
  }
  code.localGet(shadows[2]);
  simd(code, AND);
  simd(code, OR);
});

/** A truth that is the same whether undefined bits are 0 or 1. */
const truth = (opcode: number): Rule =>
  ruleOfValues(({ code, values, shadows }) => {
    code.localGet(values[0]);
    code.localGet(shadows[0]);
    simd(code, OR);
    simd(code, opcode);
    code.localGet(values[0]);
    code.localGet(shadows[0]);
    simd(code, ANDNOT);
    simd(code, opcode);
    code.byte(OP_I32_XOR);
  });

/** The same shift of the shadow; all is undefined if the amount, of which `mask` counts, is. */
const shift = (opcode: number, mask: number): Rule =>
  ruleOfValues((input) => {
    const { code, values, shadows } = input;
    pushShadow(input, 0);
    code.localGet(values[1]);
    simd(code, opcode);
    if (shadows[1] < 0) return;
    code.localGet(shadows[1]);
    code.byte(OP_I32_CONST);
    code.s32(mask);
    code.byte(OP_I32_AND);
    spread(code);
    simd(code, OR);
  });

/** A lane moves by a defined index; an undefined index makes the lane undefined. */
const swizzle: Rule = ruleOfValues((input) => {
  const { code, values, shadows } = input;
  pushShadow(input, 0);
  code.localGet(values[1]);
  simd(code, SWIZZLE);
  if (shadows[1] < 0) return;
  code.localGet(shadows[1]);
  pessimiseLanes(code, 0);
  simd(code, OR);
});

/** Two lanes into one of half the width: signed narrowing keeps all ones and zero. */
const narrow = (lane: number, opcode: number): Rule =>
  rule((input) => {
    for (const operand of [0, 1]) {
      pushShadow(input, operand);
      if (input.shadows[operand] >= 0) pessimiseLanes(input.code, lane);
    }
    simd(input.code, opcode);
  });

function rows(): [number, Rule][] {
  const list: [number, Rule][] = [];
  const at = (opcode: number, made: Rule): void => void list.push([BASE_SIMD + opcode, made]);
  const range = (first: number, last: number, made: Rule): void => {
    for (let opcode = first; opcode <= last; opcode++) at(opcode, made);
  };
  at(SHUFFLE, same(2));
  at(SWIZZLE, swizzle);
  for (const [i, opcode] of [0x0f, 0x10, 0x11, 0x12, 0x11, 0x12].entries()) at(0x0f + i, splat(opcode));
  const [i32, i64] = [0x41, 0x42];
  for (const opcode of [0x15, 0x16, 0x18, 0x19, 0x1b, 0x1d]) at(opcode, laneOf(opcode, 0));
  at(0x1f, laneOf(0x1b, 0));
  at(0x21, laneOf(0x1d, 0));
  for (const opcode of [0x17, 0x1a, 0x1c]) at(opcode, laneOf(opcode, i32));
  at(0x1e, laneOf(0x1e, i64));
  at(0x20, laneOf(0x1c, i32));
  at(0x22, laneOf(0x1e, i64));
  range(0x23, 0x2c, lanes(0, 2));
  range(0x2d, 0x36, lanes(1, 2));
  range(0x37, 0x46, lanes(2, 2));
  range(0x47, 0x4c, lanes(3, 2));
  at(NOT, unchanged);
  at(AND, bitwise([false, false]));
  at(ANDNOT, bitwise([false, true]));
  at(OR, bitwise([true, true]));
  at(
    XOR,
    rule((input) => pushUnion(input, 2)),
  );
  at(0x52, select);
  at(ANY_TRUE, truth(ANY_TRUE));
  at(0x5e, vector(1));
  at(0x5f, moved(2, 1, 0xc7)); // f64x2.promote_low_f32x4
  // Per integer shape: abs, neg, popcnt; all_true; bitmask; shifts; the rest lane by lane.
  for (const [lane, base] of [0x60, 0x80, 0xa0, 0xc0].entries()) {
    range(base, base + 2, lanes(lane, 2));
    at(base + 3, truth(base + 3));
    at(base + 4, same(1));
    for (let i = 0x0b; i <= 0x0d; i++) at(base + i, shift(base + i, 8 * 2 ** lane - 1));
    range(base + 0x0e, base + 0x13, lanes(lane, 2));
    range(base + 0x15, base + 0x19, lanes(lane, 2));
  }
  range(0x67, 0x6a, lanes(2, 1));
  for (const opcode of [0x74, 0x75, 0x7a, 0x94]) at(opcode, lanes(3, 1));
  at(0x7b, lanes(0, 2));
  at(0x9b, lanes(1, 2));
  range(0x7c, 0x7d, lanes(1, 1));
  range(0x7e, 0x7f, lanes(2, 1));
  at(0xba, lanes(2, 2));
  for (const [lane, opcode] of [0x65, 0x85].entries()) range(opcode, opcode + 1, narrow(lane + 1, opcode));
  for (const [lane, base] of [EXTEND_LOW_S_16, 0xa7, 0xc7].entries()) {
    for (let i = 0; i < 4; i++) at(base + i, same(1));
    // Products of extended lanes: the lanes that were extended, low or high.
    for (let i = 0; i < 4; i++) at(base + 0x15 + i, moved(lane, 2, base + (i % 2)));
  }
  range(0xd6, 0xdb, lanes(3, 2));
  range(0xe0, 0xeb, lanes(2, 2));
  range(0xec, 0xf7, lanes(3, 2));
  range(0xf8, 0xfb, lanes(2, 1));
  range(0xfc, 0xfd, vector(1));
  range(0xfe, 0xff, moved(2, 1, 0xc7)); // f64x2.convert_low_i32x4
  at(0x100, swizzle);
  range(0x101, 0x102, lanes(2, 1));
  range(0x103, 0x104, vector(1));
  range(0x105, 0x106, lanes(2, 3));
  range(0x107, 0x108, lanes(3, 3));
  for (let i = 0; i < 4; i++) at(0x109 + i, lanes(i, 3));
  range(0x10d, 0x10e, lanes(2, 2));
  range(0x10f, 0x110, lanes(3, 2));
  range(0x111, 0x112, lanes(1, 2));
  at(0x113, lanes(2, 3));
  return list;
}

/** Rules by opcode. */
export const SIMD_RULES: readonly (readonly [number, Rule])[] = rows();
