// The operations that two builds are compared by. Each build gets a copy of this module of its own (beside.ts), so that the engine
// compiles each loop for one of them alone.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Heap, HeapOptions } from "../../allocator/index.ts";
import type * as wasm from "../../allocator/wasm/index.ts";

/** What a build of the library exports, as far as it is needed here. */
export interface Library {
  readonly Heap: typeof Heap;
  /** `refheap/wasm`. */
  readonly wasm: typeof wasm;
}

/** A batch of `count` operations. */
export interface Batch {
  readonly count: number;
  readonly run: () => unknown;
}

/** Freed blocks are handed out again immediately, also where a level keeps them by itself. */
const NO_QUARANTINE = { sizeKb: 0, threadLocalSizeKb: 0, maxChunkSize: 0 };
/** What a level of `uninitialised: "byte"` keeps by itself. */
const FREELIST = { sizeKb: 19_531, threadLocalSizeKb: 1024, maxChunkSize: 2 ** 20 };

type Operation = (library: Library) => Batch;

// From dist/bench/beside, as bench/wasm/wasm.ts.
const PROGRAMS = fileURLToPath(new URL("../../../bench/wasm/programs.wasm", import.meta.url));
const KIB = 1024;
const MIB = 2 ** 20;

function pair(bytes: number, options: HeapOptions = {}, count = 4000): Operation {
  return ({ Heap }) => {
    const heap = new Heap({ seed: 1, ...options });
    const run = (): void => {
      for (let i = 0; i < count; i++) heap.free(heap.malloc(bytes));
    };
    return { count, run };
  };
}

function doubling(most: number, options: HeapOptions = {}): Operation {
  return ({ Heap }) => {
    const heap = new Heap({ seed: 1, ...options });
    const count = 10;
    const run = (): void => {
      for (let i = 0; i < count; i++) {
        let pointer = heap.malloc(16);
        for (let bytes = 32; bytes <= most; bytes *= 2) pointer = heap.realloc(pointer, bytes);
        heap.free(pointer);
      }
    };
    return { count, run };
  };
}

/** Two chunks with the same bytes, whose places in their pages differ. */
function block(bytes: number, work: (memory: Heap["memory"], to: number, from: number) => unknown): Operation {
  return ({ Heap }) => {
    const heap = new Heap({ seed: 1 });
    const { memory } = heap;
    const room = bytes + 2 * KIB;
    const [a, b] = [heap.malloc(room), heap.malloc(room)];
    memory.fill(a, 1, room);
    memory.fill(b, 1, room);
    const count = Math.max(20, Math.floor(200_000 / bytes));
    const run = (): void => {
      for (let i = 0; i < count; i++) work(memory, b + 1005, a + 3);
    };
    return { count, run };
  };
}

const copies = (bytes: number): Operation => block(bytes, (memory, to, from) => memory.copy(to, from, bytes));
const comparisons = (bytes: number): Operation => block(bytes, (memory, to, from) => memory.compare(to, from, bytes));

function accesses(isStore: boolean): Operation {
  return ({ Heap }) => {
    const heap = new Heap({ seed: 1 });
    const { memory } = heap;
    const bytes = 64 * KIB;
    const pointer = heap.malloc(bytes);
    memory.fill(pointer, 1, bytes);
    const load = (): number => {
      let sum = 0;
      for (let at = 0; at < bytes; at += 4) sum = (sum + memory.getUint32(pointer + at)) | 0;
      return sum;
    };
    const store = (): void => {
      for (let at = 0; at < bytes; at += 4) memory.setUint32(pointer + at, at);
    };
    return { count: bytes / 4, run: isStore ? store : load };
  };
}

/** A round of bench/wasm/programs.c's JSON: 5,000 blocks are allocated, and then freed. `options` null: the module unmodified. */
function json(options: wasm.ModuleOptions | null): Operation {
  return ({ wasm: { Instance, Module } }) => {
    const bytes = readFileSync(PROGRAMS);
    const imports = { wasi_snapshot_preview1: new Proxy({}, { get: () => () => 0 }) };
    const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Engine };
    const { exports } =
      options === null
        ? new WebAssembly.Instance(new WebAssembly.Module(bytes), imports)
        : new Instance(new Module(bytes, options), imports);
    const program = exports as { readonly _initialize?: () => void; readonly json: (rounds: number) => number };
    program._initialize?.();
    return { count: 2, run: () => program.json(2) };
  };
}

/** What of the engine's WebAssembly is used. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}

export const operations: Readonly<Record<string, Operation>> = {
  "pair 64 B": pair(64),
  "pair 1 KiB": pair(KIB),
  "pair 1 MiB": pair(MIB, {}, 100),
  "pair 64 B, pattern": pair(64, { fill: "pattern" }),
  "pair 256 B, pattern": pair(256, { fill: "pattern" }),
  "pair 1 KiB, pattern": pair(KIB, { fill: "pattern" }),
  "pair 64 KiB, pattern": pair(64 * KIB, { fill: "pattern" }, 400),
  "pair 1 MiB, pattern": pair(MIB, { fill: "pattern" }, 100),
  "pair 64 B, tagged": pair(64, { tagging: "sync" }),
  "pair 1 KiB, tagged": pair(KIB, { tagging: "sync" }),
  "pair 64 B, page": pair(64, { uninitialised: "page" }),
  "pair 64 B, byte": pair(64, { uninitialised: "byte", stacks: false }),
  "pair 64 B, byte, reused": pair(64, { uninitialised: "byte", stacks: false, quarantine: NO_QUARANTINE }),
  "pair 64 B, quarantine": pair(64, { quarantine: FREELIST }),
  "realloc 16 B … 64 KiB": doubling(64 * KIB),
  "realloc 16 B … 1 MiB": doubling(MIB),
  "copy 64 B": copies(64),
  "copy 4 KiB": copies(4 * KIB),
  "copy 64 KiB": copies(64 * KIB),
  "compare 64 B": comparisons(64),
  "compare 4 KiB": comparisons(4 * KIB),
  "load in order": accesses(false),
  "store in order": accesses(true),
  "JSON in WebAssembly": json(null),
  "JSON in WebAssembly, heap only": json({ checks: "none", heap: { stacks: false } }),
  "JSON in WebAssembly, addresses": json({}),
  "JSON in WebAssembly, undefined bits": json({ uninitialised: "byte" }),
  "JSON in WebAssembly, origins": json({ uninitialised: "byte", trackOrigins: true }),
};
