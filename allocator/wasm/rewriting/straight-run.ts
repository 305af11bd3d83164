// A straight run of instructions, without calls and branches, of which a pass has written the checked code: if several of its accesses
// lie in common ranges, it is written twice, once without their checks, and one look at the shadow decides which of the two runs.
// Nothing in a run frees or unmaps memory, so what the look finds at its begin holds to its end. Ranges are range-checks.ts's. A pass
// that checks more than addresses says by a subclass what more is looked at, and what the run without checks does beside the guest's.
//
//   look at the ranges, −1, i32.eq, if  the run without their checks  else  the run as it was  end
//
// A loop that is nothing but a run is two loops, so that the engine has one without calls. An iteration that needs a closer look is
// made by the outer one:
//   block  loop  block  loop  look, −1, i32.ne, br_if 1  the run without their checks, br_if 0, br 3  end end  the run, br_if 0  end end

import type { BodyWalker } from "../binary/body-walker.ts";
import {
  ACCESS_BYTES,
  DEPENDS,
  I32,
  IS_STORE,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_DROP,
  OP_ELSE,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I32_CONST,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_NE,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_LOOP,
  OP_MEMORY_GROW,
  OP_SELECT,
  OP_SELECT_TYPED,
  OPERANDS,
  POPS,
  PUSHES,
} from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import { Code } from "./code.ts";
import { RangeChecks } from "./range-checks.ts";
import type { OffsetObserver } from "./rewritten-body.ts";
import { StraightValues, UNKNOWN_VALUE } from "./straight-values.ts";

/** Instructions of a run; a longer one is several. */
const MOST_INSTRUCTIONS = 512;
/** A run is written twice if this many checks are saved. */
const FEWEST_SAVED = 2;

/** A block type. */
const NO_TYPE = -64;

/** What the instructions of a run take from the stack, where the tables leave it open. */
const DEPENDENT_POPS: ReadonlyMap<number, number> = new Map([
  [OP_LOCAL_GET, 0],
  [OP_LOCAL_SET, 1],
  [OP_LOCAL_TEE, 1],
  [OP_GLOBAL_GET, 0],
  [OP_GLOBAL_SET, 1],
  [OP_DROP, 1],
  [OP_SELECT, 3],
  [OP_SELECT_TYPED, 3],
]);

export class StraightRun {
  protected readonly module: Module;
  protected readonly walker: BodyWalker;
  protected readonly code: Code;
  private readonly shadowBase: number;
  protected readonly values = new StraightValues();
  protected readonly ranges = new RangeChecks();
  private readonly copy = new Code(4096);
  /** Of each instruction of the run: its bytes in the module, and where its code begins. */
  private readonly starts = new Int32Array(MOST_INSTRUCTIONS);
  private readonly ends = new Int32Array(MOST_INSTRUCTIONS);
  private readonly places = new Int32Array(MOST_INSTRUCTIONS + 1);
  private readonly covered = new Uint8Array(MOST_INSTRUCTIONS);
  protected count = 0;
  /** Height of the stack where the run began, and the instructions up to the last place with that height. */
  protected height = 0;
  protected balanced = 0;
  private isOpen = false;
  /** Checks that the run has. */
  private checks = 0;
  /** Where the code of the last `loop` begins that has neither parameters nor results, and the code behind it. */
  private loopStart = -1;
  private loopBody = -1;
  /** A loop was written twice, and has a block around it that must end with it. */
  private isInBlock = false;
  /** The address of the instruction that was noted last, if it is a load or store. */
  private address = UNKNOWN_VALUE;
  /** Values of the stack's slots from `height` on. */
  protected readonly slots: number[] = [];

  constructor(module: Module, walker: BodyWalker, code: Code, shadowBase: number) {
    this.module = module;
    this.walker = walker;
    this.code = code;
    this.shadowBase = shadowBase;
  }

  /** In front of a function's first instruction: places of an earlier function's code mean nothing here. */
  beginBody(): void {
    this.isOpen = false;
    this.isInBlock = false;
    this.loopStart = -1;
    this.loopBody = -1;
  }

