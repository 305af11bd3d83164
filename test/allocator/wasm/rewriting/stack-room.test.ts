// A guest whose recursion has no end overflows the engine's stack in its own code, before the host has begun: never within the heap.
import { expect, test } from "vitest";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

/** The innermost frame of the error that endless recursion ends with. */
function innermostFrame(body: string, uninitialised: "off" | "byte"): string {
  const text = `(module (memory 1)
    (func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable)
    (func $f (export "f") ${body} (call $f)))`;
  using instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 26, uninitialised, heap: { seed: 1 } }));
  try {
    (instance.exports.f as () => void)();
    return "none: it came back";
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    instance.guest.checkInvariants();
    return (error as Error).stack?.split("\n").find((line) => line.trimStart().startsWith("at ")) ?? "none";
  }
}

test.each([
  ["frees", "off", "(call $free (call $malloc (i32.const 100)))"],
  ["frees large blocks", "off", "(call $free (call $malloc (i32.const 300000)))"],
  ["grows its memory", "off", "(drop (memory.grow (i32.const 1)))"],
  ["frees under all checks", "byte", "(call $free (call $malloc (i32.const 100)))"],
  ["loads from a null pointer", "off", "(drop (i32.load (i32.const 4)))"],
] as const)("a recursion without an end that %s ends in the guest's code", (_what, uninitialised, body) => {
  expect(innermostFrame(body, uninitialised)).toContain("wasm://");
});
