// What made a block that the module gave back: the function that was called, also of blocks that it allocated and freed by itself.
import { afterEach, expect, test } from "vitest";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { SegmentationFault } from "../../../../platform/hardware/faults.ts";

const made: Instance[] = [];

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

/** By name: how a block of so many bytes is allocated, what gives it back, and what it is said to be from. */
const WAYS = {
  malloc: ["(call $malloc (local.get 0))", "$free", "malloc"],
  calloc: ["(call $calloc (i32.const 1) (local.get 0))", "$free", "malloc"],
  realloc: ["(call $realloc (call $malloc (i32.const 8)) (local.get 0))", "$free", "malloc"],
  aligned: ["(call $aligned_alloc (i32.const 64) (local.get 0))", "$free", "memalign"],
  new: ["(call $_Znwm (local.get 0))", "$_ZdlPv", "new"],
  newArray: ["(call $_Znam (local.get 0))", "$_ZdaPv", "new[]"],
  nothrow: ["(call $_ZnwmRKSt9nothrow_t (local.get 0) (i32.const 1024))", "$_ZdlPv", "new"],
  alignedNew: ["(call $_ZnwmSt11align_val_t (local.get 0) (i32.const 64))", "$_ZdlPv", "new"],
} as const;
const NAMES = Object.keys(WAYS) as (keyof typeof WAYS)[];

const makers = NAMES.map(
  (name) => `(func (export "by ${name}") (param i32) (result i32) ${WAYS[name][0]})
    (func (export "end ${name}") (param i32) (call ${WAYS[name][1]} (local.get 0)))`,
);
const text = `(module (memory (export "memory") 1)
  (func $malloc (param i32) (result i32) unreachable)
  (func $calloc (param i32 i32) (result i32) unreachable)
  (func $realloc (param i32 i32) (result i32) unreachable)
  (func $aligned_alloc (param i32 i32) (result i32) unreachable)
  (func $free (param i32) unreachable)
  (func $_Znwm (param i32) (result i32) unreachable)
  (func $_Znam (param i32) (result i32) unreachable)
  (func $_ZnwmRKSt9nothrow_t (param i32 i32) (result i32) unreachable)
  (func $_ZnwmSt11align_val_t (param i32 i32) (result i32) unreachable)
  (func $_ZdlPv (param i32) unreachable)
  (func $_ZdaPv (param i32) unreachable)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "decide") (param i32) (if (local.get 0) (then)))
  (type $maker (func (param i32) (result i32)))
  (table funcref (elem $malloc $_Znwm $_Znam))
  (func (export "by table") (param $size i32) (local $i i32)
    (loop
      (i32.store offset=1024 (i32.shl (local.get $i) (i32.const 2))
        (call_indirect (type $maker) (local.get $size) (i32.rem_u (local.get $i) (i32.const 3))))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 12)))))
  ${makers.join("\n")})`;

function subject(options: ModuleOptions = {}) {
  const instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 26, ...options }));
  made.push(instance);
  const call = (name: string, ...values: number[]) =>
    (instance.exports[name] as (...values: number[]) => number)(...values);
  return { instance, call };
}

test.each([
  ["small", 40],
  ["large", 300_000],
])("%s blocks that were given back are from what made them", (_, size) => {
  const { instance, call } = subject();
  const blocks = NAMES.flatMap((name) => Array.from({ length: 5 }, () => [name, call(`by ${name}`, size)] as const));
  for (const [name, pointer] of blocks) call(`end ${name}`, pointer);
  for (const [name, pointer] of blocks) {
    instance.checker.clear();
    try {
      call("load", pointer);
    } catch (error) {
      // A large one's memory may be gone.
      if (!(error instanceof SegmentationFault)) throw error;
    }
    expect([name, instance.checker.findings[0].block?.origin]).toEqual([name, WAYS[name][2]]);
  }
});

test("one call by a table makes blocks of several functions", () => {
  const { instance, call } = subject();
  call("by table", 40);
  for (let i = 0; i < 12; i++) {
    const pointer = call("load", 1024 + 4 * i);
    call(["end malloc", "end new", "end newArray"][i % 3], pointer);
    instance.checker.clear();
    call("load", pointer);
    expect([i, instance.checker.findings[0].block?.origin]).toEqual([i, ["malloc", "new", "new[]"][i % 3]]);
  }
});

test("a block that was given back twice is from what made it", () => {
  const { instance, call } = subject({ invalidFree: "report" });
  const pointer = call("by newArray", 40);
  call("end newArray", pointer);
  call("end newArray", pointer);
  expect(instance.checker.findings[0]).toMatchObject({ cause: "double-free", block: { origin: "new[]" } });
});

test("undefined bits of a block that is gone are from what made it", () => {
  const { instance, call } = subject({ uninitialised: "byte", trackOrigins: true, callArguments: "trust" });
  for (const name of NAMES) {
    if (name === "calloc") continue;
    const { validity, heap } = instance.guest;
    const pointer = call(`by ${name}`, 40);
    const origin = validity!.originAt(pointer + 16);
    call(`end ${name}`, pointer);
    heap.malloc(48);
    const found = instance.guest.origins!.describe(origin)?.block;
    expect([name, found?.state, found?.origin]).toEqual([name, "freed", WAYS[name][2]]);
  }
});

test("without stacks it is not known which of several functions made a block that was given back", () => {
  const { instance, call } = subject({ heap: { stacks: false } });
  const pointer = call("by new", 40);
  call("end new", pointer);
  call("load", pointer);
  expect(instance.checker.findings[0].block?.origin).toBe("unknown");
});

test("without stacks a block of a module that has malloc alone is from malloc", () => {
  const only = wat(`(module (memory 1)
    (func $malloc (export "malloc") (param i32) (result i32) unreachable)
    (func $free (export "free") (param i32) unreachable)
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))`);
  const instance = new Instance(new Module(only, { memoryBytes: 2 ** 26, heap: { stacks: false } }));
  made.push(instance);
  const call = (name: string, value: number) => (instance.exports[name] as (value: number) => number)(value);
  const pointer = call("malloc", 40);
  call("free", pointer);
  call("load", pointer);
  expect(instance.checker.findings[0].block?.origin).toBe("malloc");
});
