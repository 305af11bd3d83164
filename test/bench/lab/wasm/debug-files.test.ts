// Files beside a module that say what its source is: read where the module names them, and only in its folder.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guestStack, Instance, Module } from "../../../../allocator/wasm/index.ts";
import { debugFilesOf } from "../../../../bench/lab/wasm/debug-files.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

const MODULE = wat('(module (memory 1) (func $f (export "f") (drop (i32.load (i32.const 2048))) unreachable))');
// What begins at byte 36, in the function, is line 7, column 3.
const MAP = JSON.stringify({ version: 3, sources: ["app.ts"], names: [], mappings: "oCAME" });

function naming(section: string, url: string): Uint8Array {
  const text = (value: string) => [value.length, ...new TextEncoder().encode(value)];
  const body = [...text(section), ...text(url)];
  return Uint8Array.from([...MODULE, 0, body.length, ...body]);
}

function topFrame(debug: { sourceMap?: string }): string {
  using instance = new Instance(new Module(MODULE, { memoryBytes: 2 ** 24, debug }));
  try {
    (instance.exports.f as () => void)();
  } catch (error) {
    return guestStack(error as Error)
      .split("\n")[1]
      .trim();
  }
  return "";
}

describe("of a module", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "refheap-debug-files-"));
    mkdirSync(join(folder, "lib"));
    mkdirSync(join(folder, "lib/maps"));
    for (const name of ["outside.map", "lib/app.wasm.map", "lib/maps/app 1.map", "lib/app.debug.wasm"])
      writeFileSync(join(folder, name), MAP);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const filesOf = (section: string, url: string) => debugFilesOf(join(folder, "lib/app.wasm"), naming(section, url));

  test.each(["app.wasm.map", "./app.wasm.map", "maps/app%201.map"])("the source map %s is found", (url) => {
    expect(filesOf("sourceMappingURL", url)).toEqual({ sourceMap: MAP });
  });

  test("the file with its DWARF is found", () => {
    expect(Object.keys(filesOf("external_debug_info", "app.debug.wasm"))).toEqual(["dwarf"]);
  });

  test.each([
    "absent.map",
    "../outside.map",
    "maps/../../outside.map",
    "https://example.org/app.wasm.map",
    "file:///etc/passwd",
    "/etc/passwd",
    "%ff",
    "",
  ])("%j is as if nothing were named", (url) => {
    expect(filesOf("sourceMappingURL", url)).toEqual({});
  });
});

test("a source map that is given names the line; without one, or with a wrong one, the byte of the module is named", () => {
  expect(topFrame({ sourceMap: MAP })).toBe("at f (app.ts:7:3)");
  for (const debug of [{}, { sourceMap: "no map" }, { sourceMap: '{"version":3}' }])
    expect(topFrame(debug)).toMatch(/^at f \(module\.wasm:1:\d+\)$/);
});
