// What the code itself says of the number in a slot of the operand stack, on every path: its constant, how many of its low bits are
// surely 0, and whether it is worked on in parts, byte by byte within a word. Sums are judged by it (rules.ts): a carry begins no lower
// than the lowest bit of what is added, and ends in a part where the parts have room for it.

import { OP_I32_CONST, OP_I64_CONST } from "../binary/instructions.ts";
import { lowZerosOf, shiftOf, worksOnParts } from "./constants.ts";
import { WIDTH_32, WIDTH_64, type Width } from "./widths.ts";

const NOT_CONSTANT = -1;
/** Added to the count of low zeros of a number that is worked on in parts. */
const IN_PARTS = 128;
const I32_WRAP = 0xa7;
const I64_EXTEND_S = 0xac;
const I64_EXTEND_U = 0xad;

export class NumberFacts {
  private readonly bytes: Uint8Array;
  /** By slot: where the instruction is whose constant it has, or NOT_CONSTANT. */
  private constants = new Int32Array(256).fill(NOT_CONSTANT);
  private zeros = new Uint8Array(256);
  private parts = new Uint8Array(256);
  /** Locals whose number, when last set, was worked on in parts. */
  private readonly localsInParts = new Set<number>();
  /** Of locals that were set since control flow last joined, what is known, and where their constant is: unoptimised code has them there. */
  private readonly locals = new Map<number, { readonly known: number; readonly constant: number }>();

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Begins a function. */
  begin(): void {
    this.localsInParts.clear();
    this.locals.clear();
  }

  /** Control flow joins: locals may have been set elsewhere. */
  join(): void {
    this.locals.clear();
  }

  reserve(slots: number): void {
    if (slots <= this.zeros.length) return;
    const constants = new Int32Array(slots).fill(NOT_CONSTANT);
    constants.set(this.constants);
    this.constants = constants;
    const longer = (row: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
      const copy = new Uint8Array(slots);
      copy.set(row);
      return copy;
    };
    this.zeros = longer(this.zeros);
    this.parts = longer(this.parts);
  }

  /** Another number comes into the slot, of which nothing is known. */
  forget(slot: number): void {
    this.constants[slot] = NOT_CONSTANT;
    this.zeros[slot] = 0;
    this.parts[slot] = 0;
  }

  /** A constant comes into the slot, by the instruction at `start`. */
  constant(slot: number, opcode: number, start: number): void {
    if (opcode !== OP_I32_CONST && opcode !== OP_I64_CONST) return;
    this.constants[slot] = start;
    this.zeros[slot] = lowZerosOf(this.bytes, start, opcode === OP_I32_CONST ? 32 : 64);
    this.parts[slot] = worksOnParts(this.bytes, start) ? 1 : 0;
  }

  getLocal(slot: number, local: number): void {
    const kept = this.locals.get(local);
    if (kept !== undefined) {
      this.constants[slot] = kept.constant;
      this.set(slot, kept.known);
    } else if (this.localsInParts.has(local)) this.parts[slot] = 1;
  }

  setLocal(slot: number, local: number): void {
    const [known, constant] = [this.of(slot), this.constants[slot]];
    if (known === 0 && constant === NOT_CONSTANT) this.locals.delete(local);
    else this.locals.set(local, { known, constant });
    if (known >= IN_PARTS && constant === NOT_CONSTANT) this.localsInParts.add(local);
    else this.localsInParts.delete(local);
  }

  /** What is known of a slot's number beside its constant, for {@link set}. */
  of(slot: number): number {
    return this.zeros[slot] + (this.parts[slot] === 1 ? IN_PARTS : 0);
  }

  set(slot: number, known: number): void {
    this.zeros[slot] = known % IN_PARTS;
    this.parts[slot] = known >= IN_PARTS ? 1 : 0;
  }

  /** Whether a sum or difference of the operands at `base` and above it is one of numbers in parts. */
  isInParts(base: number): boolean {
    return this.parts[base] === 1 || this.parts[base + 1] === 1;
  }

  /** The lowest bit of a sum or difference of the operands at `base` and above it from which something can be carried. */
  carriesFrom(base: number, isSub: boolean): number {
    return isSub ? this.zeros[base + 1] : Math.max(this.zeros[base], this.zeros[base + 1]);
  }

  /** What will be known of the result of an instruction on the operands at `base` and above it. */
  ofResult(opcode: number, base: number): number {
    const [first, second] = [this.zeros[base], this.zeros[base + 1]];
    if (opcode === I32_WRAP) return this.of(base) - first + Math.min(first, 32);
    if (opcode === I64_EXTEND_S || opcode === I64_EXTEND_U) return this.of(base) - first + (first < 32 ? first : 64);
    const width = isArithmetic(opcode, WIDTH_32) ? WIDTH_32 : WIDTH_64;
    if (!isArithmetic(opcode, width)) return 0;
    const parts = this.isInParts(base) ? IN_PARTS : 0;
    switch (opcode) {
      case width.and:
        return parts + Math.max(first, second);
      case width.or:
      case width.xor:
      case width.add:
      case width.sub:
        return parts + Math.min(first, second);
      case width.shl:
        return this.partsOf(base) + Math.min(width.bits, first + this.shiftOf(base + 1, width));
      case width.shrU:
        return this.partsOf(base);
      default:
        return 0;
    }
  }

  private partsOf(slot: number): number {
    return this.parts[slot] === 1 ? IN_PARTS : 0;
  }

  private shiftOf(slot: number, { bits }: Width): number {
    const at = this.constants[slot];
    return at === NOT_CONSTANT ? 0 : shiftOf(this.bytes, at, bits);
  }
}

function isArithmetic(opcode: number, { add, shrU }: Width): boolean {
  return opcode >= add && opcode <= shrU;
}
