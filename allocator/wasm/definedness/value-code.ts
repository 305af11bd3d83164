// Code for instructions on values: computations by their rules, locals, globals, and the stack pointer's frames.

import {
  I32,
  OP_END,
  OP_GLOBAL_GET,
  OP_I32_EQ,
  OP_I32_SUB,
  OP_IF,
  OP_LOCAL_TEE,
  OPERANDS,
  POPS,
  PUSHES,
} from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import { writeStackCheck } from "../rewriting/address-pass.ts";
import { DefinednessBody, PURPOSE_ADDRESS, PURPOSE_RULES, PURPOSE_VALUES } from "./definedness-body.ts";
import type { RuleInput } from "./rule.ts";
import { RULES } from "./rules.ts";
import { DEFINED, pushZero } from "./slots.ts";
import { type DefinednessTargets, USE_ADDRESS, USE_DIVISOR } from "./targets.ts";
import { shadowType, WIDTH_32, WIDTH_64 } from "./widths.ts";

export abstract class ValueCode extends DefinednessBody {
  private readonly input: {
    -readonly [Key in keyof RuleInput]: RuleInput[Key];
  };
  /** The slot whose value is the stack pointer, and how many instructions ago it was read. */
  private stackSlot = -1;
  protected sinceStack = 0;
  /** The new stack pointer of a frame that was made undefined already is in this slot or local. */
  private frameSlot = -1;
  private frameLocal = -1;
  /** The local that has the stack pointer, as unoptimised code begins: −1: none. */
  private stackLocal = -1;
  /** A function has one frame; what it takes from the stack later, it sets the stack pointer to. */
  private hasFrame = false;
  private isHostFrame = false;
  /** The local that keeps where the frame begins, of a function that has not set the stack pointer; −1: none. */
  private leafFrame = -1;
  /** Locals that may have where that frame begins, and the slot that may: what is taken off from it is an array or alloca's block. */
  private readonly frameLocals = new Set<number>();
  private grownSlot = -1;

  constructor(module: Module, targets: DefinednessTargets) {
    super(module, targets);
    this.input = {
      code: this.code,
      opcode: 0,
      bytes: module.bytes,
      start: 0,
      end: 0,
      values: new Int32Array(3),
      shadows: new Int32Array(3),
      temporary: (type, number) => this.scratch.of(type, PURPOSE_RULES + number),
      exactArithmetic: targets.exactArithmetic,
      carriesFrom: 0,
    };
  }

  protected beginValues(): void {
    this.stackSlot = -1;
    this.frameSlot = -1;
    this.frameLocal = -1;
    this.stackLocal = -1;
    this.isHostFrame = this.targets.hostFrames.has(this.walker.functionIndex);
    this.hasFrame = this.isHostFrame;
    this.leafFrame = -1;
    this.frameLocals.clear();
    this.grownSlot = -1;
  }

  /** Whether the value in a slot is the stack pointer less nothing, at a place where a frame may begin. */
  private isStackPointer(slot: number): boolean {
    if (this.hasFrame || this.targets.stackGlobal < 0) return false;
    if (slot === this.stackSlot && this.sinceStack === 2) return true;
    return this.stackLocal >= 0 && this.slots.source(slot) === this.stackLocal && this.walker.depth === 1;
  }

  /** Whether a difference of the operands at `base` and above it begins a frame, or makes one longer. */
  protected takesFrame(base: number): boolean {
    if (this.isStackPointer(base)) return true;
    return this.leafFrame >= 0 && this.frameLocals.has(this.slots.source(base));
  }

  /** An instruction that takes values and leaves one. */
  protected compute(opcode: number): void {
    const { walker, slots } = this;
    const count = POPS[opcode];
    const base = walker.height - count;
    if (walker.isDead) {
      this.copy();
      this.leave(base);
      return;
    }
    if (isTrappingDivision(opcode)) this.checkSlot(base + 1, PUSHES[opcode], USE_DIVISOR);
    const { shadows } = this.input;
    let undefinedOperands = 0;
    shadows.fill(DEFINED);
    for (let i = 0; i < count; i++) {
      shadows[i] = slots.shadow(base + i);
      if (shadows[i] !== DEFINED) undefinedOperands |= 1 << i;
    }
    const rule = RULES[opcode];
    const facts = this.facts.ofResult(opcode, base);
    const isFrame = opcode === OP_I32_SUB && this.isStackPointer(base);
    const grown = opcode === OP_I32_SUB && this.leafFrame >= 0 ? slots.source(base) : -1;
    if (base <= this.grownSlot) this.grownSlot = -1;
    if (undefinedOperands === 0 || rule === null) {
      this.copy();
      slots.setDefined(base);
      this.facts.set(base, facts);
      if (isFrame) this.newFrame(base);
      else if (this.frameLocals.has(grown)) this.growFrame(base, grown);
      return;
    }
    const { input } = this;
    input.exactArithmetic = this.targets.exactArithmetic || this.facts.isInParts(base);
    input.carriesFrom = this.facts.carriesFrom(base, opcode === WIDTH_32.sub || opcode === WIDTH_64.sub);
    this.keepValues(opcode, base, count, rule.values(undefinedOperands, input.exactArithmetic));
    this.copy();
    input.opcode = opcode;
    input.start = walker.start;
    input.end = walker.end;
    const home = this.originOfOperands(opcode, base, count);
    rule.write(input);
    this.code.localSet(home);
    this.facts.set(base, facts);
    if (isFrame) this.newFrame(base);
    else if (this.frameLocals.has(grown)) this.growFrame(base, grown);
  }

