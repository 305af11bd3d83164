// Recording a native program by glibc's own mtrace: a small library is compiled and preloaded that switches it on.
// What comes out is an mtrace trace (T2), which knows no touches.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCompiler } from "../cost/calibration.ts";

const SOURCE = `#include <mcheck.h>
#include <stdlib.h>
__attribute__((constructor)) static void start(void) {
  unsetenv("LD_PRELOAD"); /* programs that this one starts would write into the same file */
  mtrace();
}
`;
/** Where mtrace lives since glibc 2.34. */
const MALLOC_DEBUG = "libc_malloc_debug.so.0";

export interface NativeRecorder {
  readonly environment: Readonly<Record<string, string>>;
  remove(): void;
}

/** @throws Error that says what is missing: Linux with glibc, a C compiler. */
export function prepareNativeRecorder(file: string): NativeRecorder {
  if (process.platform !== "linux")
    throw new Error("record --native needs Linux and glibc, whose mtrace does the recording");
  const compiler = findCompiler();
  if (compiler === null) throw new Error("record --native: no C compiler answers (tried $CC, cc, gcc, clang)");
  const folder = mkdtempSync(join(tmpdir(), "refheap-record-"));
  const source = join(folder, "start.c");
  const library = join(folder, "start.so");
  writeFileSync(source, SOURCE);
  const compiled = spawnSync(compiler, ["-shared", "-fPIC", "-O1", "-o", library, source], { encoding: "utf8" });
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  if (compiled.status !== 0) {
    remove();
    throw new Error(`record --native: ${compiler} cannot compile the preloaded library:\n${compiled.stderr}`);
  }
  return { environment: { LD_PRELOAD: `${MALLOC_DEBUG}:${library}`, MALLOC_TRACE: file }, remove };
}
