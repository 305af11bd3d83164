// From a module's bytes to what instances are made of: read, chosen, rewritten, compiled by the engine. Nothing of an instance is here.

import { type OptionKinds, requireOptions } from "../../../platform/hardware/given-options.ts";
import { type Bytes, type EngineModule, engine } from "../../../platform/host/engine.ts";
import { INITIALISATION_POLICIES, type InitialisationPolicy } from "../../../platform/kernel/mm/frames.ts";
import type { HeapOptions } from "../../options/options.ts";
import { EXTERNAL_FUNCTION, type Module } from "../binary/module.ts";
import { ModuleError } from "../binary/module-error.ts";
import type { Names } from "../binary/names.ts";
import { readModule } from "../binary/read-module.ts";
import type { DebugInfo } from "../debug/debug-info.ts";
import type { SourceMapObject } from "../debug/source-map/source-map.ts";
import { instrumentDefinedness } from "../definedness/additions.ts";
import type { Instrument } from "../rewriting/instrumentation.ts";
import { DEFAULT_LIMIT, type Layout, makeLayout, WASM_PAGE } from "../rewriting/layout.ts";
import { type Rewritten, rewrite } from "../rewriting/rewriter.ts";
import { type ChosenFunctions, chooseFunctions, type GivenFunctions } from "./choose-functions.ts";
import { directWayOf } from "./direct-roles.ts";
import { debugInfoOf, type FrameSources } from "./frames.ts";
import type { HeapRole } from "./heap-functions.ts";
import { compileHostTable } from "./host-table.ts";
import { knownNames } from "./known-names.ts";
import { callsOperators, withoutOwnOperators } from "./operators.ts";
import { framesOf } from "./origins.ts";
import { endOfNull, findStack, type StackRegion } from "./stack-region.ts";
import { findWholeFunctions } from "./whole-calls.ts";

/** How a module is put on the heap. */
export interface ModuleOptions {
  /** The guest's addresses end here: memory and heap together, in bytes, a multiple of 64 KiB from 16 MiB. Default 1 GiB. */
  readonly memoryBytes?: number;
  /**
   * `"addresses"`: loads and stores are checked, and their faults counted. `"none"`: only the heap is there. Default `"addresses"`.
   */
  readonly checks?: "addresses" | "none";
  /**
   * Which functions are malloc and its like: found by their names if absent; a map from the function's name (`malloc`, `free`, …,
   * see HeapRole) to its index, or to the name of its export; `"own"`: the module's own allocator runs on.
   */
  readonly functions?: GivenFunctions;
  /** Accesses below this address are null pointers' (0: none), unless the module has data there. Default 1024. */
  readonly nullBytes?: number;
  /** A free of what is no live block: a HeapError that ends the call, or a finding only. Default `"throw"`. */
  readonly invalidFree?: "throw" | "report";
  /** What stands for the module's file in stacks. Default: its name, or "module.wasm". */
  readonly fileName?: string;
  /** What says of the module's source beside the module itself. Nothing is fetched. */
  readonly debug?: {
    /** The bytes of the file that the module's `external_debug_info` names. */
    readonly dwarf?: Uint8Array;
    /** The source map that its `sourceMappingURL` names, as an object or text. */
    readonly sourceMap?: SourceMapObject | string;
  };
  /** How the simulated kernel initialises a page's frame (R8): `"plumbed"`, `"double"` or `"nozero"`. Default `"plumbed"`. */
  readonly initialisation?: InitialisationPolicy;
  /**
   * `"byte"`: undefined bits are followed through the module's code, and what is decided by them is a finding; memory and code get
   * larger and slower (docs/wasm.md). `"off"`: they are not. Default `"off"`.
   */
  readonly uninitialised?: "off" | "byte";
  /**
   * With `uninitialised: "byte"`: all sums and differences are defined where no carry can reach them, as with Memcheck's
   * `--expensive-definedness-checks=yes`; else only those are of which the code says where a carry ends, and the others are undefined
   * from the lowest undefined bit up (docs/wasm.md). Default false.
   */
  readonly exactArithmetic?: boolean;
  /** With `uninitialised: "byte"`: whether arguments of calls that leave the module must be defined. Default `"check"`. */
  readonly callArguments?: "check" | "trust";
  /**
   * With `uninitialised: "byte"`: findings name the allocation, or the function's stack frame, that undefined bits are from, after
   * any number of copies and computations; slower, and as much memory again. Default false.
   */
  readonly trackOrigins?: boolean;
  /** The heap's options. Not all can be: kernel, process and memoryBytes are the guest's own, tags have no room in 32 bits. */
  readonly heap?: HeapOptions;
}

