// What definedness-programs.ts's programs do and what is undefined in it, by interpreting them over pairs of a value and a shadow.
// The rules are written anew, on BigInts: nothing here is the pass's code. A shadow is a cell: a value that was read from a local
// shares the local's until one of them changes, so that a report makes both defined.
import { BITS, mask, type Type } from "./definedness-operations.ts";
import type { Program } from "./definedness-programs.ts";
import { GLOBALS, INTEGERS, type Node, type Routine } from "./definedness-text.ts";

interface Cell {
  shadow: bigint;
}

interface Value {
  readonly type: Type;
  readonly value: bigint;
  cell: Cell;
  /** What the code says of the value, on every path: how many of its low bits are 0, and whether it is a constant. */
  readonly zeros: bigint;
  readonly isConstant: boolean;
}

const NORMAL = -1;
const RETURN = 1000;
const USES = { condition: 0, address: 1, index: 2, argument: 4, length: 5 };

const maskOf = (type: Type): bigint => mask(BITS[type]);
const make = (type: Type, value: bigint, shadow: bigint, zeros = 0n, isConstant = false): Value => ({
  type,
  value: value & maskOf(type),
  cell: { shadow: shadow & maskOf(type) },
  zeros,
  isConstant,
});
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);
/** A carry goes up from the lowest undefined bit at `from` or above; what lies below stays. */
const upwards = (shadow: bigint, from = 0n): bigint => {
  const rising = (shadow >> from) << from;
  return shadow | (rising === 0n ? 0n : -(rising & -rising));
};
const lowZeros = (type: Type, value: bigint): bigint => {
  let count = 0n;
  while (count < BITS[type] && ((value >> count) & 1n) === 0n) count++;
  return count;
};
const all = (condition: boolean): bigint => (condition ? -1n : 0n);

export class Model {
  readonly reports: number[] = [];
  readonly bytes = new Uint8Array(256);
  readonly shadow = new Uint8Array(256);
  readonly globals = GLOBALS.map((type) => make(type, 0n, 0n));
  fuel = 0;
  private readonly program: Program;
  private locals: Value[] = [];
  private stack: Value[] = [];

  constructor(program: Program) {
    this.program = program;
  }

  /** Calls a function from outside, with defined arguments. */
  run(index: number, args: readonly bigint[]): readonly bigint[] {
    const { params } = this.program.routines[index];
    this.stack = params.map((type, i) => make(type, args[i], 0n));
    this.call(this.program.routines[index]);
    return this.stack.map(({ value }) => value);
  }

  private call({ params, results, locals, body }: Routine): void {
    const kept = this.locals;
    const args = this.take(params.length);
    this.locals = [
      ...args.map(({ type, value, cell }) => make(type, value, cell.shadow)),
      ...locals.map((type) => make(type, 0n, 0n)),
    ];
    const outer = this.stack;
    this.stack = [];
    this.sequence(body);
    const values = this.take(results.length);
    this.stack = [...outer, ...values.map((value) => this.fresh(value))];
    this.locals = kept;
  }

  private take(count: number): Value[] {
    return this.stack.splice(this.stack.length - count, count);
  }

  private fresh({ type, value, cell }: Value): Value {
    return make(type, value, cell.shadow);
  }

  private push(type: Type, value: bigint, shadow: bigint, zeros = 0n): void {
    this.stack.push(make(type, value, shadow, zeros));
  }

  private check(operand: Value, use: number): void {
    if (operand.cell.shadow === 0n) return;
    this.reports.push(use);
    operand.cell.shadow = 0n;
  }

  /** A branch is decided by a defined bit that is 1, beside any other bits. */
  private decide(condition: Value): void {
    if ((condition.value & ~condition.cell.shadow) === 0n) this.check(condition, USES.condition);
  }

  private sequence(nodes: readonly Node[]): number {
    for (const node of nodes) {
      const signal = this.step(node);
      if (signal !== NORMAL) return signal;
    }
    return NORMAL;
  }

  private step(node: Node): number {
    const signal = this.sequence(node.operands);
    if (signal !== NORMAL) return signal;
    switch (node.name) {
      case "block":
      case "loop":
        return this.block(node, node.body);
      case "if": {
        const [condition] = this.take(1);
        this.decide(condition);
        if (condition.value === 0n) this.join();
        return this.block(node, condition.value !== 0n ? node.body : node.otherwise);
      }
      case "br":
        return node.labels[0];
      case "return":
        return RETURN;
      case "br_if": {
        const [condition] = this.take(1);
        this.decide(condition);
        return condition.value !== 0n ? node.labels[0] : NORMAL;
      }
      case "br_table": {
        const [index] = this.take(1);
        this.check(index, USES.condition);
        return node.labels[Math.min(Number(index.value), node.labels.length - 1)];
      }
      default:
        this.plain(node);
        return NORMAL;
    }
  }

