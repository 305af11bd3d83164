// The native recorder as a library to preload: its C files, compiled with the compiler that is here into a folder of its own.
// What it writes is read by native-recording.ts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCompiler } from "../../harness/c-compiler.ts";

const SOURCES = ["heap.c", "calls.c", "log.c", "region.c", "touch.c"];
const FLAGS = ["-shared", "-fPIC", "-O2", "-std=gnu11", "-pthread", "-fvisibility=hidden", "-U_FORTIFY_SOURCE", "-w"];
const COMPILE_TIMEOUT_MS = 60_000;
/** What raw files are called: this, the process, perhaps a number, `.raw`. */
const RAW_PREFIX = "process-";

export interface NativeRecorder {
  /** Added to the environment of the program. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where each process leaves its raw files. */
  readonly rawFolder: string;
  remove(): void;
}

/**
 * Compiles the recorder into a new folder beside `file`, where raw files go too: they are as large as the traces.
 * @throws Error that says what is missing: Linux with glibc, a C compiler.
 */
export function prepareNativeRecorder(file: string): NativeRecorder {
  if (process.platform !== "linux") throw new Error("record --native needs Linux and glibc");
  const compiler = findCompiler();
  if (compiler === null) throw new Error("record --native: no C compiler answers (tried $CC, cc, gcc, clang)");
  const folder = mkdtempSync(`${file}.raw-`);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const library = join(folder, "recorder.so");
  const files = SOURCES.map((name) => join(sourceFolder(), name));
  const compiled = spawnSync(compiler, [...FLAGS, "-o", library, ...files, "-ldl"], {
    encoding: "utf8",
    timeout: COMPILE_TIMEOUT_MS,
  });
  if (compiled.status !== 0) {
    remove();
    throw new Error(`record --native: ${compiler} cannot compile the recorder:\n${compiled.stderr}`);
  }
  const preloaded = process.env.LD_PRELOAD ?? "";
  const environment = {
    LD_PRELOAD: preloaded === "" ? library : `${library}:${preloaded}`,
    REFHEAP_NATIVE: join(folder, RAW_PREFIX),
  };
  return { environment, rawFolder: folder, remove };
}

/** Beside this file, or in a folder beside the command's bundle. */
function sourceFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return existsSync(join(here, SOURCES[0])) ? here : join(here, "native");
}
