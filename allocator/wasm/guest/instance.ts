// Makes an instance of a compiled guest: its memory and heap, the host's functions in their slots, and an object that looks like the
// engine's Instance. Two modules that import one memory are one guest, with one heap.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import {
  type EngineGlobal,
  type EngineInstance,
  type EngineTable,
  type Exports,
  engine,
  type Imports,
} from "../../../platform/host/engine.ts";
import type { Checker } from "../../checker/face.ts";
import type { Root } from "../../checker/leaks.ts";
import type { Heap } from "../../heap/heap.ts";
import { EXTERNAL_MEMORY } from "../binary/module.ts";
import { WASM_PAGE } from "../rewriting/layout.ts";
import {
  DEEPEST_NAME,
  IMPORT_MODULE,
  MEMORY_NAME,
  PAGES_NAME,
  PRIVATE,
  PROBE_NAME,
  SEGMENTS_NAME,
  type Slot,
  START_NAME,
  TABLE_NAME,
} from "../rewriting/rewriter.ts";
import type { Compiled } from "./compile.ts";
import { callersUrl, translateFrames } from "./frames.ts";
import { ACCESS_LOAD, ACCESS_STORE, type Guest, makeMemory } from "./guest.ts";
import type { HeapRole } from "./heap-functions.ts";
import { fillHostTable, type HostFunction } from "./host-table.ts";
import { LIBRARY_FAULTS } from "./library-faults.ts";
import { guestOfMemory, makeGuest, presentOwnMemory } from "./memory-object.ts";
import { deadFrames } from "./stack-region.ts";
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
  // One that fails may have left functions in tables, which are called later: its heap goes with the last of them.
  return new Instantiation(compiled, imports, guestFor(compiled, imports)).run();
}

/** The guest of an imported memory, or a new one. */
function guestFor(compiled: Compiled, imports: Imports): Guest {
  const { module, layout } = compiled;
  const { memory } = module;
  if (memory?.isImported === true) {
    const entry = module.imports.find(({ kind }) => kind === EXTERNAL_MEMORY)!;
    if (imports[entry.module] === undefined)
      throw new TypeError(`WebAssembly.Instance(): Import "${entry.module}": module is not an object or function`);
    return guestOfMemory(imports[entry.module]?.[entry.name], compiled, `${entry.module}.${entry.name}`);
  }
  const guest = makeGuest(compiled, layout, memory ?? { minimum: 0, maximum: null }, makeMemory(layout));
  if (memory !== null) presentOwnMemory(guest, memory);
  return guest;
}

class Instantiation {
  private readonly compiled: Compiled;
  private readonly imports: Imports;
  private readonly guest: Guest;
  private readonly uses: UndefinedUses | null;
  private readonly watched: WatchedImports | null;
  private url = "";
  /** Data segments that were stored. */
  private readonly loaded: { readonly address: Address; readonly size: ByteCount }[] = [];

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
    this.loadSegments(real);
    this.nameFrames(real);
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
        guest[Symbol.dispose]();
      },
    };
  }

  /** Stores the active data segments, as the engine does of a module as it is. @throws RuntimeError at the first that does not fit */
  private loadSegments(real: EngineInstance): void {
    const load = real.exports[SEGMENTS_NAME] as (() => void) | undefined;
    if (load === undefined) return;
    try {
      load();
    } finally {
      for (const { address, size } of this.loaded) {
        this.guest.validity?.define(address, size);
        if ((this.compiled.options.checks ?? "addresses") !== "none" && size > 0)
          this.guest.makePresent(address, size, ACCESS_STORE);
      }
    }
  }

  /** A segment is about to be stored. The engine's memory is longer than the guest's, which it must fit. */
  private segment(address: Address, index: number): void {
    const { start, end } = this.compiled.module.data[index];
    const memoryBytes = this.guest.pages * WASM_PAGE;
    const size = end - start;
    if (address + size > memoryBytes)
      throw new engine.RuntimeError(
        `WebAssembly.Instance(): data segment ${index} is out of bounds (offset ${address} + size ${size} > memory_size ${memoryBytes} bytes)`,
      );
    this.loaded.push({ address, size });
  }

  private hostOf({ purpose }: Slot): HostFunction {
    const { guest } = this;
    switch (purpose) {
      case "load":
        return this.ending((address, size) => guest.access(address >>> 0, size >>> 0, ACCESS_LOAD));
      case "store":
        return this.ending((address, size) => guest.access(address >>> 0, size >>> 0, ACCESS_STORE));
      case "whole load":
        return this.ending((address, size) => guest.accessWhole(address >>> 0, size >>> 0, ACCESS_LOAD));
      case "whole store":
        return this.ending((address, size) => guest.accessWhole(address >>> 0, size >>> 0, ACCESS_STORE));
      case "segment":
        return this.ending((address, index) => this.segment(address >>> 0, index));
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
      case "refill":
        return (classId) => guest.direct.refill(classId);
      case "drain":
        return (classId) => guest.direct.drain(classId);
      case "probe":
        return () => {
          this.url = callersUrl();
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
  private nameFrames(real: EngineInstance): void {
    const { frames, rewritten } = this.compiled;
    (real.exports[PROBE_NAME] as (value: number) => number)(0);
    if (this.url === "") return;
    translateFrames(this.url, frames);
    this.guest.calls.addModule(this.url, rewritten);
    this.guest.kept.push(frames);
  }

  /** The guest's globals, its live stack and its static data. */
  private setLeakRoots(real: EngineInstance): void {
    const { stack, rewritten } = this.compiled;
    const { guest } = this;
    const globals = rewritten.pointerGlobals.map((name) => real.exports[name] as EngineGlobal);
    const pointer = stack === null ? null : (real.exports[`${PRIVATE}global_${stack.global}`] as EngineGlobal);
    const deepest = real.exports[DEEPEST_NAME] as EngineGlobal | undefined;
    const earlier = guest.heap.checker.leakDefaults;
    guest.heap.checker.leakDefaults = {
      pointers: "integer32",
      runtimeFunctions: RUNTIME_FUNCTIONS,
      roots: (): readonly Root[] => [
        ...(earlier?.roots() ?? []),
        ...globals.map((global) => Number(global.value) >>> 0),
        ...imageRanges(guest, stack, unsigned(pointer), unsigned(deepest)),
      ],
    };
  }
}

function unsigned(global: EngineGlobal | null | undefined): number {
  return Number(global?.value ?? 0) >>> 0;
}

/** All of the image but frames of functions that returned, unless the program is on another stack, or how deep it went is not known. */
function imageRanges(guest: Guest, stack: Compiled["stack"], pointer: Address, deepest: Address): Root[] {
  const { imageStart, imageEnd } = guest.addressable;
  const range = (from: Address, to: Address) => ({ address: from, length: Math.max(0, to - from) });
  if (stack === null || deepest === 0 || pointer < deepest || pointer > stack.highest)
    return [range(imageStart, imageEnd)];
  const { from, to } = deadFrames(stack, deepest, pointer);
  return [range(imageStart, from), range(to, imageEnd)];
}

/** An object that is the instance as far as anybody can see: the module's own exports, without what was added. */
function presentInstance(all: Exports): EngineInstance {
  const exports: Exports = Object.create(null);
  for (const [name, value] of Object.entries(all)) if (!name.startsWith(PRIVATE)) exports[name] = value;
  Object.freeze(exports);
  return Object.create(engine.Instance.prototype, { exports: { value: exports, enumerable: true } });
}