  private block(node: Node, body: readonly Node[]): number {
    const params = this.take(node.params.length);
    this.stack = this.stack.map((value) => ({ ...value, cell: { shadow: value.cell.shadow } }));
    const floor = this.stack.length;
    this.stack.push(...params.map((value) => this.fresh(value)));
    for (;;) {
      if (node.name === "loop") this.join();
      const signal = this.sequence(body);
      this.join();
      if (signal !== NORMAL && signal !== 0) return signal === RETURN ? RETURN : signal - 1;
      const again = signal === 0 && node.name === "loop";
      const values = this.take(again ? node.params.length : node.results.length);
      this.stack.length = floor;
      this.stack.push(...values.map((value) => this.fresh(value)));
      if (!again) return NORMAL;
    }
  }

  /** Where ways meet, the code says nothing of locals. */
  private join(): void {
    this.locals = this.locals.map((local) => ({ ...local, zeros: 0n, isConstant: false }));
  }

  private plain(node: Node): void {
    const { name, number, type } = node;
    if (name === "const") this.constant(type, BigInt(number));
    else if (node.operation !== null) {
      const { params, result, apply } = node.operation;
      const operands = this.take(params.length).map(({ value, cell }) => [value, cell.shadow] as const);
      this.push(result, ...apply(...operands));
    } else if (name === "drop") this.take(1);
    else if (name.startsWith("local.")) this.local(name, number);
    else if (name === "global.get") this.stack.push(this.fresh(this.globals[number]));
    else if (name === "global.set") this.globals[number] = this.fresh(this.take(1)[0]);
    else if (name.startsWith("load")) this.load(name, type, number);
    else if (name.startsWith("store")) this.store(name, type, number);
    else if (name.startsWith("memory.")) this.bulk(name);
    else if (name.includes("call") || name === "host" || name === "fuel") this.calls(name, number);
    else if (name === "select") this.select(type);
    else this.compute(name, type);
  }

  private constant(type: Type, number: bigint): void {
    if (type === "v128") this.push(type, (number << 96n) | number, 0n);
    else if (!INTEGERS.includes(type)) this.push(type, number, 0n);
    else this.stack.push(make(type, number, 0n, lowZeros(type, number), true));
  }

  private local(name: string, number: number): void {
    if (name === "local.get") {
      this.stack.push({ ...this.locals[number] });
      return;
    }
    const [value] = this.take(1);
    // Values that were read from the local before keep its old shadow, each for itself.
    const { cell } = this.locals[number];
    for (const kept of this.stack) if (kept.cell === cell) kept.cell = { shadow: cell.shadow };
    this.locals[number] = this.fresh(value);
    const { zeros, isConstant } = value;
    this.locals[number] = { ...this.locals[number], zeros, isConstant };
    if (name === "local.tee") this.stack.push({ ...this.locals[number] });
  }

  private calls(name: string, number: number): void {
    if (name === "fuel") {
      this.push("i32", this.fuel > 0 ? 1n : 0n, 0n);
      if (this.fuel > 0) this.fuel--;
    } else if (name === "host") {
      const [argument] = this.take(1);
      this.check(argument, USES.argument);
      this.push("i32", argument.value + 1n, 0n);
    } else if (name === "call") this.call(this.program.routines[number]);
    else {
      const [index] = this.take(1);
      this.check(index, USES.index);
      this.call(this.program.routines.slice(-4)[Number(index.value)]);
    }
  }

  private sizeOf(name: string, type: Type): number {
    return (Number(/\d+/.exec(name)?.[0] ?? BITS[type]) || 0) / 8;
  }

  private load(name: string, type: Type, offset: number): void {
    const [address] = this.take(1);
    this.check(address, USES.address);
    const size = this.sizeOf(name, type);
    const read = (from: Uint8Array): bigint => {
      let word = 0n;
      for (let i = size - 1; i >= 0; i--) word = (word << 8n) | BigInt(from[Number(address.value) + offset + i]);
      return name.endsWith("_s") ? BigInt.asIntN(size * 8, word) : word;
    };
    this.push(type, read(this.bytes), read(this.shadow));
  }

  private store(name: string, type: Type, offset: number): void {
    const [address, value] = this.take(2);
    this.check(address, USES.address);
    for (let i = 0; i < this.sizeOf(name, type); i++) {
      const at = Number(address.value) + offset + i;
      this.bytes[at] = Number((value.value >> BigInt(8 * i)) & 255n);
      this.shadow[at] = Number((value.cell.shadow >> BigInt(8 * i)) & 255n);
    }
  }

