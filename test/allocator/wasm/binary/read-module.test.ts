// Reading and writing modules: what is read, that nothing is lost, and what bad files get.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BodyWalker } from "../../../../allocator/wasm/binary/body-walker.ts";
import type { Module } from "../../../../allocator/wasm/binary/module.ts";
import { ModuleError } from "../../../../allocator/wasm/binary/module-error.ts";
import { readModule } from "../../../../allocator/wasm/binary/read-module.ts";
import { NO_CHANGES, writeModule } from "../../../../allocator/wasm/binary/write-module.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { type EngineGlobal, type EngineTable, engine } from "../../../../platform/host/engine.ts";

const everything = wat(`(module
  (type $unary (func (param i32) (result i32)))
  (import "host" "log" (func $log (param i32)))
  (import "host" "base" (global $base i32))
  (table 4 funcref)
  (memory (export "memory") 2 5)
  (global $sp (mut i32) (i32.const 66560))
  (global $wide i64 (i64.const -1))
  (export "twice" (func $twice))
  (func $begin)
  (start $begin)
  (elem (i32.const 1) $twice $begin)
  (elem declare func $twice)
  (func $twice (type $unary) (local i64 f32 f64 v128)
    (local.set 4 (v128.const i32x4 1 2 3 4))
    (i32.add (local.get 0) (i32.extend8_s (local.get 0))))
  (data (i32.const 1024) "abc")
  (data "passive"))`);

/** Reads all there is: sections, and each instruction of each body. */
function readAll(bytes: Uint8Array): Module {
  const module = readModule(bytes);
  const walker = new BodyWalker(module);
  for (let body = 0; body < module.bodyStart.length; body++) {
    walker.begin(body);
    while (walker.next());
  }
  return module;
}

describe("reading", () => {
  test("what rewriting needs is there: types, limits, globals with their constants, exports, segments", () => {
    const module = readModule(everything);
    expect(module.memory).toEqual({ minimum: 2, maximum: 5, isImported: false });
    expect(module.globals.map(({ constant }) => constant)).toEqual([null, 66560, null]);
    expect(module.exports.map(({ name }) => name)).toEqual(["memory", "twice"]);
    expect(module.start).toBe(1);
    expect(module.importedFunctions).toBe(1);
    expect(module.tables).toEqual([0x70]);
    expect(module.data.map(({ offset, isPassive }) => [offset, isPassive])).toEqual([
      [1024, false],
      [null, true],
    ]);
  });

  test("writing without changes gives the same bytes", () => {
    expect(writeModule(readModule(everything)).bytes).toEqual(everything);
  });

  test("a length that is not of the shortest form stays as it was", () => {
    // A type section of one type, whose length 4 is written with three bytes.
    const padded = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 0x84, 0x80, 0, 1, 0x60, 0, 0]);
    expect(engine.validate(padded)).toBe(true);
    expect(writeModule(readModule(padded)).bytes).toEqual(padded);
  });
});

describe("writing changes", () => {
  const added = {
    ...NO_CHANGES,
    types: [{ params: Uint8Array.of(0x7f, 0x7f), results: Uint8Array.of(0x7f) }],
    functions: [{ type: 3, body: Uint8Array.of(0, 0x20, 0, 0x20, 1, 0x6c, 0x0b) }],
    globals: [{ type: 0x7f, mutable: true, value: Uint8Array.of(0x41, 7, 0x0b) }],
    tables: [3],
    memory: { module: "heap", name: "memory", minimum: 20, maximum: 20 },
    dropsStart: true,
  };

  test("what is added stands behind the module's own, and the memory is imported", () => {
    const changes = {
      ...added,
      exports: [
        { name: "times", kind: 0, index: 3 },
        { name: "seven", kind: 3, index: 3 },
        { name: "slow", kind: 1, index: 1 },
      ],
    };
    const { bytes } = writeModule(readModule(everything), changes);
    expect(engine.validate(bytes)).toBe(true);
    const memory = new engine.Memory({ initial: 20, maximum: 20 });
    const { exports } = new engine.Instance(new engine.Module(bytes), {
      host: { log() {}, base: 0 },
      heap: { memory },
    });
    expect((exports.times as (a: number, b: number) => number)(6, 7)).toBe(42);
    expect((exports.seven as EngineGlobal).value).toBe(7);
    expect((exports.slow as EngineTable).length).toBe(3);
    expect(exports.memory).toBe(memory);
    expect((exports.twice as (a: number) => number)(21)).toBe(42);
  });

  test("sections that the module does not have are made in their places", () => {
    const { bytes } = writeModule(readModule(wat("(module)")), {
      ...added,
      functions: [{ type: 0, body: added.functions[0].body }],
    });
    expect(engine.validate(bytes)).toBe(true);
  });
});

describe("bad files", () => {
  test("each truncation is a ModuleError", () => {
    for (let length = 0; length < everything.length; length++) {
      let error: unknown = null;
      try {
        readAll(everything.subarray(0, length));
      } catch (thrown) {
        error = thrown;
      }
      // A cut between two sections may leave a smaller module that is whole.
      if (error !== null) expect(error).toBeInstanceOf(ModuleError);
      else expect(engine.validate(everything.slice(0, length))).toBe(true);
    }
  });

  test("no change of bytes gets anything but a module or a ModuleError, and what the engine takes is read", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(everything.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bytes = everything.slice();
          for (const [at, value] of changes) bytes[at] = value;
          let refusal: ModuleError | null = null;
          try {
            readAll(bytes);
          } catch (error) {
            if (!(error instanceof ModuleError)) throw error;
            refusal = error;
          }
          if (refusal !== null && refusal.code !== "unsupported") expect(engine.validate(bytes)).toBe(false);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["atomic instructions", "(module (memory 1 1 shared))", { threads: true }, "threads"],
    ["exceptions", "(module (tag (param i32)))", { exceptions: true }, "exception"],
    ["64-bit memory", "(module (memory i64 1))", { memory64: true }, "64-bit"],
    ["several memories", "(module (memory 1) (memory 1))", { multi_memory: true }, "several memories"],
    [
      "an atomic load",
      "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
      { threads: true },
      "threads",
    ],
    ["a try", "(module (func try end))", { exceptions: true }, "exception"],
  ] as const)("%s are refused by name", (_, text, features, word) => {
    expect(() => readAll(wat(text, features))).toThrow(
      expect.objectContaining({ name: "ModuleError", code: "unsupported", message: expect.stringContaining(word) }),
    );
  });

  test("a text file, an empty one and a component say what they are not", () => {
    expect(() => readModule(new TextEncoder().encode("(module (func))"))).toThrow(/does not begin with/);
    expect(() => readModule(new Uint8Array(0))).toThrow(/fewer than 8 bytes/);
    expect(() => readModule(Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0))).toThrow(/component/);
  });

  test("an error says where", () => {
    const bytes = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x50, 0, 0]);
    expect(() => readModule(bytes)).toThrow(expect.objectContaining({ offset: 11 }));
  });
});