  /** In front of the walker's instruction: it belongs to the run, or ends it. */
  next(observer: OffsetObserver | null, scratch: () => number): void {
    const { walker, code } = this;
    const { opcode, height } = walker;
    const pops = walker.isDead || !this.accepts(opcode) ? -1 : popsOf(opcode);
    if (this.isOpen) {
      if (height === this.height) this.balanced = this.count;
      const isEnd = pops < 0 || height - pops < this.height || this.count === MOST_INSTRUCTIONS;
      if (isEnd || this.endsAt(opcode, height - this.height, pops)) this.end(observer, scratch());
    }
    if (pops < 0 || (!this.isOpen && pops > 0)) {
      if (opcode === OP_END && this.isInBlock) {
        code.byte(OP_END);
        this.isInBlock = false;
      }
      observer?.instruction(walker.start, code.length);
      return;
    }
    if (!this.isOpen) this.begin(height);
    this.starts[this.count] = walker.start;
    this.ends[this.count] = walker.end;
    this.places[this.count] = code.length;
    this.covered[this.count] = 0;
    this.count++;
    this.note(opcode, height - this.height, pops);
  }

  /** The walker's instruction begins a loop, and is about to be written as it is. */
  loop(): void {
    const { walker, code } = this;
    if (walker.first !== NO_TYPE) return;
    this.loopStart = code.length;
    this.loopBody = code.length + walker.end - walker.start;
  }

  /** Whether an instruction whose effect on the stack is known may be in a run. */
  protected accepts(opcode: number): boolean {
    return opcode !== OP_MEMORY_GROW;
  }

  /** Whether the open run must end in front of the walker's instruction. `at` is the stack's height over the run's begin. */
  protected endsAt(_opcode: number, _at: number, _pops: number): boolean {
    return false;
  }

  protected begin(height: number): void {
    this.isOpen = true;
    this.count = 0;
    this.checks = 0;
    this.height = height;
    this.balanced = 0;
    this.values.begin();
    this.ranges.begin();
  }

  /** What the instruction does to the values that are known. `at` is the stack's height over the run's begin. */
  protected note(opcode: number, at: number, pops: number): void {
    const { values, slots, walker } = this;
    const top = at > 0 ? slots[at - 1] : UNKNOWN_VALUE;
    switch (opcode) {
      case OP_LOCAL_GET:
        slots[at] = walker.localTypes[walker.first] === I32 ? values.local(walker.first) : UNKNOWN_VALUE;
        return;
      case OP_LOCAL_SET:
      case OP_LOCAL_TEE:
        values.setLocal(walker.first, top);
        return;
      case OP_GLOBAL_GET:
        slots[at] = this.module.globals[walker.first]?.type === I32 ? values.global(walker.first) : UNKNOWN_VALUE;
        return;
      case OP_GLOBAL_SET:
        values.setGlobal(walker.first, top);
        return;
      case OP_I32_CONST:
        slots[at] = values.constant(walker.first);
        return;
      default:
    }
    if (ACCESS_BYTES[opcode] !== 0) this.address = slots[at - pops];
    const isBinary = pops === 2 && PUSHES[opcode] === I32 && OPERANDS[opcode * 3] === I32;
    slots[at - pops] = isBinary ? values.binary(opcode, slots[at - 2], slots[at - 1]) : UNKNOWN_VALUE;
  }

  /** A check is about to be written for the walker's instruction, a load or store. */
  access(): void {
    const { walker, values, address } = this;
    if (!this.isOpen) return;
    this.checks++;
    if (address < 0) return;
    const { opcode } = walker;
    const size = ACCESS_BYTES[opcode];
    const from = values.distanceOf(address) + walker.second;
    this.ranges.add({
      base: values.baseOf(address),
      from,
      to: from + size,
      isStore: IS_STORE[opcode] === 1,
      alignment: size <= 8 && 2 ** walker.first === size ? size : 1,
      instruction: this.count - 1,
    });
  }

  /** Ends the run in front of the walker's instruction. */
  private end(observer: OffsetObserver | null, scratch: number): void {
    const { code, ranges, places, count } = this;
    this.isOpen = false;
    places[count] = code.length;
    const isLoop = this.isWholeLoop();
    if (isLoop) this.balanced = count;
    if (!this.isWorthIt(isLoop)) {
      this.tell(observer, 0, count, 0);
      return;
    }
    this.copy.length = 0;
    this.copy.append(code.bytes, places[0], code.length);
    ranges.mark(this.covered);
    this.prepare();
    if (isLoop) this.writeLoop(observer, scratch);
    else this.writeArms(observer, scratch);
  }

