// Puts refheap's functions in the place of the global WebAssembly's, for packages that instantiate their modules by themselves.
// Modules without a memory have nothing to check, and pass through as they are.

import {
  type Bytes,
  type Engine,
  type EngineInstance,
  type EngineModule,
  type ExportDescriptor,
  engine,
  type ImportDescriptor,
  type Imports,
  type MemoryDescriptor,
} from "../../../platform/host/engine.ts";
import { EXTERNAL_MEMORY } from "../binary/module.ts";
import { ModuleError } from "../binary/module-error.ts";
import { readModule } from "../binary/read-module.ts";
import { DEFAULT_LIMIT, WASM_PAGE } from "../rewriting/layout.ts";
import { IMPORT_MODULE, PRIVATE } from "../rewriting/rewriter.ts";
import { type Compiled, checkOptions, compileAsync, compileSync, type ModuleOptions } from "./compile.ts";
import { type GuestInstance, instantiateCompiled } from "./instance.ts";
import { createMemory } from "./memory-object.ts";
import { bytesOfResponse } from "./streamed.ts";

/** What is in force between {@link intercept} and its disposal. */
export interface Interception {
  /** Every instance that was made meanwhile, in order. */
  readonly instances: readonly GuestInstance[];
  /** Puts the engine's own functions back; instances and their heaps live on. */
  restore(): void;
  /** Puts the engine's own functions back, and ends the heaps. */
  [Symbol.dispose](): void;
}

/** Those in force, the last one last, and what they stand in for. */
const inForce: Interceptor[] = [];
const originals: Record<string, unknown> = {};
/** Modules that were rewritten, whichever interception was in force. */
const compiledOf = new WeakMap<object, Compiled>();

/**
 * From now on `WebAssembly.instantiate`, `compile`, their streaming forms, `Module`, `Instance` and `Memory` put modules on the heap.
 * Calls nest: the last one that is in force decides; they may end in any order.
 * @param options for every module; `functions` only fits where all modules have the same
 * @throws RangeError, TypeError: an option that does not exist, or cannot be; nothing has changed
 */
export function intercept(options: ModuleOptions = {}): Interception {
  return new Interceptor(options);
}

class Interceptor implements Interception {
  readonly instances: GuestInstance[] = [];
  private readonly options: ModuleOptions;
  private readonly standIns: Record<string, unknown>;
  constructor(options: ModuleOptions) {
    checkOptions(options);
    this.options = options;
    this.standIns = this.functions();
    const global = globalWebAssembly();
    if (inForce.length === 0) for (const name of Object.keys(this.standIns)) originals[name] = global[name];
    inForce.push(this);
    Object.assign(global, this.standIns);
  }

  restore(): void {
    const place = inForce.indexOf(this);
    if (place < 0) return;
    inForce.splice(place, 1);
    if (place === inForce.length) Object.assign(globalWebAssembly(), inForce.at(-1)?.standIns ?? originals);
  }

  [Symbol.dispose](): void {
    this.restore();
    for (const instance of this.instances) instance[Symbol.dispose]();
  }

  private functions(): Record<string, unknown> {
    const compile = (bytes: Bytes) => this.compile(bytes);
    const instantiate = (given: Bytes | EngineModule, imports?: Imports) => this.instantiate(given, imports);
    return {
      compile,
      instantiate,
      compileStreaming: async (response: unknown) => compile(await bytesOfResponse(response)),
      instantiateStreaming: async (response: unknown, imports?: Imports) =>
        instantiate(await bytesOfResponse(response), imports),
      Module: this.moduleClass(),
      Instance: standIn(engine.Instance, (module, imports) =>
        this.makeInstance(module as EngineModule, imports as Imports),
      ),
      Memory: standIn(engine.Memory, (descriptor) => this.makeMemory(descriptor as MemoryDescriptor)),
    };
  }

  private moduleClass(): unknown {
    const statics = {
      imports: (module: EngineModule): ImportDescriptor[] =>
        engine.Module.imports(module).flatMap((entry) =>
          entry.module === IMPORT_MODULE ? memoryImport(module) : entry,
        ),
      exports: (module: EngineModule): ExportDescriptor[] =>
        engine.Module.exports(module).filter(({ name }) => !name.startsWith(PRIVATE)),
    };
    return standIn(engine.Module, (bytes) => this.compileSync(bytes as Bytes), statics);
  }

  private compileSync(bytes: Bytes): EngineModule {
    if (!hasMemory(bytes)) return new engine.Module(bytes);
    return remember(compileSync(bytes, this.options));
  }

  private async compile(bytes: Bytes): Promise<EngineModule> {
    if (!hasMemory(bytes)) return engine.compile(bytes);
    return remember(await compileAsync(bytes, this.options));
  }

  private async instantiate(given: Bytes | EngineModule, imports?: Imports): Promise<unknown> {
    if (given instanceof engine.Module) return this.makeInstance(given, imports);
    const module = await this.compile(given as Bytes);
    return { module, instance: this.makeInstance(module, imports) };
  }

  private makeInstance(module: EngineModule, imports?: Imports): EngineInstance {
    const compiled = compiledOf.get(module);
    if (compiled === undefined) return instantiateUnknown(module, imports);
    const made = instantiateCompiled(compiled, imports);
    this.instances.push(made);
    return made.instance;
  }

  private makeMemory(descriptor: MemoryDescriptor): unknown {
    const memoryBytes = this.options.memoryBytes ?? DEFAULT_LIMIT;
    // Threads and memories that do not fit are the engine's: only a module that imports one is refused.
    if (descriptor?.shared === true || descriptor?.initial * WASM_PAGE > memoryBytes)
      return new engine.Memory(descriptor);
    return createMemory(descriptor, this.options);
  }
}

function remember(compiled: Compiled): EngineModule {
  compiledOf.set(compiled.engineModule, compiled);
  return compiled.engineModule;
}

/** The import of memory that the module had itself, if it had one. */
function memoryImport(module: EngineModule): ImportDescriptor[] {
  const entry = compiledOf.get(module)?.module.imports.find(({ kind }) => kind === EXTERNAL_MEMORY);
  return entry === undefined ? [] : [{ module: entry.module, name: entry.name, kind: "memory" }];
}

/** Of a module that was compiled before, or elsewhere: it runs as it is. @throws ModuleError: it is a copy of a rewritten one */
function instantiateUnknown(module: EngineModule, imports?: Imports): EngineInstance {
  if (module instanceof engine.Module && engine.Module.exports(module).some(({ name }) => name.startsWith(PRIVATE)))
    throw new ModuleError(
      "unsupported",
      "a copy of a module (structuredClone, postMessage) that was rewritten; compile it from its bytes where it is used",
    );
  return new engine.Instance(module, imports);
}

/** A constructor that gives what `make` makes, and that instances of the engine's class are instances of. */
function standIn(
  original: object,
  make: (...values: unknown[]) => unknown,
  statics: Record<string, unknown> = {},
): object {
  return new Proxy(original, {
    construct: (_, values: unknown[]) => make(...values) as object,
    get: (target, name) =>
      typeof name === "string" && Object.hasOwn(statics, name) ? statics[name] : Reflect.get(target, name),
  });
}

function globalWebAssembly(): Record<string, unknown> {
  return (globalThis as unknown as { WebAssembly: Record<string, unknown> & Engine }).WebAssembly;
}

/** Whether there is anything to check; what cannot be read is left to the engine or to the compilation to refuse. */
function hasMemory(bytes: Bytes): boolean {
  const view = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  return !engine.validate(bytes) || readModule(view).memory !== null;
}
