// Modules whose name section was stripped: DWARF still tells which function is malloc.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findCustomSection, type Section } from "../../../../allocator/wasm/binary/module.ts";
import { readModule } from "../../../../allocator/wasm/binary/read-module.ts";
import { debugInfoOf } from "../../../../allocator/wasm/guest/frames.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import type { EngineMemory } from "../../../../platform/host/engine.ts";
import { compileC } from "../clang.ts";
import { Exit, TinyWasi } from "../wasi.ts";

const PROGRAM = `#include <stdlib.h>
__attribute__((noinline)) static int sum(const int *from, int count) {
  int total = 0;
  for (int i = 0; i <= count; i++) total += from[i];
  return total;
}
int main(void) {
  volatile int five = 5;
  int *block = calloc(4, sizeof(int));
  block = realloc(block, 6 * sizeof(int));
  block[4] = block[5] = five;
  int total = sum(block, 6);
  free(block);
  return total == 12345;
}
`;

function build(options: readonly string[]): Uint8Array | null {
  const folder = mkdtempSync(join(tmpdir(), "refheap-names-"));
  try {
    writeFileSync(join(folder, "program.c"), PROGRAM);
    return compileC(join(folder, "program.c"), options);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The module without a custom section; nothing that is left moves but what stands behind it. */
function without(bytes: Uint8Array, name: string): Uint8Array {
  const section = findCustomSection(readModule(bytes), name) as Section;
  const size = section.end - section.start;
  let header = 1;
  for (let rest = size; rest >= 0x80; rest >>>= 7) header++;
  // The linker writes sizes in one byte, or in five.
  const start = bytes[section.start - header - 1] === 0 ? section.start - header - 1 : section.start - 6;
  expect(bytes[start]).toBe(0);
  return new Uint8Array([...bytes.subarray(0, start), ...bytes.subarray(section.end)]);
}

function run(bytes: Uint8Array): { roles: Set<string>; text: string } {
  const wasi = new TinyWasi();
  const module = new Module(bytes as Uint8Array<ArrayBuffer>, { memoryBytes: 2 ** 26 });
  const instance = new Instance(module, wasi.imports);
  wasi.memory = instance.exports.memory as EngineMemory;
  try {
    (instance.exports._start as () => void)();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
  }
  const text = instance.checker.toText({ stable: true });
  instance[Symbol.dispose]();
  return { roles: new Set(module.functions.values()), text };
}

test.for(["-O0", "-O1", "-O2"])("without names, DWARF says which functions are the heap's: %s", (level, ctx) => {
  const bytes = build([level, "-g"]);
  if (bytes === null) return ctx.skip("no compiler for WebAssembly is installed");
  const named = run(bytes);
  expect(named.text).toContain("Access out of bounds: load of 4 bytes right behind block A of 24 bytes");
  const stripped = run(without(bytes, "name"));
  expect(stripped.roles).toEqual(named.roles);
  // The linker's own function has a name only in the name section.
  expect(stripped.text.replaceAll(/_start \(module.wasm\)/g, "")).toBe(
    named.text.replaceAll(/_start\.command_export \(program-\d+\.wasm\)/g, ""),
  );
});

test("DWARF of code that has moved since says nothing", (ctx) => {
  const bytes = build(["-O1", "-g"]);
  if (bytes === null) return ctx.skip("no compiler for WebAssembly is installed");
  const module = readModule(bytes);
  const [start, end] = [module.bodyStart[0], module.bodyEnd[0]];
  const debugInfo = debugInfoOf(module);
  expect(debugInfo.compiledName(start, end)).not.toBeNull();
  expect(debugInfo.compiledName(start, end - 1)).toBeNull();
  expect(debugInfo.compiledName(start + 1, end)).toBeNull();
});

test("without names and DWARF the module's own allocator runs on", (ctx) => {
  const bytes = build(["-O1", "-Wl,--strip-all"]);
  if (bytes === null) return ctx.skip("no compiler for WebAssembly is installed");
  expect(run(bytes)).toEqual({ roles: new Set(), text: "no errors" });
});
