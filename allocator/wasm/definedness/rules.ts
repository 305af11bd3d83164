// What is undefined in an instruction's result, given what is in its operands: one rule an opcode, written as code that leaves the
// result's shadow on the stack. Rules are Memcheck's (memcheck/mc_translate.c) or MemorySanitizer's, the more exact of the two where it is
// cheap. Vector instructions are simd-rules.ts; what reports, and which instructions have no rule, is definedness-pass.ts.

import { DEPENDS, I32, OP_ELSE, OP_END, OP_IF, OPCODE_COUNT, OPERANDS, POPS, PUSHES } from "../binary/instructions.ts";
import type { Code } from "../rewriting/code.ts";
import type { Rule, RuleInput } from "./rule.ts";
import { SIMD_RULES } from "./simd-rules.ts";
import { shadowType, WIDTH_32, WIDTH_64, type Width, widthOf } from "./widths.ts";

const NO_VALUES = (): number => 0;
const ALL_VALUES = (): number => 7;

/** The rule of each opcode that computes a value from values; null: its shadow does not follow from the operands'. */
export const RULES: (Rule | null)[] = new Array<Rule | null>(OPCODE_COUNT).fill(null);

const I32_WRAP = 0xa7;
const I64_EXTEND_U = 0xad;

function withoutValues(write: (input: RuleInput) => void): Rule {
  return { values: NO_VALUES, write };
}

function withValues(write: (input: RuleInput) => void): Rule {
  return { values: ALL_VALUES, write };
}

/** Pushes an integer constant of a width from a small number. */
export function pushConstant(code: Code, width: Width, value: number): void {
  code.byte(width.constant);
  code.s32(value);
}

/** Pushes the shadow of operand `index`, zero if it is defined. */
export function pushShadow(input: RuleInput, index: number, width: Width): void {
  const local = input.shadows[index];
  if (local < 0) pushConstant(input.code, width, 0);
  else input.code.localGet(local);
}

/** Pushes the union of the operands' shadows. Both are of the width. */
export function pushUnion(input: RuleInput, width: Width): void {
  const { code, shadows } = input;
  if (shadows[0] >= 0) code.localGet(shadows[0]);
  if (shadows[1] >= 0) code.localGet(shadows[1]);
  if (shadows[0] >= 0 && shadows[1] >= 0) code.byte(width.or);
}

/** On the stack an i32 truth value; leaves all ones or zero of `width`. */
function spread(code: Code, width: Width, temporary: number): void {
  if (width === WIDTH_64) code.byte(I64_EXTEND_U);
  code.localSet(temporary);
  pushConstant(code, width, 0);
  code.localGet(temporary);
  code.byte(width.sub);
}

/** On the stack a shadow of `from`: leaves all ones of `to` if any bit of it is set. Memcheck's PCast. */
export function pessimise(input: RuleInput, from: Width, to: Width): void {
  const { code } = input;
  pushConstant(code, from, 0);
  code.byte(from.ne);
  spread(code, to, input.temporary(to.type, 5));
}

/**
 * On the stack a shadow: leaves it with all bits above its lowest set one set, of those from bit `lowest` on. Memcheck's Left.
 */
function upwards(input: RuleInput, width: Width, lowest = 0): void {
  const { code } = input;
  const union = input.temporary(width.type, 0);
  code.localTee(union);
  if (lowest >= width.bits) return;
  pushConstant(code, width, 0);
  code.localGet(union);
  if (lowest > 0) {
    // −(union and the bits from `lowest` on), by shifts: a mask of 64 bits would be a longer constant.
    pushConstant(code, width, lowest);
    code.byte(width.shrU);
    pushConstant(code, width, lowest);
    code.byte(width.shl);
  }
  code.plain(width.sub, width.or);
}

function minimum(input: RuleInput, operand: number, width: Width): void {
  const { code, values, shadows } = input;
  code.localGet(values[operand]);
  if (shadows[operand] < 0) return;
  code.localGet(shadows[operand]);
  pushConstant(code, width, -1);
  code.plain(width.xor, width.and);
}

function maximum(input: RuleInput, operand: number, width: Width): void {
  const { code, values, shadows } = input;
  code.localGet(values[operand]);
  if (shadows[operand] < 0) return;
  code.localGet(shadows[operand]);
  code.byte(width.or);
}

/**
 * Bits that differ between the least and the greatest result, and the undefined ones themselves. Memcheck's expensiveAddSub. It runs
 * only if an operand has undefined bits.
 */
