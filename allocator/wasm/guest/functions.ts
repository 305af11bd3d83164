// WebAssembly's functions for guests: compile, instantiate, Module and Instance, with the results of the engine's own and the heap.
// Taking the place of the global ones is intercept.ts.

import type {
  Bytes,
  EngineInstance,
  EngineMemory,
  EngineModule,
  Exports,
  Imports,
  MemoryDescriptor,
} from "../../../platform/host/engine.ts";
import type { Checker } from "../../checker/face.ts";
import type { Heap } from "../../heap/heap.ts";
import { type Compiled, checkOptions, compileAsync, compileSync, type ModuleOptions } from "./compile.ts";
import type { Guest } from "./guest.ts";
import type { HeapRole } from "./heap-functions.ts";
import { type GuestInstance, instantiateCompiled } from "./instance.ts";
import { createMemory as createGuestMemory, type MemoryOptions } from "./memory-object.ts";

/** A module that was rewritten and compiled, to be instantiated any number of times. */
export class Module {
  /** What the rewriting knows; for {@link Instance}. */
  readonly compiled: Compiled;

  /**
   * @throws CompileError: the engine's own, of an invalid module. ModuleError: a proposal that is not supported, a malloc with
   * another signature, no room for its memory. RangeError: an option
   */
  constructor(bytes: Bytes | Compiled, options: ModuleOptions = {}) {
    this.compiled = "rewritten" in bytes ? bytes : compileSync(bytes, options);
  }

  /** The engine's module; it imports and exports more than the module that was given. */
  get engineModule(): EngineModule {
    return this.compiled.engineModule;
  }

  /** Functions that the heap takes over, by index; empty: the module's own allocator runs, and only its memory is checked. */
  get functions(): ReadonlyMap<number, HeapRole> {
    return this.compiled.functions;
  }
}

/** An instance on a heap of its own, which lives until it is disposed of. */
export class Instance implements GuestInstance {
  /** For those who ask for an instance of the engine's: `instanceof WebAssembly.Instance` holds, as for node:wasi's start(). */
  readonly instance: EngineInstance;
  /** The heap that the module's `malloc` is on. */
  readonly heap: Heap;
  readonly guest: Guest;
  readonly functions: ReadonlyMap<number, HeapRole>;
  private readonly end: () => void;

  /** @throws LinkError, RuntimeError, TypeError: the engine's own. ModuleError memory: an imported memory that is no guest's */
  constructor(module: Module, imports: Imports = {}) {
    const made = instantiateCompiled(module.compiled, imports);
    this.instance = made.instance;
    this.heap = made.heap;
    this.guest = made.guest;
    this.functions = made.functions;
    this.end = () => made[Symbol.dispose]();
  }

  /** What the module exports. */
  get exports(): Exports {
    return this.instance.exports;
  }

  /** What was found, leak checks, suppressions: the heap's checker. */
  get checker(): Checker {
    return this.heap.checker;
  }

  /** Ends the heap. */
  [Symbol.dispose](): void {
    this.end();
  }
}

/** As `WebAssembly.compile`. */
export async function compile(bytes: Bytes, options: ModuleOptions = {}): Promise<Module> {
  return new Module(await compileAsync(bytes, options));
}

/** What {@link instantiate} gives: WebAssembly.instantiate's result, and the heap. */
export interface Instantiated extends GuestInstance {
  readonly module: Module;
}

/**
 * As `WebAssembly.instantiate` with bytes: rewrites the module, compiles it, and makes an instance of it on a new heap.
 *
 * ```ts
 * const { instance, heap, checker } = await instantiate(bytes, imports);
 * (instance.exports.main as () => number)();
 * console.log(checker.toText());
 * ```
 * @param module bytes, or a module that {@link compile} made, which has its options
 * @throws as {@link Module} and {@link Instance}
 */
export async function instantiate(
  module: Bytes | Module,
  imports: Imports = {},
  options: ModuleOptions = {},
): Promise<Instantiated> {
  const compiled = module instanceof Module ? module : await compile(module, options);
  const instance = new Instance(compiled, imports);
  return {
    module: compiled,
    instance: instance.instance,
    heap: instance.heap,
    get checker() {
      return instance.checker;
    },
    guest: instance.guest,
    functions: instance.functions,
    [Symbol.dispose]: () => instance[Symbol.dispose](),
  };
}

/**
 * A memory for modules that import theirs, instead of `new WebAssembly.Memory(descriptor)`. `memoryBytes`, `uninitialised` and
 * `trackOrigins` must be what the modules are compiled with.
 * @throws ModuleError, RangeError, TypeError
 */
export function createMemory(descriptor: MemoryDescriptor, options: MemoryOptions = {}): EngineMemory {
  checkOptions(options);
  return createGuestMemory(descriptor, options);
}