  /** The result is at home, with the origin of the first operand that has undefined bits. @returns the home */
  private originOfOperands(opcode: number, base: number, count: number): number {
    const home = this.slots.setHome(base, PUSHES[opcode]);
    this.origins.choose(this.input.shadows, count, home, (shadow, i) =>
      this.pushIsUndefined(shadow, OPERANDS[opcode * 3 + i]),
    );
    return home;
  }

  /** Puts the values that `mask` asks for into locals, unless a local of the guest's has them. */
  private keepValues(opcode: number, base: number, count: number, mask: number): void {
    const { slots, code, scratch } = this;
    const { values } = this.input;
    let deepest = count;
    for (let i = count - 1; i >= 0; i--) {
      values[i] = slots.source(base + i);
      if ((mask & (1 << i)) !== 0 && values[i] < 0) deepest = i;
    }
    if (deepest === count) return;
    for (let i = count - 1; i >= deepest; i--) {
      const local = scratch.of(OPERANDS[opcode * 3 + i], PURPOSE_VALUES + i);
      if (values[i] < 0) values[i] = local;
      if (i === deepest) code.localTee(local);
      else code.localSet(local);
    }
    for (let i = deepest + 1; i < count; i++) code.localGet(scratch.of(OPERANDS[opcode * 3 + i], PURPOSE_VALUES + i));
  }

  /** An operand that is defined, or unknown in code that never runs. */
  protected leave(slot: number): void {
    this.slots.setDefined(Math.max(slot, this.walker.floor));
  }

  protected localGet(): void {
    const { walker, slots } = this;
    const { first: local, height } = walker;
    const type = walker.localTypes[local];
    this.copy();
    if (walker.isDead || shadowType(type) === 0 || this.known.has(local)) {
      slots.setDefined(height);
      if (!walker.isDead) slots.setSource(height, local);
    } else slots.share(height, type, local, this.localShadow(local));
    this.facts.getLocal(height, local);
  }

  protected localSet(opcode: number): void {
    const { walker, slots, code, known } = this;
    const { first: local, height } = walker;
    const type = walker.localTypes[local];
    const slot = height - 1;
    if (walker.isDead) {
      this.copy();
      if (opcode === OP_LOCAL_TEE) this.leave(slot);
      return;
    }
    slots.unshare(local, slot);
    this.checked.forgetLocal(local);
    this.facts.setLocal(slot, local);
    const shadow = slots.shadow(slot);
    if (shadowType(type) !== 0) {
      if (shadow !== DEFINED) {
        code.localGet(shadow);
        code.localSet(this.localShadow(local));
        this.origins.copy(shadow, this.localShadow(local));
        known.remove(local);
      } else if (!known.has(local)) {
        pushZero(code, type);
        code.localSet(this.localShadow(local));
        known.add(local);
      }
    }
    if (slot === this.stackSlot && this.sinceStack === 1) this.stackLocal = local;
    else if (local === this.stackLocal) this.stackLocal = -1;
    const { leafFrame, frameLocals } = this;
    if (leafFrame >= 0 && (slot === this.frameSlot || slot === this.grownSlot || frameLocals.has(slots.source(slot))))
      frameLocals.add(local);
    else frameLocals.delete(local);
    if (slot === this.frameSlot) {
      this.frameLocal = local;
      if (opcode !== OP_LOCAL_TEE) this.frameSlot = -1;
    } else if (local === this.frameLocal) this.frameLocal = -1;
    this.copy();
    if (opcode !== OP_LOCAL_TEE) return;
    if (shadow === DEFINED) slots.setSource(slot, local);
    else {
      const facts = this.facts.of(slot);
      slots.share(slot, type, local, this.localShadow(local));
      this.facts.set(slot, facts);
    }
  }

  protected globalAccess(opcode: number): void {
    if (opcode === OP_GLOBAL_GET) this.globalGet();
    else this.globalSet();
  }

