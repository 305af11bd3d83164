// What a rewriter can be given instead of its own pass over bodies: another pass, with the functions and globals that this one needs.
// It keeps folders in layers: rewriting knows this face, definedness/ is behind it and stands on rewriting.

import type { FunctionType, Module } from "../binary/module.ts";
import type { PassTargets } from "./address-pass.ts";
import type { Code } from "./code.ts";
import type { OffsetObserver } from "./rewritten-body.ts";

/** Rewrites bodies one by one, each by its number among the module's own functions, and the same way each time. */
export interface BodyPass {
  rewrite(body: number, out: Code, observer?: OffsetObserver | null): void;
}

/** What a pass can have added to a module. */
export interface Additions {
  /** @returns the function's index */
  addFunction(type: FunctionType, body: Uint8Array): number;
  /** A mutable global of a type, zero at first, which the host does not see. @returns its index */
  addShadowGlobal(type: number): number;
  /** A mutable i32 global that the host sees by a name. @returns its index */
  addGlobal(name: string, value: number): number;
  /** A function that is the host's. @returns its index */
  addHostFunction(type: FunctionType, purpose: `definedness ${string}`): number;
}

export interface Instrumentation {
  readonly pass: BodyPass;
  /** Writes what comes before the call of the host in a function, at `offset` of the module, that became the heap's. */
  writeOutsideFunction(code: Code, type: FunctionType, offset: number): void;
}

/** @param isOutside whether a function is not the guest's own code: imported, or the heap's */
export type Instrument = (
  module: Module,
  targets: PassTargets,
  additions: Additions,
  isOutside: (functionIndex: number) => boolean,
) => Instrumentation;
