// What code of C libraries does that a program cannot help, and how it is met: words that go over strings and copies, memory.size as
// the end of all pointers, a store to null.
import { afterEach, describe, expect, test } from "vitest";
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

test.each(["_ZN5codec4readEi", "codec::read(int)", "codec::*", "_ZN5codec*", "_ZN*codec4read*", "_Z*5codec4readEi"])(
  "a suppression names a function as linkers know it, or as it reads: %s",
  (functionName) => {
    const instance = instantiate(`(module (memory 1) ${ALLOCATOR}
      (func $_ZN5codec4readEi (i32.store (i32.const 4) (i32.const 0)))
      (func $_ZN5other4readEi (i32.store (i32.const 8) (i32.const 0)))
      (func (export "f") (call $_ZN5codec4readEi) (call $_ZN5other4readEi)))`);
    instance.checker.addSuppressions({ functionName });
    call(instance, "f");
    expect(instance.checker.findings.map(({ stack }) => stack[0].functionName)).toEqual(["other::read(int)"]);
  },
);

test("a star stands for the hash that Rust's compiler puts behind a name, and a pattern as linkers know names does not fit what is read", () => {
  const instance = instantiate(`(module (memory 1)
    (func $_ZN5codec4read17h0123456789abcdefE (i32.store (i32.const 4) (i32.const 0)))
    (func $_ZN5codec4seek17h0123456789abcdefE (i32.store (i32.const 4) (i32.const 0)))
    (func (export "f") (call $_ZN5codec4read17h0123456789abcdefE) (call $_ZN5codec4seek17h0123456789abcdefE)))`);
  instance.checker.addSuppressions(
    { functionName: "_ZN5codec4read17h*E" },
    { functionName: "_ZN5codec::*" },
    { functionName: "*17h*E" },
  );
  call(instance, "f");
  expect(instance.checker.findings.map(({ stack }) => stack[0].functionName)).toEqual(["codec::seek"]);
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
    expect(instance.checker.findings[0]).toMatchObject({ size, offset: 0 });
  },
);

test.each([4, 8, 16])("a memory.copy of %i bytes of a freed block is one finding", (size) => {
  const instance = instantiate(WITH_HEAP);
  const [from, to] = [call(instance, "malloc", 16), call(instance, "malloc", 16)];
  call(instance, "free", from);
  call(instance, "copy", to, from, size);
  expect(kinds(instance)).toEqual(["invalid-access load use-after-free"]);
  expect(instance.checker.findings[0]).toMatchObject({ size, count: 1 });
});

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

/** C's functions, byte by byte. The last of a copy's bytes are `more` than it is asked for. */
const byBytes = (more = 0) => `(module (memory (export "memory") 1) ${ALLOCATOR}
  (func $memcpy (export "memcpy") (param $to i32) (param $from i32) (param $count i32) (result i32) (local $at i32)
    (block (loop
      (br_if 1 (i32.eq (local.get $at) (i32.add (local.get $count) (i32.const ${more}))))
      (i32.store8 (i32.add (local.get $to) (local.get $at)) (i32.load8_u (i32.add (local.get $from) (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br 0)))
    (local.get $to))
  (func $memmove (export "memmove") (param i32 i32 i32) (result i32)
    (call $memcpy (local.get 0) (local.get 1) (local.get 2)))
  (func $__memcpy (export "__memcpy") (param i32 i32 i32) (result i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2))
    (local.get 0))
  (func $memset (export "memset") (param $to i32) (param $value i32) (param $count i32) (result i32) (local $at i32)
    (block (loop
      (br_if 1 (i32.eq (local.get $at) (local.get $count)))
      (i32.store8 (i32.add (local.get $to) (local.get $at)) (local.get $value))
      (i32.store8 offset=1 (i32.add (local.get $to) (local.get $at)) (local.get $value))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))
      (br 0)))
    (local.get $to))
  (func (export "twice") (param i32 i32 i32)
    (drop (call $memcpy (local.get 0) (local.get 1) (local.get 2)))
    (drop (call $memcpy (local.get 0) (local.get 1) (local.get 2)))))`;

describe.each(["off", "byte"] as const)(
  "what one call of C's does is one finding, undefined bits %s:",
  (uninitialised) => {
    function subject(more = 0) {
      const instance = instantiate(byBytes(more), { uninitialised });
      return { instance, small: call(instance, "malloc", 16), large: call(instance, "malloc", 64) };
    }

    test.each(["memcpy", "memmove", "__memcpy"])("%s beyond a block's end", (name) => {
      const { instance, small, large } = subject();
      call(instance, name, large, small, 40);
      expect(kinds(instance)).toEqual(["invalid-access load out-of-bounds"]);
      expect(instance.checker.findings[0]).toMatchObject({ size: 40, offset: 0, count: 1 });
      call(instance, name, small, large, 24);
      expect(kinds(instance)).toEqual(["invalid-access load out-of-bounds", "invalid-access store out-of-bounds"]);
      expect(instance.checker.findings[1]).toMatchObject({ size: 24, offset: 0, count: 1 });
    });

    test("memset beyond a block's end", () => {
      const { instance, small } = subject();
      call(instance, "memset", small, 1, 24);
      expect(kinds(instance)).toEqual(["invalid-access store out-of-bounds"]);
      expect(instance.checker.findings[0]).toMatchObject({ size: 24, offset: 0, count: 1 });
      call(instance, "memset", 2000, 0, 0);
      expect(instance.checker.findings).toHaveLength(1);
    });

    test("the same call made again has happened twice; a call from elsewhere is another finding", () => {
      const { instance, small, large } = subject();
      for (let i = 0; i < 2; i++) call(instance, "memcpy", large, small, 20);
      expect(instance.checker.findings.map(({ count }) => count)).toEqual([2]);
      call(instance, "twice", large, small, 20);
      expect(instance.checker.findings.map(({ count }) => count)).toEqual([2, 1, 1]);
    });

    test("but what a program's own memcpy does beyond what it is asked for", () => {
      const { instance, small, large } = subject(2);
      call(instance, "memcpy", large, small, 16);
      expect(instance.checker.findings.map(({ operation, size, count }) => [operation, size, count])).toEqual([
        ["load", 1, 2],
      ]);
      call(instance, "memcpy", small, large, 20);
      expect(instance.checker.findings.map(({ operation, size, count }) => [operation, size, count])).toEqual([
        ["load", 1, 2],
        ["store", 20, 1],
        ["store", 1, 2],
      ]);
      // In other calls, which ask for no more than there is, it is in the bytes that were reported.
      call(instance, "twice", small, large, 16);
      expect(instance.checker.findings).toHaveLength(5);
    });
  },
);
