// A straight run (rewriting/straight-run.ts) under the pass for definedness. Its run without checks is taken where, beside the addresses,
// all that the run reads is defined: bytes of memory, and locals from before. Then so is all that it computes and stores, no
// instruction has anything to report, and none needs a shadow. What remains to be done for the shadows of what the run changes:
//
//   bytes that it stores to become defined; those that it read before are, and were looked at
//   locals that it sets become defined, unless they were
//
// Instructions whose code does more than follow values end a run, and so does an access whose address is not known at its begin.

import { longer } from "../../common/longer.ts";
import type { BodyWalker } from "../binary/body-walker.ts";
import {
  ACCESS_BYTES,
  I32,
  IS_STORE,
  OP_DROP,
  OP_I32_CONST,
  OP_I32_SUB,
  OP_I64_CONST,
  OP_I64_LOAD,
  OP_I64_LOAD32_U,
  OP_I64_STORE,
  OP_I64_STORE16,
  OP_I64_STORE32,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_SELECT,
  OP_SELECT_TYPED,
  OPERANDS,
  V128,
} from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import type { Code } from "../rewriting/code.ts";
import { MOST_BYTES, MOST_DISTANCE, type Range } from "../rewriting/range-checks.ts";
import type { ScratchLocals } from "../rewriting/scratch-locals.ts";
import { StraightRun } from "../rewriting/straight-run.ts";
import { ANY_TRUE, PURPOSE_PLACE, PURPOSE_STORED } from "./definedness-body.ts";
import type { KnownLocals } from "./known-locals.ts";
import { shadowOffset } from "./memory-code.ts";
import { RULES } from "./rules.ts";
import type { Slots } from "./slots.ts";
import type { DefinednessTargets } from "./targets.ts";
import { shadowType, WIDTH_64 } from "./widths.ts";

const I64_EXTEND_U = 0xad;
/** Loads and stores of so many bytes, of an i64. */
const LOADS: Readonly<Record<number, number>> = { 8: OP_I64_LOAD, 4: OP_I64_LOAD32_U, 2: 0x33, 1: 0x31 };
const STORES: Readonly<Record<number, number>> = { 8: OP_I64_STORE, 4: OP_I64_STORE32, 2: OP_I64_STORE16, 1: 0x3c };

const F32_CONST = 0x43;
const F64_CONST = 0x44;
const V128_CONST = 0x20c;

/** Instructions that only move values, and constants. */
const MOVES = new Set([
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_DROP,
  OP_SELECT,
  OP_SELECT_TYPED,
  OP_I32_CONST,
  OP_I64_CONST,
  F32_CONST,
  F64_CONST,
  V128_CONST,
]);

/** By opcode: 1 where its code does nothing but follow values. */
const ACCEPTED = Uint8Array.from(RULES, (rule, opcode) =>
  Number(rule !== null || MOVES.has(opcode) || ACCESS_BYTES[opcode] !== 0),
);

/** What a run asks of the pass. */
export interface RunPass {
  readonly module: Module;
  readonly walker: BodyWalker;
  readonly code: Code;
  readonly scratch: ScratchLocals;
  readonly targets: DefinednessTargets;
  readonly known: KnownLocals;
  readonly slots: Slots;
  localShadow(local: number): number;
  /** Whether the difference of the operands at `base` and above it begins a frame, or makes one longer. */
  takesFrame(base: number): boolean;
}

/** Bytes of a range, from its begin on. */
interface Stretch {
  readonly range: Range;
  readonly from: number;
  readonly to: number;
}

const NO_ACCESS = 0;
const READ = 1;
const STORED = 2;

export class DefinedRun extends StraightRun {
  private readonly pass: RunPass;
  /** Locals whose shadows must be zero where the run begins; those that the run must make zero. */
  private readonly read: number[] = [];
  private readonly set: number[] = [];
  /** By local: the run that touched it last, by number, and the first of its instructions that did. */
  private touchedIn = new Int32Array(64);
  private firstTouches = new Int32Array(64);
  private run = 0;
  /** Bytes that the run reads before it stores to them. */
  private stretches: Stretch[] = [];
  /** Stores to bytes that are not looked at, by their instructions' numbers: their opcodes and offsets. */
  private readonly stores = new Map<number, { readonly opcode: number; readonly offset: number }>();
  private readonly byBytes = new Uint8Array(MOST_BYTES);

  constructor(pass: RunPass) {
    super(pass.module, pass.walker, pass.code, pass.targets.shadowBase);
    this.pass = pass;
  }

  protected override accepts(opcode: number): boolean {
    // A walk that is wrong is made anew.
    return this.pass.targets.checksAccesses && ACCEPTED[opcode] === 1 && !this.pass.known.isWrong;
  }

  protected override endsAt(opcode: number, at: number, pops: number): boolean {
    const { walker, slots, values, pass } = this;
    if (ACCESS_BYTES[opcode] !== 0) {
      const address = slots[at - pops];
      return address < 0 || Math.abs(values.distanceOf(address) + walker.second) >= MOST_DISTANCE;
    }
    if (opcode === OP_LOCAL_SET || opcode === OP_LOCAL_TEE) return pass.slots.isSharedBelow(this.height, walker.first);
    return opcode === OP_I32_SUB && pass.takesFrame(walker.height - pops);
  }