  private globalGet(): void {
    const { walker, slots, targets } = this;
    const { first: global, height } = walker;
    this.copy();
    const shadow = targets.globalShadows[global] ?? -1;
    if (shadow < 0 || walker.isDead) {
      slots.setDefined(height);
      if (global === targets.stackGlobal) {
        this.stackSlot = height;
        this.sinceStack = 0;
      }
      return;
    }
    const { type } = this.module.globals[global];
    const home = slots.setHome(height, type);
    this.takeFromGlobal(shadow, home);
    if (targets.globalCopies[global] >= 0) this.forgetUnlessOwn(global, type, home);
  }

  /** A global that others can set: what they set is defined, so that its shadow counts only for the value that the guest set. */
  private forgetUnlessOwn(global: number, type: number, home: number): void {
    const { code, targets } = this;
    this.pushIsUndefined(home, type);
    code.open(OP_IF);
    for (const index of [global, targets.globalCopies[global]]) {
      code.globalGet(index);
      this.reinterpret(type);
    }
    this.differs(type);
    code.open(OP_IF);
    pushZero(code, type);
    code.localSet(home);
    code.plain(OP_END, OP_END);
  }

  private globalSet(): void {
    const { walker, slots, targets } = this;
    const { first: global, height } = walker;
    const slot = height - 1;
    if (!walker.isDead && global === targets.stackGlobal) this.setStack(slot);
    else {
      const shadow = targets.globalShadows[global] ?? -1;
      if (shadow >= 0 && !walker.isDead) {
        this.putToGlobal(slots.shadow(slot), this.module.globals[global].type, shadow);
      }
    }
    const isUndefined = !walker.isDead && slots.shadow(slot) !== DEFINED;
    this.copy();
    const kept = targets.globalCopies[global] ?? -1;
    if (kept < 0 || !isUndefined) return;
    this.code.globalGet(global);
    this.code.globalSet(kept);
  }

  /** The stack pointer moves: the check of its limit, and what lies between the old and the new one becomes undefined. */
  private setStack(slot: number): void {
    const { code, slots, scratch, targets } = this;
    this.checkSlot(slot, I32, USE_ADDRESS);
    const value = scratch.of(I32, PURPOSE_ADDRESS);
    code.localSet(value);
    writeStackCheck(code, targets, value);
    const isFrame = slot === this.frameSlot || (this.frameLocal >= 0 && slots.source(slot) === this.frameLocal);
    if (!isFrame) {
      code.localGet(value);
      if (!this.isHostFrame) this.pushFrameOrigin();
      code.call(this.isHostFrame ? targets.hostFrameHelper : targets.stackHelper);
    }
    this.frameSlot = -1;
    this.frameLocal = -1;
    this.leafFrame = -1;
    this.frameLocals.clear();
    code.localGet(value);
  }

  /** At a return, with the results' shadows on their way: the frame of a function that never set the stack pointer is left. */
  protected leaveLeafFrame(): void {
    const { code, targets, leafFrame } = this;
    if (leafFrame < 0) return;
    code.localGet(leafFrame);
    this.pushFrameOrigin();
    code.call(targets.leafHelper);
  }

  private pushFrameOrigin(): void {
    const { targets, code, walker } = this;
    if (targets.tracksOrigins) code.constant(targets.frameOrigins + walker.start);
  }

  /** The stack pointer less a size: a frame, of a leaf function perhaps, which never sets the stack pointer. */
  private newFrame(slot: number): void {
    const { code, scratch, targets } = this;
    const value = scratch.of(I32, PURPOSE_ADDRESS);
    this.leafFrame = scratch.fresh(I32);
    code.localTee(value);
    code.localTee(this.leafFrame);
    code.localGet(value);
    this.pushFrameOrigin();
    code.call(targets.frameHelper);
    this.frameSlot = slot;
    this.frameLocal = -1;
    this.stackSlot = -1;
    this.hasFrame = true;
  }

  /**
   * The difference in `slot` is a longer frame, if the local `from` has where the frame of this leaf function begins when it runs:
   * an array as long as a value says, or alloca's block. Below the frame nothing else of a leaf function lives.
   */
  private growFrame(slot: number, from: number): void {
    const { code, scratch, targets, leafFrame } = this;
    const value = scratch.of(I32, PURPOSE_ADDRESS);
    code.localTee(value);
    code.localGet(from);
    code.localGet(leafFrame);
    code.byte(OP_I32_EQ);
    code.open(OP_IF);
    code.localGet(value);
    code.localGet(leafFrame);
    this.pushFrameOrigin();
    code.call(targets.longerFrameHelper);
    code.localGet(value);
    code.localSet(leafFrame);
    code.byte(OP_END);
    this.grownSlot = slot;
  }
}

function isTrappingDivision(opcode: number): boolean {
  return (opcode >= 0x6d && opcode <= 0x70) || (opcode >= 0x7f && opcode <= 0x82);
}
