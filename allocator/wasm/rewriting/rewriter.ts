// Rewrites a module for the heap: bodies by a pass, memory replaced by the guest's, the heap's functions by calls of the host.
//
// How a pass is written. A pass is a class with `rewrite(body, out)`: it walks one function by a BodyWalker, which says before each
// instruction what its operands are, and writes the new code to a Code buffer of its own; scratch locals are asked for as they
// are needed (ScratchLocals) and declared when the code is done. See AddressPass, the smallest one that does something.
//  · Nothing shifts. Functions, types, globals and tables are appended (write-module.ts), so a pass copies indices as they are.
//  · JavaScript is reached by slots: `addSlot(type, purpose)` gives a place in a table of the module's own, which the instance
//    fills before any guest code runs (guest/instance.ts) by the purpose's name; helpers call it by call_indirect.
//  · State that all bodies share is a global (`addGlobal`), exported under a name that begins with PRIVATE; or guest memory above
//    the guest's limit (layout.ts).
//  · Code that is needed more than once is a helper function (`addFunction`), WebAssembly as well.
//  · Offsets of the new code are translated back by running the pass again on the one function that a stack mentions
//    (guest/original-offset.ts), so a pass must be deterministic and report each instruction to its OffsetObserver.
//  · Checks of addresses are written by writeCheck(), which any pass can call, so that one walk does all that was asked for.

import { I32 } from "../binary/instructions.ts";
import {
  EXTERNAL_FUNCTION,
  EXTERNAL_GLOBAL,
  EXTERNAL_MEMORY,
  EXTERNAL_TABLE,
  type FunctionType,
  type Module,
  typeOfFunction,
} from "../binary/module.ts";
import { ModuleError } from "../binary/module-error.ts";
import { type AddedFunction, type AddedGlobal, writeModule } from "../binary/write-module.ts";
import { AddressPass, type PassTargets } from "./address-pass.ts";
import { blockTypeOf, CallPaths, findPathFunctions } from "./call-paths.ts";
import { Code } from "./code.ts";
import type { DirectWay } from "./direct-code.ts";
import { directBody } from "./direct-ways.ts";
import {
  ADDRESS_AND_SIZE,
  type ArgumentRange,
  copyHelper,
  deepestHelper,
  fillHelper,
  type HostSlot,
  hostFunction,
  NOTHING_TO_NOTHING,
  ONE_NUMBER,
  ONE_TO_ONE,
  type RangeKind,
  rangeHelper,
  rangesHelper,
  segmentsHelper,
  THREE_NUMBERS,
  type WholeKind,
} from "./helpers.ts";
import type { Instrument, Instrumentation } from "./instrumentation.ts";
import type { Layout } from "./layout.ts";
import type { OffsetObserver } from "./rewritten-body.ts";
import { stackRoom } from "./stack-room.ts";

/** Names of what is added begin so; a module that has such names itself is refused. */
export const PRIVATE = "__refheap_";
export const IMPORT_MODULE = "__refheap";
export const MEMORY_NAME = `${PRIVATE}memory`;
export const PAGES_NAME = `${PRIVATE}pages`;
export const TABLE_NAME = `${PRIVATE}table`;
export const START_NAME = `${PRIVATE}start`;
export const PROBE_NAME = `${PRIVATE}probe`;
export const SEGMENTS_NAME = `${PRIVATE}segments`;
export const DEEPEST_NAME = `${PRIVATE}deepest`;

/** What the host does when a slot is called. */
export type Purpose =
  | RangeKind
  | "segment"
  | "grow"
  | "stack"
  | "probe"
  | "refill"
  | "drain"
  | `heap ${string}`
  | `definedness ${string}`;

export interface Slot {
  readonly type: FunctionType;
  readonly purpose: Purpose;
}

