// Stacks of errors that come out of guests: by guestStack they are those of the module as it was given, byte for byte.
import { afterEach, describe, expect, test } from "vitest";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { guestStack } from "../../../../allocator/wasm/guest/frames.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { engine, type Imports } from "../../../../platform/host/engine.ts";

const BYTES = wat(`(module (import "host" "call" (func $call (param i32)))
  (memory (export "memory") 1) (table 1 funcref) (elem (i32.const 0) $leaf)
  (func $malloc (param i32) (result i32) (i32.const 3000))
  (func $free (param i32))
  (func $leaf (param i32) (result i32)
    (i32.store (i32.const 2048) (local.get 0)) (i32.store8 offset=3 (i32.const 2048) (i32.const 9))
    (i32.div_u (i32.load (i32.const 2048)) (local.get 0)))
  (func $middle (param i32) (result i32)
    (i32.store8 (call $malloc (i32.const 8)) (i32.const 1))
    (i32.add (i32.const 1) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
  (func $outer (export "outer") (param i32) (result i32)
    (i32.store (i32.const 4000) (local.get 0))
    (call $call (local.get 0)) (i32.add (i32.const 2) (call $middle (local.get 0))))
  (func $release (export "release") (param i32) (call $free (local.get 0))))`);

type Call = (value: number) => number;

const made: Instance[] = [];
afterEach(() => {
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

const importing = (call: (value: number) => void): Imports => ({ host: { call } });
const SILENT = importing(() => {});

function instantiate(module: Module, imports = SILENT): Instance {
  const instance = new Instance(module, imports);
  made.push(instance);
  return instance;
}

function errorOf(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

const outer = ({ exports }: { exports: Record<string, unknown> }, value: number) => (exports.outer as Call)(value);

/** Names and bytes of the guest's frames, by guestStack. */
function framesOf(error: Error): string[] {
  return [...guestStack(error).matchAll(/at (\S+) \(module\.wasm:1:(\d+)\)/g)].map(
    ([, name, byte]) => `${name} ${byte}`,
  );
}

/** The same, from the engine's stack of the module as it is. */
function expectedFrames(value: number, imports = SILENT): string[] {
  const instance = new engine.Instance(new engine.Module(BYTES), imports);
  const error = errorOf(() => outer(instance, value));
  return [...error.stack!.matchAll(/at (\S+) \(wasm:.*:0x([0-9a-f]+)\)/g)].map(
    ([, name, byte]) => `${name.replace(/^.*\./, "")} ${Number.parseInt(byte, 16)}`,
  );
}

describe.each<[string, ModuleOptions]>([
  ["the heap alone", { checks: "none" }],
  ["addresses", {}],
  ["undefined bits", { uninitialised: "byte" }],
  ["origins", { uninitialised: "byte", trackOrigins: true }],
])("with %s", (_, options) => {
  const module = new Module(BYTES, { memoryBytes: 2 ** 24, ...options });

  test("a trap's stack has the functions and bytes of the module as it was given", () => {
    const error = errorOf(() => outer(instantiate(module), 0));
    expect(error).toBeInstanceOf(engine.RuntimeError);
    expect(framesOf(error)).toEqual(expectedFrames(0));
    expect(framesOf(error)).toHaveLength(3);
  });

  test("the engine's own text has the right names and indices, and bytes of the rewritten code", () => {
    const { stack } = errorOf(() => outer(instantiate(module), 0));
    const plain = errorOf(() => outer(new engine.Instance(new engine.Module(BYTES), SILENT), 0)).stack!;
    const indices = (text: string) =>
      [...text.matchAll(/at (\S+) \(wasm:.*wasm-function\[(\d+)\]/g)].map(([, ...pair]) => pair);
    expect(indices(stack!)).toEqual(indices(plain));
  });

  test("what the host throws comes out itself, with the frames that it went through", () => {
    const thrown = new TypeError("of the host");
    const throwing = importing(() => {
      throw thrown;
    });
    const instance = instantiate(module, throwing);
    expect(errorOf(() => outer(instance, 1))).toBe(thrown);
    instance.guest.checkInvariants();
  });

  test("host's and guest's frames alternate as the calls do", () => {
    const deepest = (run: (value: number) => number) => (depth: number) => {
      if (depth === 0) throw new Error("deepest");
      run(depth - 1);
    };
    const instance: Instance = instantiate(module, importing(deepest((value) => outer(instance, value))));
    const error = errorOf(() => outer(instance, 1));
    const plain: { exports: Record<string, unknown> } = new engine.Instance(
      new engine.Module(BYTES),
      importing(deepest((value) => outer(plain, value))),
    );
    const [first] = [...errorOf(() => outer(plain, 1)).stack!.matchAll(/outer \(wasm:.*:0x([0-9a-f]+)\)/g)];
    expect(framesOf(error)).toEqual(Array(2).fill(`outer ${Number.parseInt(first[1], 16)}`));
    expect(guestStack(error)).toContain("frames.test.ts");
  });

  test("an error of the heap has the guest's frames in its own stack", () => {
    const error = errorOf(() => (instantiate(module).exports.release as Call)(1234));
    expect(error.name).toBe("HeapError");
    expect(error.stack).toMatch(/at release \(module\.wasm:1:\d+\)/);
    expect(error.stack).not.toContain("wasm://");
  });
});

describe("a stack is the module's own", () => {
  test("when the instance, or another one of its module, was disposed of", () => {
    const module = new Module(BYTES, { memoryBytes: 2 ** 24 });
    const [first, second] = [instantiate(module), instantiate(module)];
    second[Symbol.dispose]();
    const error = errorOf(() => outer(first, 0));
    first[Symbol.dispose]();
    expect(framesOf(error)).toEqual(expectedFrames(0));
  });

  test.each([
    ["keeps no frames", { stackTraceLimit: 0 }],
    ["has traces as objects", { prepareStackTrace: (_: Error, sites: unknown) => sites }],
  ])("when the program %s while the module is instantiated", (_, given) => {
    const { stackTraceLimit, prepareStackTrace } = Error;
    Object.assign(Error, given);
    let instance: Instance;
    try {
      instance = instantiate(new Module(BYTES, { memoryBytes: 2 ** 24 }));
    } finally {
      Object.assign(Error, { stackTraceLimit, prepareStackTrace });
    }
    expect(framesOf(errorOf(() => outer(instance, 0)))).toEqual(expectedFrames(0));
  });
});