const MODULE_OPTIONS: OptionKinds = {
  memoryBytes: "any",
  checks: "any",
  functions: "any",
  nullBytes: "any",
  invalidFree: "any",
  fileName: "string",
  initialisation: "any",
  debug: "object",
  uninitialised: "any",
  exactArithmetic: "any",
  callArguments: "any",
  trackOrigins: "any",
  heap: "object",
};
const REFUSED_HEAP_OPTIONS = ["process", "kernel", "memoryBytes", "largeRealloc"] as const;

export interface Compiled {
  readonly module: Module;
  readonly names: Names;
  readonly rewritten: Rewritten;
  readonly layout: Layout;
  readonly functions: ChosenFunctions;
  /** The heap's options: new and delete that do not belong together are reported if the code tells them apart. */
  readonly heap: HeapOptions;
  readonly stack: StackRegion | null;
  /** The origin of stack memory that the instruction at byte n takes is this plus n. */
  readonly frameOrigins: number;
  readonly nullBytes: number;
  readonly engineModule: EngineModule;
  readonly hostTable: EngineModule;
  readonly options: ModuleOptions;
  readonly debugInfo: DebugInfo;
  /** What frames of the module become in stacks. */
  readonly frames: FrameSources;
}

/**
 * Reads and rewrites a module; the engine's compilation is still to come.
 * @throws CompileError: the engine finds the module invalid. ModuleError, RangeError: it, or an option, cannot be had
 */
export function prepare(bytes: Bytes, options: ModuleOptions): Omit<Compiled, "engineModule"> {
  checkOptions(options);
  const copy = bytesOf(bytes);
  // The engine's own error says best what is invalid.
  if (!engine.validate(copy)) throwCompileError(copy);
  const module = readModule(copy);
  const debugInfo = debugInfoOf(module, { externalDwarf: options.debug?.dwarf, sourceMap: options.debug?.sourceMap });
  const names = knownNames(module, debugInfo);
  const layout = makeLayout(options.memoryBytes ?? DEFAULT_LIMIT, {
    validity: options.uninitialised === "byte",
    origins: options.trackOrigins ?? false,
    initialPages: module.memory?.minimum ?? 0,
  });
  const chosen = chooseFunctions(module, names, options.functions);
  const functions = options.functions === undefined ? withoutOwnOperators(chosen, module, debugInfo) : chosen;
  const stack = findStack(module, names);
  const frameOrigins = layout.originBase < 0 ? 0 : framesOf(copy.length);
  const rewritten = rewrite(module, {
    layout,
    checksAccesses: (options.checks ?? "addresses") === "addresses",
    heapFunctions: functions,
    directWayOf: (role, params) => directWayOf(role as HeapRole, params),
    wholeFunctions: findWholeFunctions(module, names),
    keepsPaths: (options.heap?.stacks ?? true) !== false,
    stack,
    instrument: instrumentOf(module, names, layout, { stack, frameOrigins }, options),
  });
  const nullBytes = endOfNull(module, options.nullBytes ?? 1024);
  const hostTable = compileHostTable(rewritten.slots);
  return {
    module,
    names,
    rewritten,
    layout,
    functions,
    heap: { deallocTypeMismatch: callsOperators(functions, module, debugInfo), ...options.heap },
    stack,
    frameOrigins,
    nullBytes,
    hostTable,
    options,
    debugInfo,
    frames: { rewritten, debugInfo, fileName: options.fileName ?? (names.module || "module.wasm") },
  };
}

/** By these names the host takes room on the guest's stack and writes to it: Emscripten's, and wasm-bindgen's. */
const HOST_FRAMES = [
  "stackAlloc",
  "_emscripten_stack_alloc",
  "emscripten_stack_alloc",
  "__wbindgen_add_to_stack_pointer",
];