export interface RewriteOptions {
  readonly layout: Layout;
  readonly checksAccesses: boolean;
  /** Functions that become the heap's: by index, what they do. */
  readonly heapFunctions: ReadonlyMap<number, string>;
  /** The direct way of a heap function with so many parameters, or null: each call of it asks the host. */
  readonly directWayOf?: (role: string, params: number) => DirectWay | null;
  /** Functions that are C's memcpy or memset, or like them, by index: what they are asked for is checked as a whole, too. */
  readonly wholeFunctions?: ReadonlyMap<number, WholeKind>;
  /** Whether the module keeps the paths of calls that lead to the heap, for stacks. */
  readonly keepsPaths: boolean;
  /** The stack pointer's global, the least value that it may have, and the one that it begins with. */
  readonly stack: { readonly global: number; readonly lowest: number; readonly highest: number } | null;
  /** Makes another pass than AddressPass, which must check addresses as that does; absent: AddressPass. */
  readonly instrument?: Instrument | null;
}

export interface Rewritten {
  readonly module: Module;
  readonly bytes: Uint8Array;
  /** Entries of the added table; empty: there is none. */
  readonly slots: readonly Slot[];
  /** Names under which the globals that may hold pointers are exported, by index. */
  readonly pointerGlobals: readonly string[];
  /** Where the new body of each defined function begins (behind its length), its locals included. */
  readonly bodyStart: Uint32Array;
  /** Where the last one of them ends: behind it come the functions that were added. */
  readonly bodiesEnd: number;
  /** Functions that are checked as a whole when they begin. */
  readonly wholeFunctions: ReadonlyMap<number, WholeKind>;
  /** Whether a defined function is the heap's now. */
  isHeapFunction(body: number): boolean;
  /** Runs the pass on one function again, for its offsets. */
  trace(body: number, observer: OffsetObserver): void;
}

/** @throws ModuleError truncated, malformed, unsupported: in a function's body; memory: the module has none */
export function rewrite(module: Module, options: RewriteOptions): Rewritten {
  return new Rewriter(module, options).run();
}

const NO_FUNCTIONS: ReadonlyMap<number, WholeKind> = new Map();

class Rewriter {
  private readonly module: Module;
  private readonly options: RewriteOptions;
  private readonly types: FunctionType[] = [];
  private readonly functions: AddedFunction[] = [];
  private readonly globals: AddedGlobal[] = [];
  private readonly exports: { name: string; kind: number; index: number }[] = [];
  private readonly slots: Slot[] = [];
  /** The function that looks for room on the stack. */
  private room = -1;
  /** Where the direct ways find the host for their cache, once there is one. */
  private readonly cacheSlots = new Map<DirectWay["kind"], HostSlot>();

  constructor(module: Module, options: RewriteOptions) {
    this.module = module;
    this.options = options;
    const taken = module.exports.find(({ name }) => name.startsWith(PRIVATE));
    if (taken !== undefined)
      throw new ModuleError(
        "malformed",
        `the export "${taken.name}" is a name of refheap's own: it was rewritten before`,
      );
  }

  /** Index of a type, which is added. */
  private addType(type: FunctionType): number {
    const known = this.types.indexOf(type);
    if (known >= 0) return this.module.types.length + known;
    this.types.push(type);
    return this.module.types.length + this.types.length - 1;
  }

  addFunction(type: FunctionType, body: Uint8Array): number {
    this.functions.push({ type: this.addType(type), body });
    return this.module.functionTypes.length + this.functions.length - 1;
  }

  /** A mutable i32 global, exported. */
  addGlobal(name: string, value: number): number {
    const code = new Code(8);
    code.constant(value);
    code.byte(0x0b);
    this.globals.push({ type: I32, mutable: true, value: code.written.slice() });
    const index = this.module.globals.length + this.globals.length - 1;
    this.exports.push({ name, kind: EXTERNAL_GLOBAL, index });
    return index;
  }

  addShadowGlobal(type: number): number {
    const code = new Code(24);
    code.zero(type);
    code.byte(0x0b);
    this.globals.push({ type, mutable: true, value: code.written.slice() });
    return this.module.globals.length + this.globals.length - 1;
  }

  addHostFunction(type: FunctionType, purpose: Purpose): number {
    return this.addFunction(type, hostFunction(type.params.length, this.addSlot(type, purpose)));
  }

  private addSlot(type: FunctionType, purpose: Purpose): HostSlot {
    this.slots.push({ type, purpose });
    const { room } = this;
    return { table: this.module.tables.length, slot: this.slots.length - 1, type: this.addType(type), room };
  }

