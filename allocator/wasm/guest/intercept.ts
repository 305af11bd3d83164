// Puts refheap's functions in the place of the global WebAssembly's, for packages that instantiate their modules by themselves.
// Modules without a memory have nothing to check, and pass through as they are.

import { EXTERNAL_MEMORY } from "../binary/module.ts";
import { readModule } from "../binary/read-module.ts";
import { DEFAULT_LIMIT, WASM_PAGE } from "../rewriting/layout.ts";
import { IMPORT_MODULE, PRIVATE } from "../rewriting/rewriter.ts";
import { type Compiled, checkOptions, compileAsync, compileSync, type ModuleOptions } from "./compile.ts";
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
} from "./engine.ts";
import { type GuestInstance, instantiateCompiled } from "./instance.ts";
import { createMemory } from "./memory-object.ts";

/** What is in force between {@link intercept} and its disposal. */
export interface Interception {
  /** Every instance that was made meanwhile, in order. */
  readonly instances: readonly GuestInstance[];
  /** Puts the engine's own functions back; instances and their heaps live on. */
  restore(): void;
  /** Puts the engine's own functions back, and ends the heaps. */
  [Symbol.dispose](): void;
}

interface ResponseLike {
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * From now on `WebAssembly.instantiate`, `compile`, their streaming forms, `Module`, `Instance` and `Memory` put modules on the heap.
 * Calls nest: the last one that is in force decides.
 * @param options for every module; `functions` only fits where all modules have the same
 * @throws RangeError, TypeError: an option that does not exist, or cannot be; nothing has changed
 */
export function intercept(options: ModuleOptions = {}): Interception {
  return new Interceptor(options);
}

class Interceptor implements Interception {
  readonly instances: GuestInstance[] = [];
  private readonly options: ModuleOptions;
  private readonly before: Record<string, unknown> = {};
  private readonly compiledOf = new WeakMap<object, Compiled>();
  private isInForce = true;

  constructor(options: ModuleOptions) {
    checkOptions(options);
    this.options = options;
    const global = globalWebAssembly();
    for (const [name, value] of Object.entries(this.functions())) {
      this.before[name] = global[name];
      global[name] = value;
    }
  }

  restore(): void {
    if (!this.isInForce) return;
    this.isInForce = false;
    Object.assign(globalWebAssembly(), this.before);
  }

  [Symbol.dispose](): void {
    this.restore();
    for (const instance of this.instances) instance[Symbol.dispose]();
  }

  private functions(): Record<string, unknown> {
    const compile = (bytes: Bytes) => this.compile(bytes);
    const instantiate = (given: Bytes | EngineModule, imports?: Imports) => this.instantiate(given, imports);
    const bytesOf = async (response: ResponseLike | Promise<ResponseLike>) => (await response).arrayBuffer();
    return {
      compile,
      instantiate,
      compileStreaming: async (response: Promise<ResponseLike>) => compile(await bytesOf(response)),
      instantiateStreaming: async (response: Promise<ResponseLike>, imports?: Imports) =>
        instantiate(await bytesOf(response), imports),
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
          entry.module === IMPORT_MODULE ? this.memoryImport(module) : entry,
        ),
      exports: (module: EngineModule): ExportDescriptor[] =>
        engine.Module.exports(module).filter(({ name }) => !name.startsWith(PRIVATE)),
    };
    return standIn(engine.Module, (bytes) => this.compileSync(bytes as Bytes), statics);
  }

  /** The import of memory that the module had itself, if it had one. */
  private memoryImport(module: EngineModule): ImportDescriptor[] {
    const entry = this.compiledOf.get(module)?.module.imports.find(({ kind }) => kind === EXTERNAL_MEMORY);
    return entry === undefined ? [] : [{ module: entry.module, name: entry.name, kind: "memory" }];
  }

  private compileSync(bytes: Bytes): EngineModule {
    if (!hasMemory(bytes)) return new engine.Module(bytes);
    return this.remember(compileSync(bytes, this.options));
  }

  private async compile(bytes: Bytes): Promise<EngineModule> {
    if (!hasMemory(bytes)) return engine.compile(bytes);
    return this.remember(await compileAsync(bytes, this.options));
  }

  private remember(compiled: Compiled): EngineModule {
    this.compiledOf.set(compiled.engineModule, compiled);
    return compiled.engineModule;
  }

  private async instantiate(given: Bytes | EngineModule, imports?: Imports): Promise<unknown> {
    if (given instanceof engine.Module) return this.makeInstance(given, imports);
    const module = await this.compile(given as Bytes);
    return { module, instance: this.makeInstance(module, imports) };
  }

  private makeInstance(module: EngineModule, imports?: Imports): EngineInstance {
    const compiled = this.compiledOf.get(module);
    if (compiled === undefined) return new engine.Instance(module, imports);
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
