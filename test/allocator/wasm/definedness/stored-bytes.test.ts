// Which undefined bytes the host is asked about: those that glue may have written, and those of which some bits are defined.
import { describe, expect, test } from "vitest";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { PATTERN } from "../../../../allocator/wasm/rewriting/layout.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

const MODULE = wat(`(module (memory (export "memory") 1)
  (func $malloc (export "malloc") (param i32) (result i32) (unreachable))
  (func $free (export "free") (param i32) (unreachable))
  (func (export "copy64") (param i32 i32) (i64.store (local.get 0) (i64.load (local.get 1))))
  (func (export "copy32") (param i32 i32) (i32.store (local.get 0) (i32.load (local.get 1))))
  (func (export "not64") (param i32 i32) (i64.store (local.get 0) (i64.xor (i64.const -1) (i64.load (local.get 1)))))
  (func (export "not32") (param i32 i32) (i32.store (local.get 0) (i32.xor (i32.const -1) (i32.load (local.get 1)))))
  (func (export "not8") (param i32 i32) (i32.store8 (local.get 0) (i32.xor (i32.const -1) (i32.load8_u (local.get 1)))))
  (func (export "use64") (param i32) (if (i64.eqz (i64.load (local.get 0))) (then)))
  (func (export "use32") (param i32) (if (i32.eqz (i32.load (local.get 0))) (then)))
  (func (export "use8") (param i32) (if (i32.eqz (i32.load8_u (local.get 0))) (then))))`);

type Names = "malloc" | "free" | "copy64" | "copy32" | "not64" | "not32" | "not8" | "use64" | "use32" | "use8";

function subject() {
  const instance = new Instance(new Module(MODULE, { memoryBytes: 2 ** 24, uninitialised: "byte" }));
  const exports = instance.exports as unknown as Record<Names, (...values: number[]) => number>;
  const bytes = new Uint8Array(instance.guest.memory.buffer);
  return { exports, bytes, found: () => instance.checker.findings.length };
}

describe.each([
  [8, "not64", "copy64", "use64"],
  [4, "not32", "copy32", "use32"],
] as const)("words of %d bytes", (size, not, copy, use) => {
  // At every place in a granule, since bits of the table are where bytes are.
  test.each([0, 1, 2, 3, 4, 5, 6, 7])(
    "stored by the guest with undefined bits stay undefined, %d bytes on",
    (shift) => {
      const { exports, found } = subject();
      const [from, to] = [exports.malloc(64), exports.malloc(64)];
      for (let round = 0; round < 3; round++) exports[not](to + shift, from);
      exports[use](to + shift);
      expect(found()).toBe(1);
    },
  );

  test.each([0, 1, 2, 3, 4, 5, 6, 7])("that are fresh become defined where glue wrote them, %d bytes on", (shift) => {
    const { exports, bytes, found } = subject();
    const block = exports.malloc(64);
    bytes.fill(7, block + shift, block + shift + size);
    exports[use](block + shift);
    expect(found()).toBe(0);
  });

  test("of which glue wrote a part are undefined in the rest, and defined there", () => {
    const { exports, bytes, found } = subject();
    const block = exports.malloc(64);
    // A zero, which does not decide whether the word is one.
    bytes[block + 1] = 0;
    exports.use8(block + 1);
    expect(found()).toBe(0);
    exports[use](block);
    expect(found()).toBe(1);
  });

  test("of which the guest stored the first byte, and glue the others, are defined in the others", () => {
    const { exports, bytes, found } = subject();
    const [from, to] = [exports.malloc(64), exports.malloc(64)];
    exports.not8(to, from);
    bytes.fill(7, to + 1, to + size);
    // Bytes that are not zero decide.
    exports[use](to);
    expect(found()).toBe(0);
    exports.use8(to);
    expect(found()).toBe(1);
  });

  test("that hold the pattern when the guest stores them are as fresh as before: glue's bytes are seen later", () => {
    const { exports, bytes, found } = subject();
    const [from, to] = [exports.malloc(64), exports.malloc(64)];
    exports[not](to, from);
    exports[copy](to, from);
    expect(bytes[to]).toBe(PATTERN);
    bytes.fill(7, to, to + size);
    exports[use](to);
    expect(found()).toBe(0);
  });

  test("in a block whose place another one had are fresh again", () => {
    const { exports, bytes, found } = subject();
    const from = exports.malloc(64);
    const first = exports.malloc(2000);
    exports[not](first, from);
    exports.free(first);
    const blocks = new Set<number>();
    while (!blocks.has(first) && blocks.size < 100_000) blocks.add(exports.malloc(2000));
    expect(blocks.has(first)).toBe(true);
    bytes.fill(7, first, first + size);
    exports[use](first);
    expect(found()).toBe(0);
  });
});
