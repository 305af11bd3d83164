// A WASI command (a .wasm file with _start) on the heap, through node:wasi: what it may see, its exit code, what stopped it.
// Options of the command line are cli/program-options.ts; what is made of a run is cli/check.ts and cli/run.ts.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { compile, type Imports, Instance, type ModuleOptions } from "../../../allocator/wasm/index.ts";
import { debugFilesOf } from "./debug-files.ts";

/** What a program is given. */
export interface WasiProgram {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Folders of the guest's, each with the host's folder behind it. */
  readonly preopens: Readonly<Record<string, string>>;
  /** File descriptors of the host's for its standard input, output and error. */
  readonly stdin?: number;
  readonly stdout?: number;
  readonly stderr?: number;
}

/** How a run ended. */
export interface WasiRun {
  readonly instance: Instance;
  /** What the program ended with; 134, a shell's code of an aborted program, if it was stopped. */
  readonly exitCode: number;
  /** What stopped it, or null: a trap, a fault of memory, an error of the heap. */
  readonly failure: Error | null;
}

const EXIT_ABORTED = 134;
/** Of what stopped a program: a panic of Rust's is ten calls of its library deep. */
const STACK_FRAMES = 32;
const WASI_VERSIONS = { wasi_snapshot_preview1: "preview1", wasi_unstable: "unstable" } as const;

/**
 * Runs a program to its end. The instance is the caller's to dispose of. `ready` is called before the program starts; what it
 * answers is called when the program has ended.
 * @throws Error: the file cannot be read, is no module, is no WASI command, or imports something else
 */
export async function runWasi(
  program: WasiProgram,
  options: ModuleOptions,
  ready: (instance: Instance) => (() => void) | undefined = () => undefined,
): Promise<WasiRun> {
  const bytes = readModule(program.file);
  const debug = debugFilesOf(program.file, bytes);
  const module = await compile(bytes, { fileName: basename(program.file), debug, ...options }).catch((error: Error) => {
    throw Object.assign(error, { message: `${program.file}: ${error.message}` });
  });
  const { module: read } = module.compiled;
  const foreign = read.imports.find((one) => !Object.hasOwn(WASI_VERSIONS, one.module));
  if (foreign !== undefined) {
    throw new Error(
      `${program.file}: imports "${foreign.module}.${foreign.name}", which WASI does not have; a module with glue of its own ` +
        "is run by its glue, with refheap/wasm (docs/wasm.md)",
    );
  }
  if (!read.exports.some(({ name }) => name === "_start"))
    throw new Error(`${program.file}: exports no "_start": it is a library, not a WASI command`);
  const wanted = read.imports.find((one) => Object.hasOwn(WASI_VERSIONS, one.module))?.module;
  const wasi = await makeWasi(program, wanted === "wasi_unstable" ? "unstable" : "preview1");
  const instance = new Instance(module, wasi.getImportObject() as Imports);
  const ended = ready(instance);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = Math.max(STACK_FRAMES, stackTraceLimit || 0);
  try {
    const exitCode = wasi.start(instance.instance) ?? 0;
    return { instance, exitCode: Number(exitCode), failure: null };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { instance, exitCode: EXIT_ABORTED, failure: error };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    ended?.();
  }
}

/** Node's error for a folder does not say which. */
function readModule(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw Object.assign(error as Error, { path: file });
  }
}

interface Wasi {
  getImportObject(): object;
  start(instance: object): number | undefined;
}

/** node:wasi says at each start that it is experimental; that is no news for the program's user. */
async function makeWasi(program: WasiProgram, version: "preview1" | "unstable"): Promise<Wasi> {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    const { WASI } = await import("node:wasi");
    return new WASI({
      version,
      args: [basename(program.file), ...program.args],
      env: { ...program.env },
      preopens: { ...program.preopens },
      returnOnExit: true,
      stdin: program.stdin ?? 0,
      stdout: program.stdout ?? 1,
      stderr: program.stderr ?? 2,
    }) as Wasi;
  } finally {
    process.emitWarning = emitWarning;
  }
}
