// Makes an instance of a compiled guest: its memory and heap, the host's functions in their slots, and an object that looks like the
// engine's Instance. Two modules that import one memory are one guest, with one heap.

import type { Address } from "../../../platform/hardware/integers.ts";
import type { Checker } from "../../checker/face.ts";
import type { Root } from "../../checker/leaks.ts";
import type { Heap } from "../../heap/heap.ts";
import { EXTERNAL_MEMORY } from "../binary/module.ts";
import { WASM_PAGE } from "../rewriting/layout.ts";
import {
  IMPORT_MODULE,
  MEMORY_NAME,
  PAGES_NAME,
  PRIVATE,
  PROBE_NAME,
  type Slot,
  START_NAME,
  TABLE_NAME,
} from "../rewriting/rewriter.ts";
import type { Compiled } from "./compile.ts";
import {
  type EngineGlobal,
  type EngineInstance,
  type EngineTable,
  type Exports,
  engine,
  type Imports,
} from "./engine.ts";
import { firstWasmUrl, translateFrames } from "./frames.ts";
import { ACCESS_LOAD, ACCESS_STORE, Guest, makeMemory } from "./guest.ts";
import type { HeapRole } from "./heap-functions.ts";
import { fillHostTable, type HostFunction } from "./host-table.ts";
import { LIBRARY_FAULTS } from "./library-faults.ts";
import { guestOfMemory, presentMemory } from "./memory-object.ts";
import { endOfStatics } from "./stack-region.ts";
import { UndefinedUses } from "./undefined-uses.ts";
import { WatchedImports } from "./watched-imports.ts";

/**
 * Functions of wasi-libc's start that allocate once and keep the pointer where no scan looks, in a local of WebAssembly: the
 * program's arguments and environment.
 */
const RUNTIME_FUNCTIONS: ReadonlySet<string> = new Set(["__main_void", "__wasilibc_initialize_environ"]);

/** An instance on the heap. */
export interface GuestInstance {
  /** As the engine's: `instance.exports` has the module's exports, and `instanceof WebAssembly.Instance` holds. */
  readonly instance: EngineInstance;
  /** The heap that the module's `malloc` is on. */
  readonly heap: Heap;
  /** What was found, and what is looked for. */
  readonly checker: Checker;
  /** The memory, kernel and process behind the heap. */
  readonly guest: Guest;
  /** Functions that the heap took over, by index; empty: the module's own allocator runs, and only its memory is checked. */
  readonly functions: ReadonlyMap<number, HeapRole>;
  /** Ends the heap. */
  [Symbol.dispose](): void;
}

/**
 * @throws LinkError, RuntimeError: the engine's own, as for the module unmodified. ModuleError memory: an imported memory that
 * was not made for a guest
 */
export function instantiateCompiled(compiled: Compiled, imports: Imports = {}): GuestInstance {
  const guest = guestFor(compiled, imports);
  try {
    return new Instantiation(compiled, imports, guest).run();
  } catch (error) {
    if (compiled.module.memory?.isImported !== true) guest[Symbol.dispose]();
    throw error;
  }
}

/** The guest of an imported memory, or a new one. */
function guestFor(compiled: Compiled, imports: Imports): Guest {
  const { module, layout, nullBytes, options } = compiled;
  const { memory } = module;
  if (memory?.isImported === true) {
    const entry = module.imports.find(({ kind }) => kind === EXTERNAL_MEMORY)!;
    return guestOfMemory(imports[entry.module]?.[entry.name], compiled, `${entry.module}.${entry.name}`);
  }
  const guest = new Guest(
    {
      layout,
      initialPages: memory?.minimum ?? 0,
      maximumPages: memory?.maximum ?? null,
      nullBytes,
      heap: options.heap ?? {},
      initialisation: options.initialisation ?? "plumbed",
      invalidFree: options.invalidFree ?? "throw",
    },
    makeMemory(layout),
  );
  presentMemory(guest);
  return guest;
}

class Instantiation {
  private readonly compiled: Compiled;
  private readonly imports: Imports;
  private readonly guest: Guest;
  private readonly uses: UndefinedUses | null;
  private readonly watched: WatchedImports | null;
  private url = "";

  constructor(compiled: Compiled, imports: Imports, guest: Guest) {
    this.compiled = compiled;
    this.imports = imports;
    this.guest = guest;
    const isFollowed = compiled.options.uninitialised === "byte" && guest.validity !== null;
    this.uses = isFollowed ? new UndefinedUses(guest) : null;
    this.watched = this.uses === null ? null : new WatchedImports(guest, this.uses, compiled.stack);
  }

  run(): GuestInstance {
    const { compiled, imports, guest } = this;
    const { rewritten, module, functions } = compiled;
    this.checkSegments();
    guest.origins?.addModule(compiled);
    const { watched } = this;
    const real = new engine.Instance(compiled.engineModule, {
      ...(watched?.wrap(module, imports) ?? imports),
      [IMPORT_MODULE]: { [MEMORY_NAME]: guest.memory },
    });
    if (rewritten.slots.length > 0) {
      const table = real.exports[TABLE_NAME] as EngineTable;
      guest.kept.push(
        real,
        fillHostTable(compiled.hostTable, rewritten.slots, table, (slot) => this.hostOf(slot)),
      );
    }
    const pages = real.exports[PAGES_NAME] as EngineGlobal;
    pages.value = guest.pages;
    guest.growHandlers.push((count) => {
      pages.value = count;
    });
    this.loadSegments();
    const endFrames = this.nameFrames(real);
    this.setLeakRoots(real);
    guest.heap.checker.addSuppressions(...LIBRARY_FAULTS);
    this.watchStack(real);
    const instance = presentInstance(real.exports);
    if (module.start >= 0) (real.exports[START_NAME] as () => void)();
    return {
      instance,
      heap: guest.heap,
      get checker() {
        return guest.heap.checker;
      },
      guest,
      functions,
      [Symbol.dispose]() {
        endFrames();
        guest[Symbol.dispose]();
      },
    };
  }

