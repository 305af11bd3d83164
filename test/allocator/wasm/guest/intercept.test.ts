// intercept(): packages that instantiate their modules by themselves get guests, and the engine's own functions come back.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { intercept } from "../../../../allocator/wasm/guest/intercept.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import type { Engine, EngineModule } from "../../../../platform/host/engine.ts";

const host = (
  globalThis as unknown as { WebAssembly: Engine & { instantiate: (...values: unknown[]) => Promise<unknown> } }
).WebAssembly;

const TEXT = `(module (import "env" "memory" (memory 1))
  (func (export "malloc") (param i32) (result i32) unreachable) (func (export "free") (param i32) unreachable)
  (func (export "read") (param i32) (result i32) (i32.load (local.get 0))))`;

const OWN_MEMORY = `(module (memory 1) (func (export "read") (param i32) (result i32) (i32.load (local.get 0))))`;

test("until it is disposed of, modules, instances and memories are guests' and look like the engine's", async () => {
  const before = { ...host, Memory: host.Memory, Module: host.Module, Instance: host.Instance };
  const interception = intercept({ memoryBytes: 2 ** 26 });
  const memory = new host.Memory({ initial: 2, maximum: 4 });
  expect(memory).toBeInstanceOf(host.Memory);
  const module = new host.Module(wat(TEXT));
  expect(module).toBeInstanceOf(host.Module);
  expect(host.Module.imports(module)).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
  expect(host.Module.exports(module).map(({ name }) => name)).toEqual(["malloc", "free", "read"]);
  const instance = new host.Instance(module, { env: { memory } });
  expect(instance).toBeInstanceOf(host.Instance);
  const { malloc, read } = instance.exports as Record<string, (value: number) => number>;
  read(malloc(4) + 4);
  expect(interception.instances[0].checker.findings).toHaveLength(1);
  const made = (await host.instantiate(wat(TEXT), { env: { memory } })) as { module: EngineModule };
  expect(made.module).toBeInstanceOf(host.Module);
  expect(interception.instances).toHaveLength(2);
  interception[Symbol.dispose]();
  expect([host.Memory, host.Module, host.Instance]).toEqual([before.Memory, before.Module, before.Instance]);
});

test("modules without memory pass through", () => {
  const interception = intercept();
  const module = new host.Module(wat('(module (func (export "one") (result i32) (i32.const 1)))'));
  const { one } = new host.Instance(module).exports as { one: () => number };
  expect(one()).toBe(1);
  expect(interception.instances).toHaveLength(0);
  interception[Symbol.dispose]();
});

test("an Emscripten package works on it: vscode-oniguruma finds the same matches, without a finding", async () => {
  const require = createRequire(import.meta.url);
  const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
  const interception = intercept({ memoryBytes: 2 ** 28 });
  try {
    const onig = require("vscode-oniguruma") as typeof import("vscode-oniguruma");
    await onig.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.length));
    const scanner = new onig.OnigScanner(["(\\w+)@(\\w+)", "\\d{3,}"]);
    const text = `${"no match here, ".repeat(2000)}who@where 12345`;
    const match = scanner.findNextMatchSync(new onig.OnigString(text), 0);
    expect(match?.captureIndices.map(({ start, end }) => text.slice(start, end))).toEqual([
      "who@where",
      "who",
      "where",
    ]);
    // The host may instantiate modules of its own meanwhile.
    const guest = interception.instances.at(-1)!;
    expect(guest.checker.toText()).toBe("no errors");
    expect(guest.guest.process.minorFaults).toBeGreaterThan(10);
  } finally {
    interception[Symbol.dispose]();
  }
});

describe("interceptions inside each other", () => {
  const limits = [2 ** 24, 2 ** 25] as const;
  /** Where addresses end for a module that is made now; 0: it is the engine's. */
  const limitNow = (): number => {
    const memory = new host.Memory({ initial: 1 });
    return memory.buffer.byteLength === 65536 ? 0 : memory.buffer.byteLength;
  };

  test.each(["inner", "outer"])("end in any order: the %s one first", (first) => {
    const before = [host.Memory, host.Module, host.compile];
    const outer = intercept({ memoryBytes: limits[0] });
    const ofOuter = limitNow();
    const inner = intercept({ memoryBytes: limits[1] });
    const ofInner = limitNow();
    expect(ofInner).toBeGreaterThan(ofOuter);
    const [one, other] = first === "inner" ? [inner, outer] : [outer, inner];
    one.restore();
    expect(limitNow()).toBe(first === "inner" ? ofOuter : ofInner);
    one.restore();
    other[Symbol.dispose]();
    expect([host.Memory, host.Module, host.compile]).toEqual(before);
    one[Symbol.dispose]();
    expect([host.Memory, host.Module, host.compile]).toEqual(before);
  });

  test("a module that one of them compiled is a guest under the other, and a module may have many instances", () => {
    using outer = intercept({ memoryBytes: limits[0] });
    const inner = intercept({ memoryBytes: limits[0] });
    const module = new host.Module(wat(OWN_MEMORY));
    inner[Symbol.dispose]();
    const reads = [0, 1].map(() => new host.Instance(module).exports.read as (address: number) => number);
    expect(reads.map((read) => read(2000))).toEqual([0, 0]);
    expect(() => reads[0](70000)).toThrow(/SEGV_MAPERR/);
    expect(outer.instances.map(({ checker }) => checker.findings.length)).toEqual([1, 0]);
  });
});

test("a copy of a rewritten module is refused by name, since nothing knows what it was", async () => {
  using _ = intercept({ memoryBytes: 2 ** 24 });
  const copy = structuredClone(new host.Module(wat(OWN_MEMORY)));
  const refused = expect.objectContaining({ name: "ModuleError", code: "unsupported" });
  expect(() => new host.Instance(copy)).toThrow(refused);
  await expect(host.instantiate(copy)).rejects.toEqual(refused);
});

test("streaming takes the responses that the engine takes", async () => {
  const interception = intercept({ memoryBytes: 2 ** 24 });
  const { instantiateStreaming } = host as unknown as Record<string, (response: unknown) => Promise<unknown>>;
  const response = (type: string | null, status = 200) =>
    new Response(wat(OWN_MEMORY), { status, headers: type === null ? {} : { "Content-Type": type } });
  await instantiateStreaming(Promise.resolve(response("application/wasm")));
  expect(interception.instances).toHaveLength(1);
  for (const [given, message] of [
    [response("text/html"), /MIME type 'text\/html'/],
    [response(null), /MIME type ''/],
    [response("application/wasm", 404), /status code 404/],
    [{}, /a Response is needed/],
  ] as const)
    await expect(instantiateStreaming(given)).rejects.toThrow(
      expect.objectContaining({ name: "TypeError", message: expect.stringMatching(message) }),
    );
  const read = response("application/wasm");
  await read.arrayBuffer();
  await expect(instantiateStreaming(read)).rejects.toThrow(/already been used/);
  interception[Symbol.dispose]();
});