  private bulk(name: string): void {
    const [to, from, count] = this.take(3);
    this.check(to, USES.address);
    if (name === "memory.copy") this.check(from, USES.address);
    this.check(count, USES.length);
    const [start, size] = [Number(to.value), Number(count.value)];
    if (name === "memory.fill") {
      this.bytes.fill(Number(from.value & 255n), start, start + size);
      this.shadow.fill(Number(from.cell.shadow & 255n), start, start + size);
      return;
    }
    for (const row of [this.bytes, this.shadow]) row.copyWithin(start, Number(from.value), Number(from.value) + size);
  }

  private select(type: Type): void {
    const [first, second, condition] = this.take(3);
    const chosen = condition.value !== 0n ? first : second;
    const { shadow } = chosen.cell;
    const isDecided = condition.cell.shadow === 0n || (condition.value & ~condition.cell.shadow) !== 0n;
    if (isDecided) this.push(type, chosen.value, shadow);
    else this.push(type, chosen.value, first.cell.shadow | second.cell.shadow | (first.value ^ second.value));
  }

  private compute(name: string, type: Type): void {
    if (name === "eqz" || name === "wrap_i64" || name === "extend_i32_s") {
      const [{ value, cell, zeros }] = this.take(1);
      if (name === "eqz")
        this.push("i32", value === 0n ? 1n : 0n, cell.shadow !== 0n && (value & ~cell.shadow) === 0n ? 1n : 0n);
      else if (name === "wrap_i64") this.push("i32", value, cell.shadow, least(zeros, 32n));
      else this.push("i64", BigInt.asIntN(32, value), BigInt.asIntN(32, cell.shadow), zeros < 32n ? zeros : 64n);
      return;
    }
    const [left, right] = this.take(2);
    const [a, b, s, t] = [left.value, right.value, left.cell.shadow, right.cell.shadow];
    const amount = b % BITS[type];
    // As in wasm: shadows of amounts count only where they change the amount.
    const undefinedAmount = all((t & (BITS[type] - 1n)) !== 0n);
    const both = least(left.zeros, right.zeros);
    const either = most(left.zeros, right.zeros);
    const shifted = left.zeros + (right.isConstant ? amount : 0n);
    const results: Readonly<Record<string, () => readonly [bigint, bigint, bigint?]>> = {
      add: () => [a + b, upwards(s | t, either), both],
      sub: () => [a - b, upwards(s | t, right.zeros), both],
      mul: () => [a * b, upwards(s | t)],
      and: () => [a & b, (s & t) | (s & b) | (t & a), either],
      or: () => [a | b, (s & t) | (s & ~b) | (t & ~a), both],
      xor: () => [a ^ b, s | t, both],
      shl: () => [a << amount, (s << amount) | undefinedAmount, least(shifted, BITS[type])],
      shr_u: () => [a >> amount, (s >> amount) | undefinedAmount],
    };
    const arithmetic = results[name];
    if (arithmetic !== undefined) this.push(type, ...arithmetic());
    else this.push("i32", this.compare(name, type, a, b) ? 1n : 0n, this.undecided(name, type, left, right));
  }

  private compare(name: string, type: Type, a: bigint, b: bigint): boolean {
    const bits = Number(BITS[type]);
    switch (name) {
      case "eq":
        return a === b;
      case "ne":
        return a !== b;
      case "lt_u":
        return a < b;
      case "le_u":
        return a <= b;
      default:
        return BigInt.asIntN(bits, a) > BigInt.asIntN(bits, b);
    }
  }

  /** Whether the undefined bits can change the comparison's result. */
  private undecided(name: string, type: Type, left: Value, right: Value): bigint {
    const [s, t] = [left.cell.shadow, right.cell.shadow];
    if ((s | t) === 0n) return 0n;
    if (name === "eq" || name === "ne") return ((left.value ^ right.value) & ~(s | t)) === 0n ? 1n : 0n;
    const sign = name.endsWith("_s") ? 1n << (BITS[type] - 1n) : 0n;
    const order = name === "le_u" ? [right, left] : name === "lt_u" ? [left, right] : [right, left];
    const ends = order.map(({ value, cell }) => {
      const flipped = value ^ sign;
      return { least: flipped & ~cell.shadow, most: flipped | cell.shadow };
    });
    const can = ends[0].least < ends[1].most;
    const must = ends[0].most < ends[1].least;
    return can === must ? 0n : 1n;
  }
}