  /** What the engine checks at instantiation against the memory's size, which here is larger. */
  private checkSegments(): void {
    const end = this.guest.pages * WASM_PAGE;
    for (const [index, { offset, start, end: dataEnd }] of this.compiled.module.data.entries()) {
      if (offset !== null && offset + (dataEnd - start) > end)
        throw new engine.RuntimeError(`WebAssembly.Instance(): data segment ${index} is out of bounds`);
    }
  }

  /** The loader has stored the segments: their pages are there. */
  private loadSegments(): void {
    if ((this.compiled.options.checks ?? "addresses") === "none") return;
    for (const { offset, start, end } of this.compiled.module.data) {
      if (offset !== null && end > start) this.guest.makePresent(offset, end - start, ACCESS_STORE);
    }
  }

  private hostOf({ purpose }: Slot): HostFunction {
    const { guest } = this;
    switch (purpose) {
      case "load":
        return this.ending((address, size) => guest.access(address >>> 0, size >>> 0, ACCESS_LOAD));
      case "store":
        return this.ending((address, size) => guest.access(address >>> 0, size >>> 0, ACCESS_STORE));
      case "grow":
        return (delta) => guest.grow(delta >>> 0);
      case "stack":
        return this.ending((pointer) => guest.stackOverflow(pointer >>> 0));
      case "definedness use":
        return this.ending((use, offset, origin) => this.uses?.use(use, offset, origin));
      case "definedness load":
        return this.ending((address, size) => guest.validity?.loaded(address >>> 0, size >>> 0));
      case "definedness store":
        return this.ending((address, size) => guest.validity?.noteStored(address >>> 0, size >>> 0));
      case "definedness origin":
        return this.ending((address, size, origin) =>
          guest.validity?.setOrigin(address >>> 0, size >>> 0, origin >>> 0),
        );
      case "definedness copy":
        return this.ending((to, from, size) => guest.validity?.copyOrigins(to >>> 0, from >>> 0, size >>> 0));
      case "probe":
        return () => {
          this.url = firstWasmUrl(new Error("where").stack ?? "");
          return 0;
        };
      default:
        return guest.heapFunction(purpose.slice("heap ".length) as HeapRole);
    }
  }

  /** A function without a result, whose error ends the guest's frames. */
  private ending(run: (first: number, second: number, third: number) => void): HostFunction {
    const { paths } = this.guest;
    return (first, second, third) => {
      try {
        run(first, second, third);
      } catch (error) {
        paths.abandon();
        throw error;
      }
      return undefined;
    };
  }

  private watchStack(real: EngineInstance): void {
    const { stack } = this.compiled;
    if (this.watched === null || stack === null) return;
    const pointer = real.exports[`${PRIVATE}global_${stack.global}`] as EngineGlobal;
    const stackPointer = () => Number(pointer.value);
    this.watched.stackPointer = stackPointer;
    this.uses!.stackPointer = stackPointer;
  }

  /** Learns the engine's name for this module, by which its frames are known. */
  private nameFrames(real: EngineInstance): () => void {
    const { rewritten, names, options, debugInfo } = this.compiled;
    (real.exports[PROBE_NAME] as (value: number) => number)(0);
    if (this.url === "") return () => {};
    const fileName = options.fileName ?? (names.module === "" ? "module.wasm" : names.module);
    return translateFrames(this.url, { rewritten, debugInfo, fileName });
  }

  /** The guest's globals, its live stack and its static data. */
  private setLeakRoots(real: EngineInstance): void {
    const { stack, rewritten, module } = this.compiled;
    const { guest } = this;
    const globals = rewritten.pointerGlobals.map((name) => real.exports[name] as EngineGlobal);
    const pointer = stack === null ? null : (real.exports[`${PRIVATE}global_${stack.global}`] as EngineGlobal);
    // Looked for when it is first asked for, since few programs ask.
    let statics = -1;
    const staticsEnd = () => {
      if (statics < 0) statics = stack === null ? 0 : endOfStatics(module, stack);
      return statics;
    };
    const earlier = guest.heap.checker.leakDefaults;
    guest.heap.checker.leakDefaults = {
      pointers: "integer32",
      isRuntime: (name) => RUNTIME_FUNCTIONS.has(name),
      roots: (): readonly Root[] => [
        ...(earlier?.roots() ?? []),
        ...globals.map((global) => Number(global.value) >>> 0),
        ...imageRanges(guest, stack, pointer === null ? 0 : Number(pointer.value) >>> 0, staticsEnd()),
      ],
    };
  }
}

/** All of the image but the unused part of the stack. */
function imageRanges(guest: Guest, stack: Compiled["stack"], pointer: Address, staticsEnd: number): Root[] {
  const { imageStart, imageEnd } = guest.addressable;
  const range = (from: Address, to: Address) => ({ address: from, length: Math.max(0, to - from) });
  if (stack === null || pointer < stack.lowest || pointer > stack.highest) return [range(imageStart, imageEnd)];
  return [range(imageStart, Math.min(staticsEnd, pointer)), range(pointer, imageEnd)];
}

/** An object that is the instance as far as anybody can see: the module's own exports, without what was added. */
function presentInstance(all: Exports): EngineInstance {
  const exports: Exports = Object.create(null);
  for (const [name, value] of Object.entries(all)) if (!name.startsWith(PRIVATE)) exports[name] = value;
  Object.freeze(exports);
  return Object.create(engine.Instance.prototype, { exports: { value: exports, enumerable: true } });
}
