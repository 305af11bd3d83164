// Modules as they come from other toolchains' users: AssemblyScript's runtime, wasm-bindgen's glue. What they compute is the same on
// the heap, and nothing is found in them. Emscripten's is in intercept.test.ts.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { type Interception, intercept } from "../../../../allocator/wasm/guest/intercept.ts";
import type { Engine } from "../../../../platform/host/engine.ts";

const host = (globalThis as unknown as { WebAssembly: Engine & { Module: new (bytes: Uint8Array) => object } })
  .WebAssembly;

const MEMORY_BYTES = 2 ** 26;
const MODES: readonly (readonly [string, ModuleOptions])[] = [
  ["addresses", {}],
  ["undefined bits", { uninitialised: "byte" }],
  ["undefined bits and origins", { uninitialised: "byte", trackOrigins: true }],
];

/** What `run` gives on the heap, and what was found; the last instance is the one that it made. */
function onHeap<Value>(
  options: ModuleOptions,
  run: () => Value,
): { value: Value; found: string; roles: string[]; faults: number } {
  const interception: Interception = intercept({ memoryBytes: MEMORY_BYTES, ...options });
  try {
    const value = run();
    const { checker, functions, guest } = interception.instances.at(-1)!;
    guest.checkInvariants();
    const found = checker.toText();
    return { value, found, roles: [...functions.values()].sort(), faults: guest.process.minorFaults };
  } finally {
    interception[Symbol.dispose]();
  }
}

interface Words {
  readonly memory: { readonly buffer: ArrayBuffer };
  __new(size: number, id: number): number;
  __pin(pointer: number): number;
  __unpin(pointer: number): void;
  __collect(): void;
  sorted(text: number): number;
  count(text: number): number;
  sumOfList(length: number): number;
  sumOfGrowing(length: number): number;
  primes(limit: number): number;
}

const STRING_ID = 2;

/** As the glue does that AssemblyScript's compiler writes. */
function runWords(): unknown[] {
  const bytes = readFileSync(fileURLToPath(new URL("fixtures/words.wasm", import.meta.url)));
  const abort = () => {
    throw new Error("aborted");
  };
  const words = new host.Instance(new host.Module(bytes), { env: { abort } }).exports as unknown as Words;
  const lower = (text: string): number => {
    const pointer = words.__new(text.length * 2, STRING_ID) >>> 0;
    const units = new Uint16Array(words.memory.buffer, pointer, text.length);
    for (let at = 0; at < text.length; at++) units[at] = text.charCodeAt(at);
    return words.__pin(pointer);
  };
  const lift = (pointer: number): string => {
    const [bytes] = new Uint32Array(words.memory.buffer, pointer - 4, 1);
    return String.fromCharCode(...new Uint16Array(words.memory.buffer, pointer, bytes / 2));
  };
  const text = lower("the quick brown fox jumps over the lazy dog and the cat");
  const results = [lift(words.sorted(text)), words.count(text)];
  words.__unpin(text);
  results.push(words.sumOfList(1500), words.sumOfGrowing(80), words.primes(2000));
  words.__collect();
  return results;
}

test("AssemblyScript without the heap computes what the source says", () => {
  const sum = Array.from({ length: 70 }, (_, index) => index + 10).reduce((total, value) => total + value);
  expect(runWords()).toEqual([
    "and,brown,cat,dog,fox,jumps,lazy,over,quick,the,the,the",
    310,
    (1500 * 1499) / 2,
    sum,
    303,
  ]);
});

test.each(MODES)("AssemblyScript's collector works with the heap's blocks: %s", (_, options) => {
  const { value, found, roles, faults } = onHeap(options, runWords);
  expect(value).toEqual(runWords());
  expect(found).toBe("no errors");
  expect(roles).toEqual(["tlsf_alloc", "tlsf_free"]);
  expect(faults).toBeGreaterThan(10);
});

/** The package is loaded anew for each run: it instantiates its module when it is required. */
function runSnappy(): { compressed: number[]; text: string; refused: unknown } {
  const require = createRequire(import.meta.url);
  delete require.cache[require.resolve("snappy-wasm")];
  const snappy = require("snappy-wasm") as typeof import("snappy-wasm");
  const text = `${"Hello ".repeat(500)}${Array.from({ length: 1500 }, (_, index) => index * index).join()}`;
  const compressed = snappy.compress_raw(new TextEncoder().encode(text));
  let refused: unknown = null;
  try {
    snappy.decompress_raw(compressed.subarray(0, compressed.length - 1));
  } catch (error) {
    refused = error instanceof Error ? error.message : error;
  }
  return {
    compressed: [...compressed],
    text: new TextDecoder().decode(snappy.decompress_raw(compressed)),
    refused,
  };
}

test.each(MODES)("a wasm-bindgen package compresses to the same bytes: snappy-wasm, %s", (_, options) => {
  const plain = runSnappy();
  expect(plain.text.length).toBeGreaterThan(plain.compressed.length);
  expect(plain.refused).not.toBeNull();
  const { value, found } = onHeap(options, runSnappy);
  expect(value).toEqual(plain);
  expect(found).toBe("no errors");
});