function instrumentOf(
  module: Module,
  names: Names,
  layout: Layout,
  { stack, frameOrigins }: Pick<Compiled, "stack" | "frameOrigins">,
  options: ModuleOptions,
): Instrument | null {
  if (options.uninitialised !== "byte" || module.memory === null) return null;
  const image = module.memory.minimum * WASM_PAGE;
  const hostFrames = new Set<number>();
  for (const { name, kind, index } of module.exports)
    if (kind === EXTERNAL_FUNCTION && HOST_FRAMES.includes(name)) hostFrames.add(index);
  for (const [index, name] of names.functions) if (HOST_FRAMES.includes(name)) hostFrames.add(index);
  return instrumentDefinedness({
    exactArithmetic: options.exactArithmetic ?? false,
    checksArguments: (options.callArguments ?? "check") === "check",
    validityBase: layout.validityBase,
    originBase: layout.originBase,
    frameOrigins,
    stackGlobal: stack?.global ?? -1,
    // What lies in the image is defined but for the stack, whose bytes the host looks after by itself.
    loadsFrom: image,
    storesFrom: image,
    storedBase: layout.storedBase,
    hostFrames,
  });
}

export function compileSync(bytes: Bytes, options: ModuleOptions): Compiled {
  const prepared = prepare(bytes, options);
  try {
    return { ...prepared, engineModule: new engine.Module(prepared.rewritten.bytes) };
  } catch (error) {
    throw beyondLimits(error);
  }
}

export async function compileAsync(bytes: Bytes, options: ModuleOptions): Promise<Compiled> {
  const prepared = prepare(bytes, options);
  try {
    return { ...prepared, engineModule: await engine.compile(prepared.rewritten.bytes) };
  } catch (error) {
    throw beyondLimits(error);
  }
}

/** The module as given is valid: its rewritten code is more than the engine takes of one function, such as locals or bytes. */
function beyondLimits(error: unknown): unknown {
  if (!(error instanceof engine.CompileError)) return error;
  const reason = error.message.replace(/^WebAssembly\.\w+\(\): /, "");
  return new ModuleError(
    "unsupported",
    `with its checks, the module is beyond the engine's limits: ${reason}; with fewer checks (uninitialised, trackOrigins) it may not be`,
  );
}

/** A copy, since what is given may change while the engine works. @throws TypeError: no bytes */
function bytesOf(bytes: Bytes): Uint8Array {
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes.slice(0));
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();
  throw new TypeError("a module is given as an ArrayBuffer or a view of one");
}

function throwCompileError(bytes: Uint8Array): never {
  // A file that cannot be a module at all gets this library's error, which says what it may be instead.
  readModule(bytes);
  new engine.Module(bytes);
  throw new ModuleError("malformed", "the engine refuses the module");
}

/** @throws RangeError, TypeError: an option that does not exist, or cannot be */
export function checkOptions(options: ModuleOptions): void {
  requireOptions("a module's options", options, MODULE_OPTIONS);
  const { checks = "addresses", invalidFree = "throw", nullBytes = 0, initialisation = "plumbed", heap = {} } = options;
  checkDefinedness(options);
  const { dwarf } = options.debug ?? {};
  if (dwarf !== undefined && !(dwarf instanceof Uint8Array))
    throw new TypeError("debug.dwarf: the bytes of a file are needed");
  if (checks !== "addresses" && checks !== "none")
    throw new RangeError(`checks: "${checks}" is neither "addresses" nor "none"`);
  if (invalidFree !== "throw" && invalidFree !== "report")
    throw new RangeError(`invalidFree: "${invalidFree}" is neither "throw" nor "report"`);
  if (!INITIALISATION_POLICIES.includes(initialisation))
    throw new RangeError(`initialisation: "${initialisation}" is not one of ${INITIALISATION_POLICIES.join(", ")}`);
  if (!Number.isInteger(nullBytes) || nullBytes < 0)
    throw new RangeError(`nullBytes: ${nullBytes} is no number of bytes`);
  for (const name of REFUSED_HEAP_OPTIONS) {
    if (heap[name] !== undefined) throw new RangeError(`heap.${name}: a module's heap has its own`);
  }
  if ((heap.tagging ?? "off") !== "off")
    throw new RangeError("heap.tagging: a pointer of 32 bits has no room for a tag");
}

function checkDefinedness(options: ModuleOptions): void {
  const { uninitialised = "off", callArguments = "check", exactArithmetic = false, trackOrigins = false } = options;
  if (uninitialised !== "off" && uninitialised !== "byte")
    throw new RangeError(`uninitialised: "${uninitialised}" is neither "off" nor "byte"`);
  if (callArguments !== "check" && callArguments !== "trust")
    throw new RangeError(`callArguments: "${callArguments}" is neither "check" nor "trust"`);
  for (const [name, value] of Object.entries({ exactArithmetic, trackOrigins }))
    if (typeof value !== "boolean") throw new TypeError(`${name}: ${String(value)} is neither true nor false`);
}
