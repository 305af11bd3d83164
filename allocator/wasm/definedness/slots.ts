// Where the shadow of each operand is: each slot of the operand stack is defined, shares the shadow of the local that it was read
// from, or has its shadow in a local of its own, the slot's home. Where control flow joins, shadows are at home.

import type { Code } from "../rewriting/code.ts";
import type { ScratchLocals } from "../rewriting/scratch-locals.ts";
import type { NumberFacts } from "./number-facts.ts";
import type { OriginLocals } from "./origin-code.ts";
import { shadowType } from "./widths.ts";

/** Of a slot's shadow: no bit is undefined. */
export const DEFINED = -1;
/** Purposes of scratch locals from here on are slots' homes. */
const PURPOSE_HOMES = 64;
const NOT_SHARED = -1;

export class Slots {
  private readonly scratch: ScratchLocals;
  private readonly code: Code;
  private readonly origins: OriginLocals;
  private readonly facts: NumberFacts;
  /** Local with the shadow, or DEFINED. */
  private shadows = new Int32Array(256);
  /** The local of the guest's whose shadow is shared, or NOT_SHARED. */
  private sharedWith = new Int32Array(256);
  private types = new Uint8Array(256);
  /** The local of the guest's that still has the slot's value, or NOT_SHARED. */
  private sources = new Int32Array(256);

  constructor(scratch: ScratchLocals, code: Code, origins: OriginLocals, facts: NumberFacts) {
    this.scratch = scratch;
    this.origins = origins;
    this.facts = facts;
    this.code = code;
  }

  private reserve(slot: number): void {
    if (slot < this.shadows.length) return;
    const size = slot * 2;
    const longer = (row: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const copy = new Int32Array(size);
      copy.set(row);
      return copy;
    };
    this.shadows = longer(this.shadows);
    this.sharedWith = longer(this.sharedWith);
    this.sources = longer(this.sources);
    const types = new Uint8Array(size);
    types.set(this.types);
    this.types = types;
    this.facts.reserve(size);
  }

  shadow(slot: number): number {
    return this.shadows[slot];
  }

  /** The guest's local whose shadow the slot shares, or −1. */
  sharer(slot: number): number {
    return this.sharedWith[slot];
  }

  /** The guest's local that has the slot's value, or −1. */
  source(slot: number): number {
    return this.sources[slot];
  }

  setSource(slot: number, local: number): void {
    this.reserve(slot);
    this.sources[slot] = local;
  }

  home(slot: number, type: number): number {
    return this.scratch.of(shadowType(type), PURPOSE_HOMES + slot);
  }

  setDefined(slot: number): void {
    this.reserve(slot);
    this.shadows[slot] = DEFINED;
    this.sharedWith[slot] = NOT_SHARED;
    this.sources[slot] = NOT_SHARED;
    this.facts.forget(slot);
  }

  share(slot: number, type: number, local: number, shadow: number): void {
    this.reserve(slot);
    this.shadows[slot] = shadow;
    this.sharedWith[slot] = local;
    this.sources[slot] = local;
    this.types[slot] = type;
    this.facts.forget(slot);
  }

  /** The slot's shadow is at home from now on; who calls it sees to it that it is there. @returns the home */
  setHome(slot: number, type: number): number {
    this.reserve(slot);
    if (shadowType(type) === 0) {
      this.setDefined(slot);
      return DEFINED;
    }
    const home = this.home(slot, type);
    this.shadows[slot] = home;
    this.sharedWith[slot] = NOT_SHARED;
    this.sources[slot] = NOT_SHARED;
    this.types[slot] = type;
    this.facts.forget(slot);
    return home;
  }

  /** Writes code that copies the shadow of `slot` to the home of `target`. */
  copyHome(slot: number, target: number, type: number): void {
    if (shadowType(type) === 0) return;
    const { code } = this;
    const home = this.home(target, type);
    const shadow = this.shadows[slot];
    if (shadow === home) return;
    if (shadow === DEFINED) pushZero(code, type);
    else code.localGet(shadow);
    code.localSet(home);
    if (shadow !== DEFINED) this.origins.copy(shadow, home);
  }

  /** Whether a slot below `height` shares the shadow of the guest's `local`. */
  isSharedBelow(height: number, local: number): boolean {
    for (let slot = 0; slot < height; slot++) if (this.sharedWith[slot] === local) return true;
    return false;
  }

  /** `local` of the guest gets another value: slots below `height` that share its shadow keep the old one at home. */
  unshare(local: number, height: number): void {
    for (let slot = 0; slot < height; slot++) {
      if (this.sharedWith[slot] === local) this.takeHome(slot);
      else if (this.sources[slot] === local) this.sources[slot] = NOT_SHARED;
    }
  }

  /** Control flow parts or joins: no slot below `height` shares a local's shadow, whose changes the other path does not see. */
  unshareAll(height: number): void {
    for (let slot = 0; slot < height; slot++) {
      if (this.sharedWith[slot] !== NOT_SHARED) this.takeHome(slot);
      this.sources[slot] = NOT_SHARED;
    }
  }

  private takeHome(slot: number): void {
    const type = this.types[slot];
    const known = this.facts.of(slot);
    this.copyHome(slot, slot, type);
    this.setHome(slot, type);
    this.facts.set(slot, known);
  }
}

/** Pushes the shadow of a defined value. */
export function pushZero(code: Code, type: number): void {
  code.zero(shadowType(type));
}