function exactAddSub(input: RuleInput, width: Width, isSub: boolean): void {
  const { code } = input;
  const operation = isSub ? width.sub : width.add;
  pushUnion(input, width);
  if (width !== WIDTH_32) {
    pushConstant(code, width, 0);
    code.byte(width.ne);
  }
  code.two(OP_IF, width.type);
  minimum(input, 0, width);
  if (isSub) maximum(input, 1, width);
  else minimum(input, 1, width);
  code.byte(operation);
  maximum(input, 0, width);
  if (isSub) minimum(input, 1, width);
  else maximum(input, 1, width);
  code.plain(operation, width.xor);
  pushUnion(input, width);
  code.byte(width.or);
  code.byte(OP_ELSE);
  pushConstant(code, width, 0);
  code.byte(OP_END);
}

function addSub(width: Width, isSub: boolean): Rule {
  return {
    values: (_, exactArithmetic) => (exactArithmetic ? 3 : 0),
    write(input) {
      if (input.exactArithmetic) exactAddSub(input, width, isSub);
      else {
        pushUnion(input, width);
        upwards(input, width, input.carriesFrom);
      }
    },
  };
}

/** A result bit is defined where both are, or where one is defined and decides: a 0 for and, a 1 for or. */
function andOr(width: Width, isOr: boolean): Rule {
  const pushDecisive = (input: RuleInput, operand: number): void => {
    input.code.localGet(input.values[operand]);
    if (!isOr) return;
    pushConstant(input.code, width, -1);
    input.code.byte(width.xor);
  };
  return {
    // A defined operand alone decides what of the other's undefined bits comes through.
    values: (shadows) => (shadows === 3 ? 3 : 3 - shadows),
    write(input) {
      const { code, shadows } = input;
      pushUnion(input, width);
      for (const operand of [0, 1]) {
        const other = 1 - operand;
        if (shadows[other] < 0) continue;
        pushDecisive(input, operand);
        if (shadows[operand] >= 0) {
          code.localGet(shadows[operand]);
          code.byte(width.or);
        }
        code.byte(width.and);
      }
    },
  };
}

/** The same shift of the shadow, unless the amount is undefined. */
function shift(width: Width, opcode: number): Rule {
  const values = (): number => 2;
  const write = (input: RuleInput): void => {
    const { code, values, shadows } = input;
    pushShadow(input, 0, width);
    code.localGet(values[1]);
    code.byte(opcode);
    if (shadows[1] < 0) return;
    code.localGet(shadows[1]);
    pushConstant(code, width, width.bits - 1);
    code.byte(width.and);
    pessimise(input, width, width);
    code.byte(width.or);
  };
  return { values, write };
}

/** Writes `body` so that it runs only if an operand has undefined bits; else the shadow, an i32, is 0. */
function guarded(input: RuleInput, width: Width, body: () => void): void {
  const { code } = input;
  pushUnion(input, width);
  pushConstant(code, width, 0);
  code.byte(width.ne);
  code.two(OP_IF, I32);
  body();
  code.byte(OP_ELSE);
  code.constant(0);
  code.byte(OP_END);
}

/** Equal or not is decided as soon as one bit that both have defined differs. */
function equality(width: Width): Rule {
  return withValues((input) => {
    const { code, values } = input;
    guarded(input, width, () => {
      code.localGet(values[0]);
      code.localGet(values[1]);
      code.byte(width.xor);
      pushUnion(input, width);
      pushConstant(code, width, -1);
      code.plain(width.xor, width.and, width.eqz);
    });
  });
}

/** Zero or not is decided by one defined bit that is 1. */
function zero(width: Width): Rule {
  return withValues((input) => {
    const { code, values, shadows } = input;
    guarded(input, width, () => {
      code.localGet(values[0]);
      code.localGet(shadows[0]);
      pushConstant(code, width, -1);
      code.plain(width.xor, width.and, width.eqz);
    });
  });
}

function pushSign(code: Code, width: Width): void {
  pushConstant(code, width, 1);
  pushConstant(code, width, width.bits - 1);
  code.byte(width.shl);
}

/** Pushes the least or greatest value that an operand can have, with the sign bit flipped for signed comparisons. */
function extreme(input: RuleInput, operand: number, width: Width, isMaximum: boolean, isSigned: boolean): void {
  const { code, values, shadows } = input;
  code.localGet(values[operand]);
  if (isSigned) {
    pushSign(code, width);
    code.byte(width.xor);
  }
  if (shadows[operand] < 0) return;
  code.localGet(shadows[operand]);
  if (isMaximum) code.byte(width.or);
  else {
    pushConstant(code, width, -1);
    code.plain(width.xor, width.and);
  }
}

