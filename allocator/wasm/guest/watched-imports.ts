// Imported functions of a guest whose undefined bits are followed: what a WASI function reads must be defined and what it writes is,
// and what any other function wrote to the stack, by pointers that it was given, is found out afterwards. Bytes that the host
// writes to the heap are recognised when they are loaded (validity.ts).

import { engine, type Imports } from "../../../platform/host/engine.ts";
import { EXTERNAL_FUNCTION, type Module, typeOfFunction } from "../binary/module.ts";
import type { Guest } from "./guest.ts";
import type { StackRegion } from "./stack-region.ts";
import type { UndefinedUses } from "./undefined-uses.ts";
import { halvedArguments, isWasi, WASI_FUNCTIONS, type WasiCall, withoutUpperHalves } from "./wasi-buffers.ts";

type AnyFunction = (...values: unknown[]) => unknown;

/** Bytes behind a pointer into the stack that the host may have been given it for. */
const LONGEST_OUT_PARAMETER = 4096;

export class WatchedImports {
  private readonly guest: Guest;
  private readonly uses: UndefinedUses;
  private readonly stack: StackRegion | null;
  /** The guest's stack pointer now. */
  stackPointer: () => number = () => 0;

  constructor(guest: Guest, uses: UndefinedUses, stack: StackRegion | null) {
    this.guest = guest;
    this.uses = uses;
    this.stack = stack;
  }

  /**
   * The imports that the module names, with functions that watch in the place of the given ones. Objects of imports may be anything
   * that has properties, so each property is asked for by its name, as the engine does.
   */
  wrap(module: Module, imports: Imports): Imports {
    const wrapped: Record<string, Record<string, unknown>> = {};
    let functions = 0;
    for (const { module: from, name, kind } of module.imports) {
      const index = kind === EXTERNAL_FUNCTION ? functions++ : -1;
      const object = imports[from];
      if (object === undefined || object === null) continue;
      const given: unknown = object[name];
      wrapped[from] ??= {};
      wrapped[from][name] =
        kind === EXTERNAL_FUNCTION && typeof given === "function" && !isExported(given)
          ? this.watch(from, name, typeOfFunction(module, index).params, given as AnyFunction)
          : given;
    }
    return wrapped;
  }

  private watch(module: string, name: string, params: Uint8Array, given: AnyFunction): AnyFunction {
    const wasi = isWasi(module) ? WASI_FUNCTIONS[name] : undefined;
    if (wasi === undefined) return (...values) => this.around(given, values);
    const halved = halvedArguments(name, params);
    return (...values) => this.aroundWasi(wasi, halved, given, values);
  }

  private around(given: AnyFunction, values: unknown[]): unknown {
    const fresh = this.freshOutParameters(values);
    if (fresh.length === 0) return given(...values);
    try {
      return given(...values);
    } finally {
      this.guest.validity!.defineWritten(fresh);
    }
  }

  /** Unwritten bytes behind pointers into the live stack. */
  private freshOutParameters(values: readonly unknown[]): number[] {
    const { stack } = this;
    const { validity } = this.guest;
    if (stack === null || validity === null) return [];
    const fresh: number[] = [];
    for (const value of values) {
      if (typeof value !== "number") continue;
      const address = value >>> 0;
      if (address < stack.lowest || address >= stack.highest || address < this.stackPointer() >>> 0) continue;
      for (const at of validity.freshBytes(address, Math.min(LONGEST_OUT_PARAMETER, stack.highest - address)))
        fresh.push(at);
    }
    return fresh;
  }

  private aroundWasi(wasi: WasiCall, halved: readonly number[], given: AnyFunction, values: unknown[]): unknown {
    const { guest } = this;
    const given32 = values.map((value) => (typeof value === "number" ? value >>> 0 : Number(value)));
    const numbers = withoutUpperHalves(given32, halved);
    const memory = new DataView(guest.memory.buffer);
    wasi.reads?.(memory, numbers, (address, size) => this.uses.giveToHost(address, size));
    const result = given(...values);
    wasi.writes?.(memory, numbers, (address, size) => {
      if (address + size <= guest.layout.limitBytes) guest.validity!.define(address, size);
    });
    return result;
  }
}

/** Where only functions of WebAssembly can stand. */
const probe = new engine.Table({ element: "anyfunc", initial: 1 });

/**
 * Whether a function is one of WebAssembly's, of another instance. Its type is compared when it is imported, and vectors and the bits
 * of NaN go through it, neither of which a function around it could do; and it is no code of the host's that would have to be watched.
 */
function isExported(given: unknown): boolean {
  try {
    probe.set(0, given);
  } catch {
    return false;
  }
  probe.set(0, null);
  return true;
}
