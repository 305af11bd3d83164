// Where undefined bits are from, in the build of a pass that follows that: beside each local that has a shadow, one with its origin, a
// number that the host knows (guest/origins.ts). An origin is looked at only where its shadow has a set bit, so what is defined
// keeps an old one; and code for origins of memory runs only where undefined bits are loaded or stored.

import {
  I32,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_END,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQZ,
  OP_I32_GE_U,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_STORE,
  OP_IF,
  OP_LOOP,
  OP_RETURN,
  OP_SELECT,
} from "../binary/instructions.ts";
import type { FunctionType } from "../binary/module.ts";
import type { Code } from "../rewriting/code.ts";
import { begin, finish } from "../rewriting/helpers.ts";
import type { ScratchLocals } from "../rewriting/scratch-locals.ts";

export const TWO_TO_ONE: FunctionType = { params: Uint8Array.of(I32, I32), results: Uint8Array.of(I32) };
/** Bytes of memory that share one origin. */
export const ORIGIN_CELL = 4;
const CELL_MASK = -ORIGIN_CELL;

export class OriginLocals {
  private readonly code: Code;
  private readonly scratch: ScratchLocals;
  private readonly isTracked: boolean;
  private readonly byShadow = new Map<number, number>();

  constructor(code: Code, scratch: ScratchLocals, isTracked: boolean) {
    this.code = code;
    this.scratch = scratch;
    this.isTracked = isTracked;
  }

  /** Begins a function. */
  begin(): void {
    this.byShadow.clear();
  }

  /** The local with the origin of what the shadow in local `shadow` calls undefined. */
  of(shadow: number): number {
    let local = this.byShadow.get(shadow);
    if (local === undefined) {
      local = this.scratch.fresh(I32);
      this.byShadow.set(shadow, local);
    }
    return local;
  }

  /** The shadow in `from` is copied to `to`. */
  copy(from: number, to: number): void {
    if (!this.isTracked || from === to) return;
    this.code.localGet(this.of(from));
    this.code.localSet(this.of(to));
  }

  /**
   * `to`'s shadow is made of `count` others (−1: of a defined value): its origin is that of the first with undefined bits. `pushIsUndefined` pushes whether a shadow has.
   */
  choose(
    shadows: Int32Array,
    count: number,
    to: number,
    pushIsUndefined: (shadow: number, index: number) => void,
  ): void {
    if (!this.isTracked) return;
    const { code } = this;
    let last = -1;
    for (let i = count - 1; i >= 0; i--) {
      const shadow = shadows[i];
      if (shadow < 0 || shadow === last) continue;
      code.localGet(this.of(shadow));
      if (last >= 0) {
        pushIsUndefined(shadow, i);
        code.plain(OP_I32_EQZ, OP_SELECT);
      }
      last = shadow;
    }
    code.localSet(this.of(to));
  }
}

/** (address, size) of a load: the origin of its first byte with undefined bits, or 0. */
export function loadOriginHelper(validityBase: number, originBase: number): Uint8Array {
  const [address, size] = [0, 1];
  const code = begin(0);
  code.open(OP_BLOCK);
  code.open(OP_LOOP);
  code.localGet(size);
  code.byte(OP_I32_EQZ);
  code.branch(OP_BR_IF, 1);
  code.localGet(address);
  code.memory(OP_I32_LOAD8_U, validityBase);
  code.open(OP_IF);
  code.localGet(address);
  code.constant(CELL_MASK);
  code.byte(OP_I32_AND);
  code.memory(OP_I32_LOAD, originBase);
  code.plain(OP_RETURN, OP_END);
  for (const [local, step] of [
    [address, 1],
    [size, -1],
  ]) {
    code.localGet(local);
    code.constant(step);
    code.byte(OP_I32_ADD);
    code.localSet(local);
  }
  code.branch(OP_BR, 0);
  code.plain(OP_END, OP_END);
  code.constant(0);
  return finish(code);
}

/** (address, size, origin) of a store of undefined bits; then the host hears of it by `stored` (address, size). */
export function storeOriginHelper(originBase: number, stored: number): Uint8Array {
  const [address, size, origin, at, end] = [0, 1, 2, 3, 4];
  const code = begin(2);
  code.localGet(address);
  code.localGet(size);
  code.byte(OP_I32_ADD);
  code.localSet(end);
  code.localGet(address);
  code.constant(CELL_MASK);
  code.byte(OP_I32_AND);
  code.localSet(at);
  code.open(OP_LOOP);
  code.localGet(at);
  code.localGet(origin);
  code.memory(OP_I32_STORE, originBase);
  code.localGet(at);
  code.constant(ORIGIN_CELL);
  code.byte(OP_I32_ADD);
  code.localTee(at);
  code.localGet(end);
  code.plain(OP_I32_GE_U, OP_I32_EQZ);
  code.branch(OP_BR_IF, 0);
  code.byte(OP_END);
  code.localGet(address);
  code.localGet(size);
  code.call(stored);
  return finish(code);
}
