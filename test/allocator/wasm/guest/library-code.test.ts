// What code of C libraries does that a program cannot help, and how it is met: words that go over strings and copies, memory.size as
// the end of all pointers, a store to null.
import { afterEach, expect, test } from "vitest";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

const made: Instance[] = [];

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

function instantiate(text: string, options: ModuleOptions = {}): Instance {
  const instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 26, ...options }));
  made.push(instance);
  return instance;
}

function call(instance: Instance, name: string, ...values: number[]): number {
  return (instance.exports[name] as (...values: number[]) => number)(...values);
}

function kinds(instance: Instance): string[] {
  return instance.checker.findings.map(({ kind, operation, cause }) => `${kind} ${operation} ${cause}`);
}

const ALLOCATOR = `
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)`;

const WITH_HEAP = `(module (memory (export "memory") 1 64) ${ALLOCATOR}
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`;

test("memory.size covers the heap's blocks from the first call of malloc on, and grow still says where fresh memory begins", () => {
  const instance = instantiate(WITH_HEAP);
  expect(call(instance, "size")).toBe(1);
  const block = call(instance, "malloc", 16) >>> 0;
  expect(block).toBeLessThan(call(instance, "size") * 65536);
  expect(call(instance, "grow", 2)).toBe(1);
  expect(block).toBeLessThan(call(instance, "size") * 65536);
  expect(instance.guest.pages).toBe(3);
});

test("a suppression names a function as linkers know it, or as it reads", () => {
  for (const functionName of ["_ZN5codec4readEi", "codec::read(int)", "codec::*"]) {
    const instance = instantiate(`(module (memory 1) ${ALLOCATOR}
      (func $_ZN5codec4readEi (i32.store (i32.const 4) (i32.const 0)))
      (func $_ZN5other4readEi (i32.store (i32.const 8) (i32.const 0)))
      (func (export "f") (call $_ZN5codec4readEi) (call $_ZN5other4readEi)))`);
    instance.checker.addSuppressions({ functionName });
    call(instance, "f");
    expect(instance.checker.findings.map(({ stack }) => stack[0].functionName)).toEqual(["other::read(int)"]);
  }
});

test("a block that embind's glue alone knows is no leak of the program's", () => {
  const instance = instantiate(`(module (memory 1) ${ALLOCATOR}
    (func $_ZN10emscripten8internal10getContextIM1AFvdEEEPT_RKS4_ (drop (call $malloc (i32.const 8))))
    (func $other (drop (call $malloc (i32.const 8))))
    (func (export "f") (call $_ZN10emscripten8internal10getContextIM1AFvdEEEPT_RKS4_) (call $other)))`);
  call(instance, "f");
  instance.checker.leakCheck();
  expect(instance.checker.findings.map(({ stack }) => stack[0].functionName)).toEqual(["other"]);
});

test("a fault of wasi-libc's is suppressed by the function that has it, and only that", () => {
  const instance = instantiate(`(module (memory 1)
    (func $__secs_to_zone (i32.store (i32.const 0) (i32.const 0)))
    (func $other (i32.store (i32.const 4) (i32.const 0)))
    (func (export "f") (call $__secs_to_zone))
    (func (export "g") (call $other)))`);
  call(instance, "f");
  expect(kinds(instance)).toEqual([]);
  expect(instance.checker.countSuppressed()).toBe(1);
  call(instance, "g");
  expect(kinds(instance)).toEqual(["invalid-access store out-of-bounds"]);
});

test.each([4, 6, 8, 12])(
  "end where memory.copy takes %i bytes of which the last lies behind, though it be an aligned word",
  (size) => {
    const instance = instantiate(WITH_HEAP);
    const [from, to] = [call(instance, "malloc", size - 1), call(instance, "malloc", 16)];
    call(instance, "copy", to, from, size - 1);
    expect(kinds(instance)).toEqual([]);
    call(instance, "copy", to, from, size);
    expect(kinds(instance)).toEqual(["invalid-access load out-of-bounds"]);
  },
);

// As wasi-libc's: the last bytes go by a word. Without the name it might be a function that goes over a string.
const COPY_BY_WORDS = (name: string) => `(module (memory (export "memory") 1) ${ALLOCATOR}
  (func $${name} (export "copy") (param i32 i32 i32) (result i32)
    (i32.store (local.get 0) (i32.load (local.get 1)))
    (i32.store offset=4 (local.get 0) (i32.load offset=4 (local.get 1)))
    (local.get 0)))`;

test.each(["off", "byte"] as const)(
  "a block ends where C's memcpy reads words of which the last passes the end, undefined bits %s",
  (uninitialised) => {
    for (const [name, found] of [
      ["memcpy", 1],
      ["memmove", 1],
      ["words", 0],
    ] as const) {
      const instance = instantiate(COPY_BY_WORDS(name), { uninitialised });
      const [from, to] = [call(instance, "malloc", 6), call(instance, "malloc", 16)];
      call(instance, "copy", to, from, 8);
      expect(kinds(instance)).toEqual(new Array(found).fill("invalid-access load out-of-bounds"));
      call(instance, "copy", 2000, 2000, 0);
      expect(instance.checker.findings).toHaveLength(found);
    }
  },
);

test("what C's memcpy is asked for is looked at from end to end: bytes between two blocks are found, and few bytes within one are not", () => {
  const instance = instantiate(`(module (memory (export "memory") 1) ${ALLOCATOR}
    (func $memcpy (export "copy") (param i32 i32 i32) (result i32) (local.get 0)))`);
  const to = call(instance, "malloc", 64);
  const blocks = Array.from({ length: 200 }, () => call(instance, "malloc", 16));
  const first = blocks.find((block) => blocks.includes(block + 32)) ?? 0;
  expect(first).not.toBe(0);
  for (let count = 0; count <= 16; count++) {
    for (let at = 0; at + count <= 16; at++) call(instance, "copy", to + at, first + at, count);
  }
  expect(kinds(instance)).toEqual([]);
  call(instance, "copy", to, first + 15, 18);
  expect(kinds(instance)).toEqual(["invalid-access load out-of-bounds"]);
});
