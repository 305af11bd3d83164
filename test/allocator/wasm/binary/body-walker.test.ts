// The walker over a function's instructions: operand types before each one, blocks and labels, code that never runs.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { BodyWalker } from "../../../../allocator/wasm/binary/body-walker.ts";
import {
  EXTERNREF,
  F32,
  F64,
  FUNCREF,
  I32,
  I64,
  OP_BR_IF,
  OP_DROP,
  OP_END,
  OP_LOOP,
  OP_NOP,
  OP_SELECT,
  UNKNOWN,
  V128,
} from "../../../../allocator/wasm/binary/instructions.ts";
import { readModule } from "../../../../allocator/wasm/binary/read-module.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

/** Walks the first function, and notes the type of the top operand at each instruction of a kind. */
function topTypesAt(opcode: number, text: string): number[] {
  const walker = new BodyWalker(readModule(wat(text)));
  const types: number[] = [];
  walker.begin(0);
  while (walker.next()) if (walker.opcode === opcode) types.push(walker.operand(0));
  return types;
}

test("before each instruction its operands' types are known", () => {
  const text = `(module (memory 1) (table 1 externref) (global $g (mut f64) (f64.const 0))
    (func (param i32 i64) (local f32 externref)
      (drop (local.get 1)) (drop (f32.load (local.get 0))) (drop (f64.sqrt (global.get $g)))
      (drop (i64.trunc_sat_f64_u (f64.const 1))) (drop (i64.eqz (i64.const 1))) (drop (local.tee 2 (f32.const 1)))
      (drop (i8x16.splat (i32.const 1))) (drop (f64x2.extract_lane 1 (v128.const i64x2 0 0)))
      (drop (v128.load32_zero (i32.const 0))) (drop (i32x4.all_true (v128.const i64x2 0 0)))
      (drop (table.get 0 (i32.const 0))) (drop (ref.null func)) (drop (ref.is_null (local.get 3)))
      (drop (memory.grow (i32.const 0)))))`;
  expect(topTypesAt(OP_DROP, text)).toEqual([
    ...[I64, F32, F64, I64, I32, F32, V128, F64, V128, I32, EXTERNREF, FUNCREF, I32, I32],
  ]);
});

test("blocks with parameters and several results leave what their type says", () => {
  const text = `(module (type $two (func (param i32) (result i64 f32)))
    (func (block (param) (result i32) (i32.const 1)) (block (type $two) (drop) (i64.const 1) (f32.const 2)) (drop) (drop)))`;
  expect(topTypesAt(OP_DROP, text)).toEqual([I32, F32, I64]);
});

test("a call takes its parameters and leaves its results, directly or through a table", () => {
  const text = `(module (type $t (func (param f32) (result f64 i64))) (table 1 funcref)
    (func (call $f (f32.const 1)) (drop) (drop) (call_indirect (type $t) (f32.const 1) (i32.const 0)) (drop) (drop))
    (func $f (type $t) (f64.const 1) (i64.const 2)))`;
  expect(topTypesAt(OP_DROP, text)).toEqual([I64, F64, I64, F64]);
});

test("select has the type of its values, also where only one of them is known", () => {
  const text = `(module (func (drop (select (i64.const 1) (i64.const 2) (i32.const 0)))
    (drop (select (result externref) (ref.null extern) (ref.null extern) (i32.const 0)))
    (unreachable) (f32.const 1) (i32.const 1) (select) (drop)))`;
  expect(topTypesAt(OP_DROP, text)).toEqual([I64, EXTERNREF, F32]);
  expect(topTypesAt(OP_SELECT, text)).toEqual([I32, I32]);
});

test("code that never runs is marked, its operands are unknown, and the code behind its block is alive again", () => {
  const text = `(module (func (param i32) (result i32)
    (block (result i32)
      (br 0 (local.get 0)) (drop) (block (nop) (br 0) (nop)) (nop) (drop) (i32.const 1))
    (nop)
    (if (result i32) (then (return (i32.const 1))) (else (nop) (i32.const 2)))))`;
  const walker = new BodyWalker(readModule(wat(text)));
  const nops: boolean[] = [];
  const drops: number[] = [];
  walker.begin(0);
  while (walker.next()) {
    if (walker.opcode === OP_NOP) nops.push(walker.isDead);
    if (walker.opcode === OP_DROP) drops.push(walker.operand(0));
  }
  expect(nops).toEqual([true, true, true, false, false]);
  expect(drops).toEqual([UNKNOWN, UNKNOWN]);
  expect(walker.height).toBe(1);
});

test("a branch to a loop takes the loop's parameters, one to a block its results", () => {
  const text = `(module (type $loop (func (param i32 i64) (result f32)))
    (func (block (result f32) (i32.const 1) (i64.const 1)
      (loop (type $loop) (br_if 0 (i32.const 0)) (drop) (drop) (br_if 1 (f32.const 0) (i32.const 0))) ) (drop)))`;
  const walker = new BodyWalker(readModule(wat(text)));
  const seen: number[][] = [];
  walker.begin(0);
  while (walker.next()) {
    if (walker.opcode !== OP_BR_IF) continue;
    seen.push([...walker.labelTypes(walker.first)], [walker.labelHeight(walker.first)]);
    expect(walker.labelOpcode(0)).toBe(OP_LOOP);
  }
  expect(seen).toEqual([[I32, I64], [0], [F32], [0]]);
});

test("stack effects that the engine refuses are errors here as well", () => {
  const tooFew = wat("(module (func (drop (i32.const 1))))").map((byte) => (byte === 0x41 ? OP_NOP : byte));
  const walker = new BodyWalker(readModule(tooFew));
  walker.begin(0);
  expect(() => {
    while (walker.next());
  }).toThrow(expect.objectContaining({ code: "malformed" }));
});

test("every function of a real module walks to an end with its results on the stack", () => {
  const file = createRequire(import.meta.url).resolve("vscode-oniguruma/release/onig.wasm");
  const module = readModule(readFileSync(file));
  const walker = new BodyWalker(module);
  let ends = 0;
  for (let body = 0; body < module.bodyStart.length; body++) {
    walker.begin(body);
    while (walker.next()) if (walker.opcode === OP_END && walker.depth === 1) ends++;
    expect(walker.height).toBe(walker.type.results.length);
    expect(walker.end).toBe(module.bodyEnd[body]);
  }
  expect(ends).toBe(module.bodyStart.length);
});
