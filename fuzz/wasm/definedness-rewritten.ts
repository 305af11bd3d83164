// A module rewritten for definedness alone, run without a heap or kernel: what it reports, and the shadow of its memory.
import type { FunctionType } from "../../allocator/wasm/binary/module.ts";
import { readModule } from "../../allocator/wasm/binary/read-module.ts";
import { instrumentDefinedness } from "../../allocator/wasm/definedness/additions.ts";
import { GRANULE, makeLayout, SHADOW_WRITABLE } from "../../allocator/wasm/rewriting/layout.ts";
import {
  IMPORT_MODULE,
  MEMORY_NAME,
  rewrite,
  SEGMENTS_NAME,
  type Slot,
  TABLE_NAME,
} from "../../allocator/wasm/rewriting/rewriter.ts";
import { type EngineMemory, type EngineTable, engine } from "../../platform/host/engine.ts";
import { wat as assemble } from "./wat.ts";

export interface Tracked {
  readonly exports: Record<string, (...values: never[]) => unknown>;
  /** Uses that were reported: kind and offset in the module. */
  readonly reports: { readonly use: number; readonly offset: number; readonly origin: number }[];
  readonly bytes: Uint8Array;
  /** Shadow of the guest's memory: bit 1 is undefined. */
  readonly shadow: Uint8Array;
  /** Of the word at an address. */
  setOrigin(address: number, origin: number): void;
  /** Bytes of the module as given, and rewritten. */
  readonly sizes: { readonly given: number; readonly rewritten: number };
  markUndefined(address: number, size: number, origin?: number): void;
}

export interface TrackOptions {
  readonly exactArithmetic?: boolean;
  /** Where undefined bits are from is followed, too. */
  readonly tracksOrigins?: boolean;
  /** Addresses are checked, too: the first 64 KiB are the program's, and its accesses lie there. */
  readonly checksAccesses?: boolean;
  /** Global 0 is the stack pointer. */
  readonly hasStack?: boolean;
  readonly imports?: Record<string, Record<string, unknown>>;
  /** Takes the memory of the last subject that did, zeroed as far as a page of 64 KiB: a memory is large, and many are slow. */
  readonly sharesMemory?: boolean;
  /** Called where undefined bits are loaded: it may define bytes, as for those that the host wrote. */
  readonly onLoad?: (subject: Tracked, address: number, size: number) => void;
}

const LIMIT = 2 ** 24;
const NAMES: Readonly<Record<number, string>> = { 127: "i32", 126: "i64", 125: "f32", 124: "f64" };

/** Only functions of WebAssembly can stand in a table: the host's by way of a module that passes them through. */
function fillTable(slots: readonly Slot[], table: EngineTable, hostOf: (purpose: string) => unknown): void {
  const signature = ({ params, results }: FunctionType): string =>
    `(param ${Array.from(params, (type) => NAMES[type]).join(" ")}) (result ${Array.from(results, (type) => NAMES[type]).join(" ")})`;
  const text = slots.map(({ type }, i) => `(import "h" "${i}" (func ${signature(type)})) (export "${i}" (func ${i}))`);
  const instance = new engine.Instance(new engine.Module(assemble(`(module ${text.join("\n")})`)), {
    h: Object.fromEntries(slots.map(({ purpose }, i) => [String(i), hostOf(purpose)])),
  });
  for (let i = 0; i < slots.length; i++) table.set(i, instance.exports[String(i)]);
}

const makeMemory = (pages: number) => new engine.Memory({ initial: pages, maximum: pages });
let shared: EngineMemory | null = null;

export function track(source: string | Uint8Array, options: TrackOptions = {}): Tracked {
  const bytes = typeof source === "string" ? assemble(source) : source;
  const module = readModule(bytes);
  const layout = makeLayout(LIMIT, {
    validity: true,
    origins: options.tracksOrigins ?? false,
    initialPages: module.memory?.minimum ?? 0,
  });
  const rewritten = rewrite(module, {
    layout,
    checksAccesses: options.checksAccesses ?? false,
    keepsPaths: false,
    heapFunctions: new Map(),
    stack: null,
    instrument: instrumentDefinedness({
      exactArithmetic: options.exactArithmetic ?? false,
      checksArguments: true,
      validityBase: layout.validityBase,
      originBase: layout.originBase,
      frameOrigins: 2 ** 31,
      stackGlobal: options.hasStack ? 0 : -1,
      loadsFrom: 0,
      storesFrom: 0,
      storedBase: layout.storedBase,
      hostFrames: new Set(),
    }),
  });
  const known = options.sharesMemory ? shared : null;
  const memory = known?.buffer.byteLength === layout.totalPages * 65536 ? known : makeMemory(layout.totalPages);
  if (options.sharesMemory) {
    for (const at of [0, layout.validityBase, layout.storedBase, Math.max(0, layout.originBase)])
      new Uint8Array(memory.buffer, at, 65536).fill(0);
    shared = memory;
  }
  const instance = new engine.Instance(new engine.Module(rewritten.bytes), {
    ...options.imports,
    [IMPORT_MODULE]: { [MEMORY_NAME]: memory },
  });
  new Uint8Array(memory.buffer, layout.shadowBase, 65536 / GRANULE).fill(SHADOW_WRITABLE);
  const shadow = new Uint8Array(memory.buffer, layout.validityBase, LIMIT);
  const origins = layout.originBase < 0 ? null : new Uint32Array(memory.buffer, layout.originBase, LIMIT / 4);
  const subject: Tracked = {
    exports: instance.exports as Tracked["exports"],
    reports: [],
    bytes: new Uint8Array(memory.buffer, 0, LIMIT),
    shadow,
    sizes: { given: bytes.length, rewritten: rewritten.bytes.length },
    markUndefined(address, size, origin = 0) {
      shadow.fill(0xff, address, address + size);
      origins?.fill(origin, address >>> 2, (address + size + 3) >>> 2);
    },
    setOrigin(address, origin) {
      if (origins !== null) origins[address >>> 2] = origin;
    },
  };
  fillTable(rewritten.slots, instance.exports[TABLE_NAME] as EngineTable, (purpose) => {
    if (purpose === "definedness use")
      return (use: number, offset: number, origin = 0) =>
        void subject.reports.push({ use, offset, origin: origin >>> 0 });
    if (purpose === "definedness load")
      return (address: number, size: number) => options.onLoad?.(subject, address, size);
    if (purpose === "definedness copy")
      return (to: number, from: number, size: number) => {
        // A cell that bytes of several come to has one of theirs.
        const moved = origins?.slice(from >>> 2, (from + size + 3) >>> 2) ?? [];
        for (let i = 0; i < size; i++)
          if (shadow[to + i] !== 0) subject.setOrigin(to + i, moved[((from + i) >>> 2) - (from >>> 2)]);
      };
    if (purpose === "definedness origin")
      return (address: number, size: number, origin: number) => {
        for (let at = address; at < address + size; at += 1) subject.setOrigin(at, origin);
      };
    return () => 0;
  });
  (instance.exports[SEGMENTS_NAME] as (() => void) | undefined)?.();
  return subject;
}
