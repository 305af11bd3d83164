// The fixture for WebAssembly modules: matchers see what the module does, and a test that leaves something behind fails.
// That a test fails by it is run by a runner of its own (child.test.ts does so for heaps).
import { describe } from "vitest";
import { expect, test } from "../../../allocator/vitest/index.ts";
import { wat } from "../../../fuzz/wasm/wat.ts";

const module = wat(`(module
  (memory (export "memory") 2)
  (global $stack (mut i32) (i32.const 66560))
  (func $malloc (export "malloc") (param i32) (result i32) (unreachable))
  (func $free (export "free") (param i32) (unreachable))
  (func $read (export "read") (param i32) (result i32) (i32.load (local.get 0)))
  (func $write (export "write") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
)`);

interface Exports {
  malloc(size: number): number;
  free(pointer: number): void;
  read(address: number): number;
  write(address: number, value: number): void;
}

describe("a test with a module", () => {
  test.override({ wasmOptions: { module } });

  test("has an instance on a heap of its own", ({ wasm }) => {
    const { malloc, free, read, write } = wasm.exports as unknown as Exports;
    const block = malloc(16);
    write(block, 7);
    expect(read(block)).toBe(7);
    expect(wasm.heap.malloc_usable_size(block)).toBe(16);
    free(block);
  });

  test("is judged by matchers for what the module does", ({ wasm }) => {
    const { malloc, free, read, write } = wasm.exports as unknown as Exports;
    const block = malloc(16);
    expect(() => write(block + 16, 1)).toAccessOutOfBounds({ operation: "store", size: 4, blockSize: 16 });
    expect(() => write(block, 1)).not.toAccessOutOfBounds();
    free(block);
    expect(() => read(block)).toUseAfterFree({ operation: "load" });
  });
});

describe("a test whose module may leak", () => {
  test.override({ wasmOptions: { module, leaks: "ignore" } });

  test("keeps a block", ({ wasm }) => {
    expect((wasm.exports as unknown as Exports).malloc(16)).not.toBe(0);
  });
});

const decider = wat(`(module
  (memory (export "memory") 2)
  (global $__stack_pointer (mut i32) (i32.const 66560))
  (func $malloc (export "malloc") (param i32) (result i32) (unreachable))
  (func $free (export "free") (param i32) (unreachable))
  (func $make (export "make") (result i32) (call $malloc (i32.const 40)))
  (func $decide (export "decide") (param i32) (if (i32.load (local.get 0)) (then)))
  (func $through (export "through") (param i32 i32)
    (i32.store (local.get 1) (i32.mul (i32.load (local.get 0)) (i32.const 3))) (call $decide (local.get 1)))
  (func $frame (export "frame") (local i32)
    (global.set $__stack_pointer (local.tee 0 (i32.sub (global.get $__stack_pointer) (i32.const 16))))
    (call $decide (local.get 0))
    (global.set $__stack_pointer (i32.add (local.get 0) (i32.const 16))))
)`);

describe("undefined bits of a module, where origins are tracked", () => {
  test.override({ wasmOptions: { module: decider, uninitialised: "byte", trackOrigins: true, leaks: "ignore" } });

  test("are judged by what was done with them and where they are from", ({ wasm }) => {
    const { malloc, make, decide, through, frame } = wasm.exports as unknown as Record<
      string,
      (...values: number[]) => number
    >;
    const block = make();
    expect(() => decide(block)).toReadUninitialised({ operation: "condition", originSize: 40, originFunction: "make" });
    const other = malloc(16);
    expect(() => through(block + 8, other)).toReadUninitialised({ originSize: 40, functionName: "through" });
    expect(() => frame()).toReadUninitialised({ originFunction: "frame" });
    wasm.heap.memory.setUint32(block, 1);
    expect(() => decide(block)).not.toReadUninitialised();
    expect(() => {
      expect(() => decide(block + 4)).toReadUninitialised({ originFunction: "frame" });
    }).toThrow(/originFunction frame/);
  });
});