  run(): Rewritten {
    const { module, options } = this;
    const targets = this.addTargets();
    const isOutside = (index: number) => index < module.importedFunctions || options.heapFunctions.has(index);
    const instrumentation = options.instrument?.(module, targets, this, isOutside) ?? null;
    const pass = instrumentation?.pass ?? new AddressPass(module, targets);
    const code = new Code(module.bytes.length * 2);
    const count = module.bodyStart.length;
    const bodyStart = new Uint32Array(count);
    for (let body = 0; body < count; body++) {
      const role = options.heapFunctions.get(module.importedFunctions + body);
      const before = code.length;
      if (role === undefined) pass.rewrite(body, code);
      else this.writeHeapFunction(body, role, code, instrumentation);
      bodyStart[body] = before + lebLength(code.bytes, before);
    }
    const pointerGlobals = this.exportGlobals();
    const hasSegments = this.addSegments();
    this.addExports();
    const written = writeModule(module, {
      types: this.types,
      functions: this.functions,
      globals: this.globals,
      tables: this.slots.length === 0 ? [] : [this.slots.length],
      exports: this.exports,
      memory: this.guestMemory(),
      dropsStart: true,
      makesDataPassive: hasSegments,
      code: count === 0 ? null : code,
      dropsCustom: dropsSection,
    });
    for (let body = 0; body < count; body++) bodyStart[body] += written.codeStart;
    return {
      module,
      bytes: written.bytes,
      slots: this.slots,
      pointerGlobals,
      bodyStart,
      bodiesEnd: code.length + written.codeStart,
      wholeFunctions: targets.wholeFunctions,
      isHeapFunction: (body) => options.heapFunctions.has(module.importedFunctions + body),
      trace: (body, observer) => pass.rewrite(body, new Code(4096), observer),
    };
  }

  private guestMemory() {
    const { totalPages } = this.options.layout;
    if (this.module.memory === null) return null;
    return { module: IMPORT_MODULE, name: MEMORY_NAME, minimum: totalPages, maximum: totalPages };
  }

  private addTargets(): PassTargets {
    const { layout, checksAccesses, stack } = this.options;
    const { shadowBase } = layout;
    const pagesGlobal = this.addGlobal(PAGES_NAME, this.module.memory?.minimum ?? 0);
    if (this.module.memory !== null) {
      const self = this.module.functionTypes.length + this.functions.length;
      this.room = this.addFunction(ONE_NUMBER, stackRoom(self, pagesGlobal));
    }
    const host = (type: FunctionType, purpose: Purpose) =>
      this.addFunction(type, hostFunction(type.params.length, this.addSlot(type, purpose)));
    this.exports.push({ name: PROBE_NAME, kind: EXTERNAL_FUNCTION, index: host(ONE_TO_ONE, "probe") });
    const paths = this.makePaths();
    const none = {
      shadowBase,
      pagesGlobal,
      paths,
      loadHelper: -1,
      storeHelper: -1,
      wholeStoreHelper: -1,
      copyHelper: -1,
      fillHelper: -1,
      rangesHelpers: { copy: -1, fill: -1 },
      wholeFunctions: NO_FUNCTIONS,
    };
    if (this.module.memory === null) return { ...none, growHelper: -1, checksAccesses: false, stack: null };
    const growHelper = host(ONE_TO_ONE, "grow");
    if (!checksAccesses) return { ...none, growHelper, checksAccesses, stack: null };
    const range = (kind: RangeKind) =>
      this.addFunction(
        ADDRESS_AND_SIZE,
        rangeHelper(shadowBase, pagesGlobal, kind, this.addSlot(ADDRESS_AND_SIZE, kind)),
      );
    const from = { address: 1, helper: range("whole load") };
    const to = { address: 0, helper: range("whole store") };
    const ranges = (...given: readonly ArgumentRange[]) =>
      this.addFunction(THREE_NUMBERS, rangesHelper(given, shadowBase));
    return {
      shadowBase,
      pagesGlobal,
      checksAccesses,
      loadHelper: range("load"),
      storeHelper: range("store"),
      wholeStoreHelper: to.helper,
      copyHelper: this.addFunction(THREE_NUMBERS, copyHelper(from.helper, to.helper)),
      fillHelper: this.addFunction(THREE_NUMBERS, fillHelper(to.helper)),
      rangesHelpers: { copy: ranges(from, to), fill: ranges(to) },
      wholeFunctions: this.options.wholeFunctions ?? NO_FUNCTIONS,
      growHelper,
      paths,
      stack: stack === null ? null : this.stackTargets(stack),
    };
  }