/** An order is decided if it is the same for both ends of what the operands can be. `swaps`: greater, or less or equal. */
function order(width: Width, isSigned: boolean, swaps: boolean): Rule {
  const [less, more] = swaps ? [1, 0] : [0, 1];
  return withValues((input) => {
    const { code } = input;
    guarded(input, width, () => {
      extreme(input, less, width, false, isSigned);
      extreme(input, more, width, true, isSigned);
      code.byte(width.ltU);
      extreme(input, less, width, true, isSigned);
      extreme(input, more, width, false, isSigned);
      code.plain(width.ltU, WIDTH_32.xor);
    });
  });
}

/** Leading zeroes are decided by a defined 1 before the first undefined bit, trailing ones by one below the last. */
function countZeroes(width: Width, isLeading: boolean): Rule {
  return withValues((input) => {
    const { code, shadows } = input;
    const count = isLeading ? width.clz : width.ctz;
    code.localGet(shadows[0]);
    code.byte(count);
    minimum(input, 0, width);
    code.plain(count, width.ltU);
    spread(code, width, input.temporary(width.type, 5));
  });
}

/** The same instruction on the shadow: extensions, wraps. */
const same: Rule = withoutValues(({ code, shadows, bytes, start, end }) => {
  code.localGet(shadows[0]);
  code.append(bytes, start, end);
});

const unchanged: Rule = withoutValues(({ code, shadows }) => code.localGet(shadows[0]));

/** All of the result is undefined if any bit of an operand is. */
function whole(opcode: number): Rule {
  const result = PUSHES[opcode];
  const isTruth = result === I32 && opcode < 0x67;
  return withoutValues((input) => {
    const { code } = input;
    const from = widthOf(OPERANDS[opcode * 3]);
    pushUnion(input, from);
    if (isTruth) {
      pushConstant(code, from, 0);
      code.byte(from.ne);
    } else pessimise(input, from, widthOf(result));
  });
}

function defineIntegers(width: Width): void {
  const compare = width === WIDTH_32 ? 0x45 : 0x50;
  const count = width === WIDTH_32 ? 0x67 : 0x79;
  const arithmetic = width === WIDTH_32 ? 0x6a : 0x7c;
  RULES[compare] = zero(width);
  RULES[compare + 1] = equality(width);
  RULES[compare + 2] = equality(width);
  // lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u: not (a > b) is as defined as a > b.
  for (let i = 0; i < 8; i++) RULES[compare + 3 + i] = order(width, i % 2 === 0, i >= 2 && i < 6);
  RULES[count] = countZeroes(width, true);
  RULES[count + 1] = countZeroes(width, false);
  RULES[count + 2] = whole(count + 2);
  RULES[arithmetic] = addSub(width, false);
  RULES[arithmetic + 1] = addSub(width, true);
  RULES[arithmetic + 2] = withoutValues((input) => {
    pushUnion(input, width);
    upwards(input, width);
  });
  for (let i = 3; i < 7; i++) RULES[arithmetic + i] = whole(arithmetic + i);
  RULES[arithmetic + 7] = andOr(width, false);
  RULES[arithmetic + 8] = andOr(width, true);
  RULES[arithmetic + 9] = withoutValues((input) => pushUnion(input, width));
  for (let i = 10; i < 15; i++) RULES[arithmetic + i] = shift(width, arithmetic + i);
}

function defineRest(): void {
  // Floats: what is not a move of bits is undefined as a whole.
  for (let op = 0x5b; op <= 0x66; op++) RULES[op] = whole(op);
  for (let op = 0x8b; op <= 0xa6; op++) RULES[op] = whole(op);
  for (let op = 0xa8; op <= 0xbb; op++) RULES[op] = whole(op);
  for (let op = 0x100; op <= 0x107; op++) RULES[op] = whole(op);
  RULES[0x8c] = unchanged; // f32.neg flips the sign bit
  RULES[0x9a] = unchanged; // f64.neg
  RULES[I32_WRAP] = same;
  RULES[0xac] = same;
  RULES[I64_EXTEND_U] = same;
  for (let op = 0xbc; op <= 0xbf; op++) RULES[op] = unchanged; // reinterpretations
  for (let op = 0xc0; op <= 0xc4; op++) RULES[op] = same;
  for (const [opcode, rule] of SIMD_RULES) RULES[opcode] = rule;
}

defineIntegers(WIDTH_32);
defineIntegers(WIDTH_64);
defineRest();

/** The instructions that take values and leave one, and must therefore have a rule. */
export function computes(opcode: number): boolean {
  if (POPS[opcode] === DEPENDS || POPS[opcode] === 0 || PUSHES[opcode] === 0) return false;
  return shadowType(OPERANDS[opcode * 3]) !== 0;
}
