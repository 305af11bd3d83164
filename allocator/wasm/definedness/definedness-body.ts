// What all parts of the pass for definedness share: the function that is walked, the code that is written, shadows of locals, and
// the report of a use. The parts stand on each other: values, memory, calls, control flow (definedness-pass.ts).

import { BodyWalker } from "../binary/body-walker.ts";
import { F32, F64, I32, OP_END, OP_I32_AND, OP_I32_EQZ, OP_I32_XOR, OP_IF, V128 } from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import { CheckedAddresses } from "../rewriting/checked-addresses.ts";
import { Code } from "../rewriting/code.ts";
import { ScratchLocals } from "../rewriting/scratch-locals.ts";
import { KnownLocals } from "./known-locals.ts";
import { NumberFacts } from "./number-facts.ts";
import { OriginLocals } from "./origin-code.ts";
import { DEFINED, pushZero, Slots } from "./slots.ts";
import { type DefinednessTargets, USE_CONDITION, type Use } from "./targets.ts";
import { shadowType, widthOf } from "./widths.ts";

/** Purposes of scratch locals: values of operands 0 to 2, then what rules use, then the pass's own. */
export const PURPOSE_VALUES = 0;
export const PURPOSE_RULES = 8;
export const PURPOSE_ADDRESS = 16;
export const PURPOSE_SUM = 17;
export const PURPOSE_COUNT = 18;
export const PURPOSE_CONDITION = 19;
/** Of a run that is written twice: where it looks, and what it stores. */
export const PURPOSE_LOOK = 20;
export const PURPOSE_PLACE = 21;
export const PURPOSE_STORED = 22;
/** From here on: what a br_table takes along. */
export const PURPOSE_BRANCH = 2 ** 20;
export const ANY_TRUE = 0x53;
const SIMD_XOR = 0x51;
const I32_REINTERPRET = 0xbc;
const I64_REINTERPRET = 0xbd;

export abstract class DefinednessBody {
  protected readonly module: Module;
  protected readonly targets: DefinednessTargets;
  protected readonly walker: BodyWalker;
  protected readonly code = new Code(4096);
  protected readonly scratch = new ScratchLocals();
  protected readonly checked = new CheckedAddresses();
  protected readonly known = new KnownLocals();
  protected readonly facts: NumberFacts;
  protected readonly slots: Slots;
  protected readonly origins: OriginLocals;
  /** Shadows of the guest's locals; −1: none was needed so far. */
  private localShadows = new Int32Array(64);

  constructor(module: Module, targets: DefinednessTargets) {
    this.module = module;
    this.targets = targets;
    this.walker = new BodyWalker(module);
    this.origins = new OriginLocals(this.code, this.scratch, targets.tracksOrigins);
    this.facts = new NumberFacts(module.bytes);
    this.slots = new Slots(this.scratch, this.code, this.origins, this.facts);
  }

  protected beginLocals(): void {
    const { localCount } = this.walker;
    this.origins.begin();
    this.facts.begin();
    if (localCount > this.localShadows.length) this.localShadows = new Int32Array(localCount * 2);
    this.localShadows.fill(-1, 0, localCount);
    this.known.begin(this.walker.type.params.length, localCount);
  }

  protected localShadow(local: number): number {
    const known = this.localShadows[local];
    if (known >= 0) return known;
    const made = this.scratch.fresh(shadowType(this.walker.localTypes[local]));
    this.localShadows[local] = made;
    return made;
  }

  protected copy(): void {
    const { walker } = this;
    this.code.append(this.module.bytes, walker.start, walker.end);
  }

  /** A shadow that is in a global goes to the local `to`, with its origin. */
  protected takeFromGlobal(global: number, to: number): void {
    const { code, targets, origins } = this;
    code.globalGet(global);
    code.localSet(to);
    if (!targets.tracksOrigins) return;
    code.globalGet(targets.originGlobal(global));
    code.localSet(origins.of(to));
  }

  /** The shadow in `from`, or that of a defined value, goes to a global, with its origin. */
  protected putToGlobal(from: number, type: number, global: number): void {
    const { code, targets, origins } = this;
    if (from === DEFINED) pushZero(code, type);
    else code.localGet(from);
    code.globalSet(global);
    if (from === DEFINED || !targets.tracksOrigins) return;
    code.localGet(origins.of(from));
    code.globalSet(targets.originGlobal(global));
  }

  /** Pushes whether the shadow in `local` has a set bit. */
  protected pushIsUndefined(shadow: number, type: number): void {
    const { code } = this;
    code.localGet(shadow);
    this.isNotZero(type);
  }

  /** Makes of a shadow on the stack whether it has a set bit. */
  protected isNotZero(type: number): void {
    const { code } = this;
    if (shadowType(type) === V128) code.two(0xfd, ANY_TRUE);
    else if (shadowType(type) !== I32) {
      pushZero(code, type);
      code.byte(widthOf(type).ne);
    }
  }

  /** Makes a float on the stack the integer of its bits. */
  protected reinterpret(type: number): void {
    if (type === F32) this.code.byte(I32_REINTERPRET);
    if (type === F64) this.code.byte(I64_REINTERPRET);
  }

  /** Makes of two values on the stack, integers or vectors, whether a bit of them differs. */
  protected differs(type: number): void {
    const { code } = this;
    if (shadowType(type) === V128) {
      code.two(0xfd, SIMD_XOR);
      code.two(0xfd, ANY_TRUE);
    } else code.byte(widthOf(type).ne);
  }

  private report(use: Use, shadow: number): void {
    const { code, targets, walker, origins } = this;
    code.constant(use);
    code.constant(walker.start);
    if (targets.tracksOrigins) code.localGet(origins.of(shadow));
    code.call(targets.reportHelper);
  }

  /** Reports a use of the value in `slot` if it has undefined bits, and takes it for defined from then on. */
  protected checkSlot(slot: number, type: number, use: Use): void {
    const { code, slots } = this;
    const shadow = slots.shadow(slot);
    if (shadow === DEFINED) return;
    this.pushIsUndefined(shadow, type);
    code.open(OP_IF);
    this.report(use, shadow);
    pushZero(code, type);
    code.localSet(shadow);
    code.byte(OP_END);
    const sharer = slots.sharer(slot);
    const source = slots.source(slot);
    const facts = this.facts.of(slot);
    if (sharer >= 0) this.known.add(sharer);
    slots.setDefined(slot);
    slots.setSource(slot, source);
    this.facts.set(slot, facts);
  }

  /** Reports a branch on the value on top, in `slot`, unless a defined bit that is 1 decides it: then the rest stays undefined. */
  protected checkCondition(slot: number): void {
    const { code, slots, scratch } = this;
    const shadow = slots.shadow(slot);
    if (shadow === DEFINED) return;
    let value = slots.source(slot);
    if (value < 0) {
      value = scratch.of(I32, PURPOSE_CONDITION);
      code.localTee(value);
    }
    code.localGet(shadow);
    code.open(OP_IF);
    this.pushIsUndecided(value, shadow);
    code.open(OP_IF);
    this.report(USE_CONDITION, shadow);
    code.constant(0);
    code.localSet(shadow);
    code.plain(OP_END, OP_END);
  }

  /** Pushes whether no bit that the shadow calls defined is 1, for i32 locals. */
  protected pushIsUndecided(value: number, shadow: number): void {
    const { code } = this;
    code.localGet(value);
    code.localGet(shadow);
    code.constant(-1);
    code.plain(OP_I32_XOR, OP_I32_AND, OP_I32_EQZ);
  }
}