  private stackTargets(stack: { readonly global: number; readonly lowest: number; readonly highest: number }) {
    const deepest = this.addGlobal(DEEPEST_NAME, stack.highest);
    const slot = this.addSlot(ONE_NUMBER, "stack");
    return { global: stack.global, deepest, helper: this.addFunction(ONE_NUMBER, deepestHelper(stack, deepest, slot)) };
  }

  private makePaths(): CallPaths | null {
    const { module, options } = this;
    const functions = options.keepsPaths ? findPathFunctions(module, options.heapFunctions) : null;
    if (functions === null) return null;
    // One type for equal results, so that a second run of the pass writes the same.
    const known = new Map<string, FunctionType>();
    const typeOf = (type: FunctionType) => {
      const key = type.results.join();
      if (!known.has(key)) known.set(key, type);
      return this.addType(known.get(key)!);
    };
    const blockType = (results: Uint8Array) => blockTypeOf(results, typeOf);
    return new CallPaths(module, functions, options.layout.pathBase, blockType);
  }

  /** The body of a function that the heap takes over. */
  private writeHeapFunction(body: number, role: string, code: Code, instrumentation: Instrumentation | null): void {
    const type = typeOfFunction(this.module, this.module.importedFunctions + body);
    const params = type.params.length;
    const head = new Code(64);
    instrumentation?.writeOutsideFunction(head, type, this.module.bodyStart[body]);
    const slot = this.addSlot(type, `heap ${role}`);
    const { layout, directWayOf } = this.options;
    const way = directWayOf?.(role, params) ?? null;
    const written =
      way === null
        ? hostFunction(params, slot, head.written)
        : directBody(params, { ask: slot, cache: this.cacheSlot(way.kind) }, way, layout, head.written);
    code.u32(written.length);
    code.append(written, 0, written.length);
  }

  private cacheSlot(kind: DirectWay["kind"]): HostSlot {
    const known = this.cacheSlots.get(kind);
    if (known !== undefined) return known;
    const slot = this.addSlot(ONE_TO_ONE, kind === "allocate" ? "refill" : "drain");
    this.cacheSlots.set(kind, slot);
    return slot;
  }

  /** Globals of type i32 that may hold pointers are exported, for the leak check. */
  private exportGlobals(): string[] {
    const names: string[] = [];
    for (const [index, { type, mutable }] of this.module.globals.entries()) {
      if (type !== I32 || !mutable) continue;
      const name = `${PRIVATE}global_${index}`;
      this.exports.push({ name, kind: EXTERNAL_GLOBAL, index });
      names.push(name);
    }
    return names;
  }

  /** A function that stores the active data segments, as the engine would, where the guest's own memory is asked first. */
  private addSegments(): boolean {
    const { module } = this;
    if (module.memory === null || module.data.every(({ isPassive }) => isPassive)) return false;
    const body = segmentsHelper(module, this.addSlot(ADDRESS_AND_SIZE, "segment"));
    const index = this.addFunction(NOTHING_TO_NOTHING, body);
    this.exports.push({ name: SEGMENTS_NAME, kind: EXTERNAL_FUNCTION, index });
    return true;
  }

  private addExports(): void {
    const { module, slots } = this;
    if (module.start >= 0) this.exports.push({ name: START_NAME, kind: EXTERNAL_FUNCTION, index: module.start });
    if (slots.length > 0) this.exports.push({ name: TABLE_NAME, kind: EXTERNAL_TABLE, index: module.tables.length });
    if (module.memory !== null) this.exports.push({ name: MEMORY_NAME, kind: EXTERNAL_MEMORY, index: 0 });
  }
}

/** What describes the old code by its offsets would describe the new one wrongly. */
function dropsSection(name: string): boolean {
  return (
    name.startsWith(".debug_") ||
    name === "sourceMappingURL" ||
    name === "external_debug_info" ||
    name.startsWith("reloc.")
  );
}

function lebLength(bytes: Uint8Array, at: number): number {
  let end = at;
  while (bytes[end] >= 0x80) end++;
  return end + 1 - at;
}