  protected override begin(height: number): void {
    super.begin(height);
    this.read.length = 0;
    this.set.length = 0;
    this.run++;
    this.stores.clear();
  }

  protected override note(opcode: number, at: number, pops: number): void {
    super.note(opcode, at, pops);
    const { walker, pass } = this;
    const instruction = this.count - 1;
    if (ACCESS_BYTES[opcode] !== 0) {
      this.access();
      if (IS_STORE[opcode] === 1) this.stores.set(instruction, { opcode, offset: walker.second });
      return;
    }
    if (opcode !== OP_LOCAL_GET && opcode !== OP_LOCAL_SET && opcode !== OP_LOCAL_TEE) return;
    const local = walker.first;
    if (local >= this.touchedIn.length) this.reserve(walker.localCount);
    if (this.touchedIn[local] === this.run) return;
    this.touchedIn[local] = this.run;
    this.firstTouches[local] = instruction;
    if (pass.known.has(local) || shadowType(walker.localTypes[local]) === 0) return;
    (opcode === OP_LOCAL_GET ? this.read : this.set).push(local);
  }

  private reserve(locals: number): void {
    this.touchedIn = longer(Int32Array, this.touchedIn, locals * 2);
    this.firstTouches = longer(Int32Array, this.firstTouches, locals * 2);
  }

  protected override prepare(): void {
    this.stretches = [];
    for (const range of this.ranges.ranges) this.findStretches(range);
  }

  private findStretches(range: Range): void {
    const { byBytes, stores } = this;
    const bytes = range.to - range.from;
    byBytes.fill(NO_ACCESS, 0, bytes);
    const accesses = range.accesses.toSorted((a, b) => a.instruction - b.instruction);
    for (const { from, to, isStore } of accesses)
      for (let at = from - range.from; at < to - range.from; at++)
        if (byBytes[at] === NO_ACCESS) byBytes[at] = isStore ? STORED : READ;
    for (const { from, to, isStore, instruction } of accesses)
      if (isStore && byBytes.subarray(from - range.from, to - range.from).every((state) => state === READ))
        stores.delete(instruction);
    for (let from = 0; from < bytes; from++) {
      if (byBytes[from] !== READ) continue;
      let to = from;
      while (to < bytes && byBytes[to] === READ) to++;
      this.stretches.push({ range, from, to });
      from = to;
    }
  }

  protected override get looksCloser(): boolean {
    return this.stretches.length > 0 || this.read.some((local) => this.isTouchedByBalanced(local));
  }

  /** Whether an instruction of those that are written twice touches the local. */
  private isTouchedByBalanced(local: number): boolean {
    return this.firstTouches[local] < this.balanced;
  }

  /** The union of the shadows of all that is read, as an i64. */
  protected override writeCloserLook(): void {
    const { code, pass, walker } = this;
    let count = 0;
    const join = (): void => {
      if (count++ > 0) code.byte(WIDTH_64.or);
    };
    for (const local of this.read) {
      if (!this.isTouchedByBalanced(local)) continue;
      const type = shadowType(walker.localTypes[local]);
      code.localGet(pass.localShadow(local));
      if (type === V128) code.two(0xfd, ANY_TRUE);
      if (type === V128 || type === I32) code.byte(I64_EXTEND_U);
      join();
    }
    for (const { range, from, to } of this.stretches) {
      for (let at = from; at < to; ) {
        const left = to - at;
        const size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        // The rest of a long stretch is looked at with bytes before it.
        const begin = left < 8 && to - from >= 8 ? to - 8 : at;
        this.values.write(code, range.base, range.from);
        code.memory(begin < at ? OP_I64_LOAD : LOADS[size], pass.targets.validityBase + begin);
        join();
        at = begin < at ? to : at + size;
      }
    }
    code.plain(OP_I64_CONST, 0, WIDTH_64.ne);
  }

  protected override writeUncheckedInstruction(i: number): void {
    const store = this.stores.get(i);
    if (store === undefined) {
      this.writeOriginal(i);
      return;
    }
    const { code, pass } = this;
    const { opcode, offset } = store;
    const address = pass.scratch.of(I32, PURPOSE_PLACE);
    const value = pass.scratch.of(OPERANDS[opcode * 3 + 1], PURPOSE_STORED);
    code.localSet(value);
    code.localTee(address);
    code.localGet(value);
    this.writeOriginal(i);
    const size = ACCESS_BYTES[opcode];
    for (let at = 0; at < size; at += 8) {
      code.localGet(address);
      code.plain(OP_I64_CONST, 0);
      code.memory(STORES[Math.min(size, 8)], shadowOffset(offset + at, pass.targets.validityBase));
    }
  }

  protected override endUnchecked(): void {
    const { code, pass, walker } = this;
    for (const local of this.set) {
      if (!this.isTouchedByBalanced(local)) continue;
      code.zero(shadowType(walker.localTypes[local]));
      code.localSet(pass.localShadow(local));
    }
  }
}
