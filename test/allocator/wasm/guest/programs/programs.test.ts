// The programs of this folder's *sources.ts at each level of optimisation: Memcheck's verdict, and nothing at all for a clean one.
// All of them are one module a level, each a function of its own, since linking takes longest.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WASI } from "node:wasi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatFindings } from "../../../../../allocator/checker/finding-text.ts";
import { Instance, Module } from "../../../../../allocator/wasm/guest/functions.ts";
import { SegmentationFault } from "../../../../../platform/hardware/faults.ts";
import type { Imports } from "../../../../../platform/host/engine.ts";
import { ADDRESS_SOURCES } from "./address-sources.ts";
import { FIELD_SOURCES } from "./field-sources.ts";
import { LAYOUT_SOURCES } from "./layout-sources.ts";
import { PREAMBLE, SOURCES } from "./sources.ts";
import { WORD_SOURCES } from "./word-sources.ts";

const VALUE_SOURCES = [...SOURCES, ...FIELD_SOURCES, ...WORD_SOURCES, ...LAYOUT_SOURCES];
const ALL = [...VALUE_SOURCES, ...ADDRESS_SOURCES];

const LEVELS = ["-O0", "-O1", "-O2"];
const CLANGS = ["clang", "clang-19", "clang-18", "clang-17"];

let folder = "";
let reason = "";
const modules = new Map<string, Module>();

/** @returns what went wrong, or "" */
function run(command: string, flags: readonly string[]): string {
  const { status, stderr, error } = spawnSync(command, flags, { cwd: folder, encoding: "utf8" });
  return status === 0 ? "" : `${command}: ${error?.message ?? stderr.slice(0, 300)}`;
}

function build(clang: string, level: string): string {
  const files = ALL.map((_, i) => `p${i}.c`);
  const failed = run(clang, ["--target=wasm32-wasi", level, "-g", "-w", "-c", ...files]);
  if (failed !== "") return failed;
  const exports = ALL.map((_, i) => `-Wl,--export=program_${i}`);
  const objects = files.map((file) => file.replace(".c", ".o"));
  // Without a level: behind the linker wasm-opt would take the names away.
  return run(clang, [
    "--target=wasm32-wasi",
    "-g",
    "-mexec-model=reactor",
    ...exports,
    "-o",
    `all${level}.wasm`,
    ...objects,
  ]);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-programs-"));
  for (const [i, { body }] of ALL.entries())
    writeFileSync(join(folder, `p${i}.c`), `#define main program_${i}\n${PREAMBLE}${body}\n`);
  const clang = CLANGS.find((name) => spawnSync(name, ["--version"]).status === 0);
  if (clang === undefined) {
    reason = "clang is not installed";
    return;
  }
  // Without WASI's libraries nothing can be linked. What fails beyond that is a fault of the programs.
  writeFileSync(join(folder, "empty.c"), "int main(void) { return 0; }\n");
  reason = run(clang, ["--target=wasm32-wasi", "-o", "empty.wasm", "empty.c"]);
  if (reason !== "") return;
  for (const level of LEVELS) {
    const failed = build(clang, level);
    if (failed !== "") throw new Error(failed);
    const bytes = readFileSync(join(folder, `all${level}.wasm`));
    modules.set(level, new Module(bytes, { memoryBytes: 2 ** 26, uninitialised: "byte", invalidFree: "report" }));
  }
}, 600_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The kinds of what is found in a program, and the findings as text. */
function check(level: string, index: number, leaks = false): { kinds: string[]; text: string } {
  const wasi = new WASI({ version: "preview1", stdout: 1 });
  const quiet = { ...wasi.wasiImport, fd_write: quietWrite() } as Record<string, unknown>;
  using instance = new Instance(modules.get(level)!, { wasi_snapshot_preview1: quiet } as Imports);
  memory = (instance.exports.memory as { buffer: ArrayBuffer }).buffer;
  wasi.initialize(instance.instance as object);
  try {
    (instance.exports[`program_${index}`] as () => number)();
  } catch (error) {
    // Behind a large block there is no memory: the finding comes first.
    if (!(error instanceof SegmentationFault)) throw error;
  }
  if (leaks) instance.checker.leakCheck();
  const { findings } = instance.checker;
  const kinds = findings.map(({ kind, operation }) => memcheckName(kind, operation));
  return { kinds, text: formatFindings(findings) };
}

let memory = new ArrayBuffer(0);

/** As WASI's, but nothing is printed. */
function quietWrite() {
  return (_: number, list: number, count: number, written: number): number => {
    const view = new DataView(memory);
    let total = 0;
    for (let i = 0; i < count; i++) total += view.getUint32(list + 8 * i + 4, true);
    view.setUint32(written, total, true);
    return 0;
  };
}

describe.each(LEVELS)("at %s", (level) => {
  test.for(VALUE_SOURCES.map((source, index) => ({ ...source, index })))("$verdict: $name", (source, ctx) => {
    if (reason !== "") return ctx.skip(reason);
    if (source.unoptimised && level !== "-O0") return ctx.skip("the compiler makes something defined of it");
    const { kinds, text } = check(level, source.index);
    if (source.verdict === "clean") expect(kinds, text).toEqual([]);
    else expect(kinds, text).toContain(source.verdict);
  });

  test.for(ADDRESS_SOURCES.map((source, index) => ({ ...source, index: VALUE_SOURCES.length + index })))(
    "$verdict: $name",
    (source, ctx) => {
      if (reason !== "") return ctx.skip(reason);
      const { kinds, text } = check(level, source.index, true);
      if (source.verdict === "clean") expect(kinds, text).toEqual([]);
      else expect(kinds, text).toContain(source.verdict);
    },
  );
});

/** Memcheck's words for findings about addresses. */
function memcheckName(kind: string, operation: string | null): string {
  if (operation === "system call") return "syscall";
  return kind === "invalid-access" ? `invalid-${operation === "store" ? "write" : "read"}` : kind;
}
