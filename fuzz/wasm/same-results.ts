// A rewritten module does what it did: random sequences of loads, stores and bulk operations of every kind, run by the engine as
// they are and on the heap. Results, memory and traps must be the same.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { Instance, Module } from "../../allocator/wasm/guest/functions.ts";
import { type EngineMemory, engine } from "../../platform/host/engine.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { wat } from "./wat.ts";

const BYTES = 65536;

/** Text of an instruction that leaves an i32, from an address expression, an offset and a value expression. */
type Step = (address: string, offset: number, value: string) => string;

const load =
  (name: string, type: string, size: number): Step =>
  (address, offset) => {
    const loaded = `(${type}.${name} offset=${offset} align=${size} ${address})`;
    if (type === "i32") return loaded;
    if (type === "i64") return `(i32.wrap_i64 ${loaded})`;
    if (type === "f32") return `(i32.reinterpret_f32 ${loaded})`;
    return `(i32.wrap_i64 (i64.reinterpret_f64 ${loaded}))`;
  };

const store =
  (name: string, type: string, size: number): Step =>
  (address, offset, value) => {
    const widened =
      type === "i32"
        ? value
        : type === "i64"
          ? `(i64.mul (i64.extend_i32_u ${value}) (i64.const 0x100000001))`
          : type === "f32"
            ? `(f32.convert_i32_s ${value})`
            : `(f64.convert_i32_s ${value})`;
    return `(block (result i32) (${type}.${name} offset=${offset} align=${size} ${address} ${widened}) (i32.const 0))`;
  };

const vector = `(i8x16.splat (i32.const 0x5a))`;
const STEPS: readonly Step[] = [
  ...(["load", "load8_s", "load8_u", "load16_s", "load16_u"] as const).map((name) => load(name, "i32", 1)),
  ...(["load", "load8_s", "load16_u", "load32_s", "load32_u"] as const).map((name) => load(name, "i64", 1)),
  load("load", "i32", 4),
  load("load", "i64", 8),
  load("load", "f32", 4),
  load("load", "f64", 8),
  store("store", "i32", 4),
  store("store8", "i32", 1),
  store("store16", "i32", 2),
  store("store", "i64", 8),
  store("store", "i64", 4),
  store("store32", "i64", 1),
  store("store", "f32", 4),
  store("store", "f64", 8),
  (address, offset) => `(i32x4.extract_lane 2 (v128.load offset=${offset} ${address}))`,
  (address, offset) => `(i32x4.extract_lane 1 (v128.load16x4_u offset=${offset} ${address}))`,
  (address, offset) => `(i32x4.extract_lane 3 (v128.load32_splat offset=${offset} ${address}))`,
  (address, offset) => `(i32x4.extract_lane 0 (v128.load64_zero offset=${offset} ${address}))`,
  (address, offset) => `(i32x4.extract_lane 0 (v128.load8_lane offset=${offset} 1 ${address} ${vector}))`,
  (address, offset) => `(block (result i32) (v128.store offset=${offset} ${address} ${vector}) (i32.const 1))`,
  (address, offset) => `(block (result i32) (v128.store16_lane offset=${offset} 3 ${address} ${vector}) (i32.const 1))`,
  (address, offset, value) =>
    `(block (result i32) (memory.fill ${address} ${value} (i32.const ${offset})) (i32.const 2))`,
  (address, offset, value) =>
    `(block (result i32) (memory.copy ${address} (i32.and ${value} (i32.const 0xffff)) (i32.const ${offset})) (i32.const 3))`,
  (address, offset) =>
    `(block (result i32) (memory.init $bytes ${address} (i32.const 1) (i32.const ${offset % 8})) (i32.const 4))`,
  (address) => `(block (result i32) (local.set $p ${address}) (i32.load (local.get $p)))`,
  (address) =>
    `(block (result i32) (local.set $p ${address}) (loop $l (i32.store8 (local.get $p) (i32.load8_u (local.get $p)))
       (br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 3))) ${address}))) (local.get $p))`,
  () => "(memory.size)",
  (address) =>
    `(if (result i32) (i32.load8_u ${address}) (then (i32.load offset=4 ${address})) (else (memory.grow (i32.const 0))))`,
];

export const step = fc.record({
  kind: fc.nat(STEPS.length - 1),
  address: fc.oneof(fc.nat(300), fc.integer({ min: BYTES - 40, max: BYTES + 8 }), fc.nat(BYTES - 64), fc.constant(-8)),
  offset: fc.oneof(fc.nat(40), fc.constantFrom(0, 8, 16)),
  value: fc.integer(),
  through: fc.constantFrom("constant", "local", "sum"),
});

type Given = typeof step extends fc.Arbitrary<infer T> ? T : never;

function address(through: string, at: number): string {
  if (through === "local") return `(local.tee $a (i32.const ${at}))`;
  return through === "sum" ? `(i32.add (local.get $zero) (i32.const ${at}))` : `(i32.const ${at})`;
}

/** What running the steps one by one gave: their results, or that one trapped. */
function outcomes(exports: Record<string, unknown>, count: number): (number | string)[] {
  return Array.from({ length: count }, (_, i) => {
    try {
      return (exports[`step${i}`] as () => number)();
    } catch {
      return "trap";
    }
  });
}

/** Runs the steps, each a function of one module, both ways. @throws at the first difference */
export function runBothWays(steps: readonly Given[], uninitialised: "off" | "byte", journal: Journal): number {
  const functions = steps.map(
    ({ kind, address: at, offset, value, through }, i) =>
      `(func (export "step${i}") (result i32) (local $a i32) (local $p i32) (local $zero i32)
         ${STEPS[kind](address(through, at), offset, `(i32.const ${value})`)})`,
  );
  const text = `(module (memory (export "memory") 1) (data (i32.const 64) "some data") (data $bytes "passive") ${functions.join("\n")})`;
  journal.note(text);
  const bytes = wat(text);
  const plain = new engine.Instance(new engine.Module(bytes));
  const guest = new Instance(
    new Module(bytes, { memoryBytes: 2 ** 24, nullBytes: 0, uninitialised, heap: { seed: 1 } }),
  );
  try {
    deepStrictEqual(outcomes(guest.exports, steps.length), outcomes(plain.exports, steps.length));
    const memory = (exports: Record<string, unknown>) =>
      Buffer.from((exports.memory as EngineMemory).buffer, 0, BYTES).toString("base64");
    strictEqual(memory(guest.exports), memory(plain.exports));
  } finally {
    guest[Symbol.dispose]();
  }
  return steps.length;
}

export const sameResults: Fuzzer<{ readonly steps: readonly Given[]; readonly uninitialised: "off" | "byte" }> = {
  program: fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 25 }),
    uninitialised: fc.constantFrom("off", "byte"),
  }),
  run: ({ steps, uninitialised }, journal) => runBothWays(steps, uninitialised, journal),
  inTests: 15,
};
