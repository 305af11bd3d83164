// What i32 values are in a straight run of code, as sums over the values that locals and globals had at its begin: which addresses lie
// at fixed distances from each other, and how to compute them there. A value that is not such a sum is UNKNOWN.
//
// A value is a number of a node, hash-consed, so that equal numbers are equal values. Adding a constant makes a node of the kind
// OP_I32_ADD over its base and OP_I32_CONST, always outermost, so that base and distance are read off. Cost: a few integers a node.

import {
  OP_GLOBAL_GET,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_CONST,
  OP_I32_MUL,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I32_SUB,
  OP_LOCAL_GET,
} from "../binary/instructions.ts";
import type { Code } from "./code.ts";

export const UNKNOWN_VALUE = -1;
/** The base of constants. */
export const NO_BASE = -2;
/** Nodes of a run, and instructions of one value: beyond these, it is UNKNOWN. */
const MOST_NODES = 96;
const MOST_INSTRUCTIONS = 11;
/** Of the table by which a node is found: a power of two, more than there are nodes. */
const PLACES = 256;

export class StraightValues {
  private readonly kinds = new Uint16Array(MOST_NODES);
  /** Operands: nodes; of a local or global, its index; of a constant, nothing. */
  private readonly lefts = new Int32Array(MOST_NODES);
  /** Of a constant, and of a sum with one: the constant. */
  private readonly rights = new Int32Array(MOST_NODES);
  private readonly sizes = new Uint8Array(MOST_NODES);
  /** Nodes plus 1, by a hash; 0: none. */
  private readonly places = new Uint8Array(PLACES);
  private count = 0;
  /** Values now, of what was set in the run. */
  private readonly locals = new Map<number, number>();
  private readonly globals = new Map<number, number>();

  begin(): void {
    this.count = 0;
    this.places.fill(0);
    this.locals.clear();
    this.globals.clear();
  }

  local(index: number): number {
    return this.locals.get(index) ?? this.node(OP_LOCAL_GET, index, 0, 1);
  }

  global(index: number): number {
    return this.globals.get(index) ?? this.node(OP_GLOBAL_GET, index, 0, 1);
  }

  setLocal(index: number, value: number): void {
    this.locals.set(index, value);
  }

  setGlobal(index: number, value: number): void {
    this.globals.set(index, value);
  }

  constant(value: number): number {
    return this.node(OP_I32_CONST, 0, value | 0, 1);
  }

  /** The result of an i32 instruction with two operands. */
  binary(opcode: number, left: number, right: number): number {
    if (left < 0 || right < 0) return UNKNOWN_VALUE;
    if (opcode === OP_I32_ADD) return this.sum(left, right);
    const isFixed = this.kinds[right] === OP_I32_CONST;
    if (opcode === OP_I32_SUB && isFixed) return this.moved(left, -this.rights[right]);
    if (opcode === OP_I32_SUB || opcode === OP_I32_MUL || opcode === OP_I32_SHL) return this.pure(opcode, left, right);
    if (isFixed && (opcode === OP_I32_AND || opcode === OP_I32_SHR_U)) return this.pure(opcode, left, right);
    return UNKNOWN_VALUE;
  }

  private sum(left: number, right: number): number {
    const distance = this.distanceOf(left) + this.distanceOf(right);
    const a = this.baseOf(left);
    const b = this.baseOf(right);
    if (a === NO_BASE) return b === NO_BASE ? this.constant(distance) : this.moved(b, distance);
    if (b === NO_BASE) return this.moved(a, distance);
    return this.moved(this.pure(OP_I32_ADD, Math.min(a, b), Math.max(a, b)), distance);
  }

  /** `value` + a constant. */
  private moved(value: number, by: number): number {
    if (value < 0) return UNKNOWN_VALUE;
    const base = this.baseOf(value);
    const distance = (this.distanceOf(value) + by) | 0;
    if (base === NO_BASE) return this.constant(distance);
    return distance === 0 ? base : this.node(OP_I32_ADD, base, distance, this.sizes[base] + 2);
  }

  private pure(opcode: number, left: number, right: number): number {
    return this.node(256 + opcode, left, right, this.sizes[left] + this.sizes[right] + 1);
  }

  private node(kind: number, left: number, right: number, size: number): number {
    if (size > MOST_INSTRUCTIONS) return UNKNOWN_VALUE;
    const { places } = this;
    let place = (kind * 31 + left * 7 + right) & (PLACES - 1);
    for (; places[place] !== 0; place = (place + 1) & (PLACES - 1)) {
      const i = places[place] - 1;
      if (this.kinds[i] === kind && this.lefts[i] === left && this.rights[i] === right) return i;
    }
    if (this.count === MOST_NODES) return UNKNOWN_VALUE;
    const i = this.count++;
    places[place] = i + 1;
    this.kinds[i] = kind;
    this.lefts[i] = left;
    this.rights[i] = right;
    this.sizes[i] = size;
    return i;
  }

  /** The value without the constant that was added to it. */
  baseOf(value: number): number {
    if (this.kinds[value] === OP_I32_CONST) return NO_BASE;
    return this.kinds[value] === OP_I32_ADD ? this.lefts[value] : value;
  }

  distanceOf(value: number): number {
    return this.kinds[value] === OP_I32_ADD || this.kinds[value] === OP_I32_CONST ? this.rights[value] : 0;
  }

  /** Writes code that computes `base` + `distance` at the begin of the run. */
  write(code: Code, base: number, distance: number): void {
    if (base === NO_BASE) {
      code.constant(distance);
      return;
    }
    this.writeNode(code, base);
    if (distance === 0) return;
    code.constant(distance);
    code.byte(OP_I32_ADD);
  }

  private writeNode(code: Code, value: number): void {
    const kind = this.kinds[value];
    const left = this.lefts[value];
    const right = this.rights[value];
    if (kind === OP_LOCAL_GET) code.localGet(left);
    else if (kind === OP_GLOBAL_GET) code.globalGet(left);
    else if (kind === OP_I32_CONST) code.constant(right);
    else if (kind === OP_I32_ADD) this.write(code, left, right);
    else {
      this.writeNode(code, left);
      this.writeNode(code, right);
      code.byte(kind - 256);
    }
  }
}
