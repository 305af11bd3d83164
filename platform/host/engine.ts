// The JavaScript engine's own WebAssembly, as types and as a value: the standard types are in TypeScript's DOM library, which this
// project does not ask for. Shapes are those of the WebAssembly JavaScript interface, so that both kinds fit each other.

/** The bytes of a module. */
export type Bytes = ArrayBufferView | ArrayBuffer;

/** What a memory is made from. */
export interface MemoryDescriptor {
  /** Pages of 64 KiB. */
  initial: number;
  /** Pages of 64 KiB that it may have. */
  maximum?: number;
  /** Whether it is shared between threads. */
  shared?: boolean;
}

/** The engine's memory. */
export interface EngineMemory {
  /** Its bytes; another one after it has grown. */
  readonly buffer: ArrayBuffer;
  /** Makes it larger. @param delta pages of 64 KiB. @returns how many it had */
  grow(delta: number): number;
}

export interface EngineTable {
  readonly length: number;
  get(index: number): unknown;
  set(index: number, value?: unknown): void;
  grow(delta: number, value?: unknown): number;
}

export interface EngineGlobal {
  value: unknown;
  valueOf(): unknown;
}

/** Opaque: a compiled module. */
export interface EngineModule {
  /** `WebAssembly.Module`, of the engine's own. */
  readonly [Symbol.toStringTag]?: string;
}

export interface ImportDescriptor {
  readonly module: string;
  readonly name: string;
  readonly kind: string;
}

export interface ExportDescriptor {
  readonly name: string;
  readonly kind: string;
}

export type GuestFunction = (...values: never[]) => unknown;
export type Exports = Record<string, unknown>;
/** What a module imports: by module name, then by name. */
export type Imports = Record<string, Record<string, unknown>>;

/** The engine's instance. */
export interface EngineInstance {
  /** What the module exports, by name. */
  readonly exports: Exports;
}

export interface Engine {
  readonly Module: {
    new (bytes: Bytes): EngineModule;
    imports(module: EngineModule): ImportDescriptor[];
    exports(module: EngineModule): ExportDescriptor[];
    customSections(module: EngineModule, name: string): ArrayBuffer[];
  };
  readonly Instance: new (module: EngineModule, imports?: Imports) => EngineInstance;
  readonly Memory: new (descriptor: MemoryDescriptor) => EngineMemory;
  readonly Table: new (descriptor: {
    element: "anyfunc" | "externref";
    initial: number;
    maximum?: number;
  }) => EngineTable;
  readonly Global: new (descriptor: { value: string; mutable?: boolean }, value?: unknown) => EngineGlobal;
  readonly CompileError: ErrorConstructor;
  readonly LinkError: ErrorConstructor;
  readonly RuntimeError: ErrorConstructor;
  validate(bytes: Bytes): boolean;
  compile(bytes: Bytes): Promise<EngineModule>;
}

/**
 * The host's global `WebAssembly`, with the members that it had when this file was loaded: the guests' library replaces them later.
 * On a host without it there are no members.
 */
export const engine: Engine = membersOf((globalThis as unknown as { WebAssembly?: Engine }).WebAssembly);

/** Members are not enumerable, so they are named. */
function membersOf(host: Partial<Engine> = {}): Engine {
  const { Module, Instance, Memory, Table, Global, CompileError, LinkError, RuntimeError, validate, compile } = host;
  return {
    Module,
    Instance,
    Memory,
    Table,
    Global,
    CompileError,
    LinkError,
    RuntimeError,
    validate,
    compile,
  } as Engine;
}