  /** Joins the accesses. @returns whether that is worth a second run */
  private isWorthIt(isLoop: boolean): boolean {
    const { ranges } = this;
    if (!isLoop && !ranges.maySave(FEWEST_SAVED)) return false;
    ranges.join(this.balanced);
    return ranges.saved >= FEWEST_SAVED || (isLoop && ranges.count > 0 && ranges.count === this.checks);
  }

  /** The walker's instruction ends a loop that is nothing but the run. */
  private isWholeLoop(): boolean {
    const { walker } = this;
    return (
      walker.opcode === OP_BR_IF &&
      walker.first === 0 &&
      walker.height === this.height + 1 &&
      this.loopBody === this.places[0] &&
      this.module.bytes[walker.end] === OP_END
    );
  }

  private writeLook(scratch: number, opcode: number): void {
    const { code, ranges } = this;
    ranges.write(code, this.values, this.shadowBase, scratch);
    code.constant(-1);
    code.byte(opcode);
  }

  private writeArms(observer: OffsetObserver | null, scratch: number): void {
    const { code, copy, places, count, balanced } = this;
    const begin = places[0];
    code.length = begin;
    this.writeLook(scratch, OP_I32_EQ);
    if (this.looksCloser) {
      code.two(OP_IF, I32);
      this.writeCloserLook();
      code.plain(OP_I32_EQZ, OP_ELSE);
      code.constant(0);
      code.byte(OP_END);
    }
    code.open(OP_IF);
    this.writeUnchecked(observer);
    code.byte(OP_ELSE);
    this.tell(observer, 0, balanced, code.length - begin);
    code.append(copy.bytes, 0, places[balanced] - begin);
    code.byte(OP_END);
    this.tell(observer, balanced, count, code.length - places[balanced]);
    code.append(copy.bytes, places[balanced] - begin, copy.length);
  }

  /** Up to the walker's `br_if`, which closes the checked loop. The ends of that and of the block around follow. */
  private writeLoop(observer: OffsetObserver | null, scratch: number): void {
    const { code, copy, places, count, walker } = this;
    const begin = places[0];
    code.length = this.loopStart;
    code.open(OP_BLOCK);
    code.open(OP_LOOP);
    code.open(OP_BLOCK);
    code.open(OP_LOOP);
    this.writeLook(scratch, OP_I32_NE);
    code.branch(OP_BR_IF, 1);
    if (this.looksCloser) {
      this.writeCloserLook();
      code.branch(OP_BR_IF, 1);
    }
    this.writeUnchecked(observer);
    observer?.instruction(walker.start, code.length);
    code.branch(OP_BR_IF, 0);
    code.branch(OP_BR, 3);
    code.plain(OP_END, OP_END);
    this.tell(observer, 0, count, code.length - begin);
    code.append(copy.bytes, 0, copy.length);
    this.isInBlock = true;
  }

  /** The ranges are joined, and the run is about to be written twice. */
  protected prepare(): void {}

  /** Whether there is more to be looked at than the ranges' addresses. */
  protected get looksCloser(): boolean {
    return false;
  }

  /** Of ranges that are the program's: pushes a number, an i32, that is 0 if nothing speaks against the run without checks. */
  protected writeCloserLook(): void {}

  private writeUnchecked(observer: OffsetObserver | null): void {
    const { code, starts } = this;
    for (let i = 0; i < this.balanced; i++) {
      observer?.instruction(starts[i], code.length);
      this.writeUncheckedInstruction(i);
    }
    this.endUnchecked();
  }

  /** The run's `i`-th instruction, as it is in the module if the ranges cover it. */
  protected writeUncheckedInstruction(i: number): void {
    const { code, copy, places } = this;
    const begin = places[0];
    if (this.covered[i] === 1) this.writeOriginal(i);
    else code.append(copy.bytes, places[i] - begin, places[i + 1] - begin);
  }

  protected writeOriginal(i: number): void {
    this.code.append(this.module.bytes, this.starts[i], this.ends[i]);
  }

  /** Behind the run without checks. */
  protected endUnchecked(): void {}

  /** Tells where instructions begin, whose code moved by `by` bytes. */
  private tell(observer: OffsetObserver | null, from: number, to: number, by: number): void {
    if (observer === null) return;
    for (let i = from; i < to; i++) observer.instruction(this.starts[i], this.places[i] + by);
  }
}

/** −1: no instruction of a straight run. */
function popsOf(opcode: number): number {
  const pops = POPS[opcode];
  return pops === DEPENDS ? (DEPENDENT_POPS.get(opcode) ?? -1) : pops;
}
