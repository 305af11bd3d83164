// Random small programs for the model: trees of instructions, typed so that they are valid. Their text is
// definedness-text.ts, what they mean is definedness-model.ts. Every loop goes back only while there is fuel, so that all of them end.

import { xorshift32 } from "../../platform/hardware/xorshift.ts";
import { VECTORS } from "./definedness-lanes.ts";
import { SCALARS, type Type } from "./definedness-operations.ts";
import { GLOBALS, INTEGERS, type Node, type Routine, TABLE_SIZE, textOf } from "./definedness-text.ts";

export interface Program {
  readonly routines: readonly Routine[];
  readonly text: string;
}

export const MEMORY_MASK = 63;
const BINARY = ["add", "sub", "and", "or", "xor", "shl", "shr_u", "mul"];
const COMPARISONS = ["eq", "ne", "lt_u", "gt_s", "le_u"];
const TYPES: readonly Type[] = ["i32", "i64", "i32", "i64", "f32", "f64", "v128", "v128"];
const isInteger = (type: Type): boolean => INTEGERS.includes(type);
const OPERATIONS = new Map(
  TYPES.map((type) => [type, [...SCALARS, ...VECTORS].filter(({ result }) => result === type)] as const),
);
const EMPTY: Omit<Node, "name"> = {
  type: "i32",
  operands: [],
  number: 0,
  labels: [],
  params: [],
  results: [],
  body: [],
  otherwise: [],
  operation: null,
};

/** Numbers from 0 on, below the one that is asked for. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state = xorshift32(state);
    return state % below;
  };
}

class Generator {
  private readonly random: (below: number) => number;
  private locals: Type[] = [];
  private signatures: { params: Type[]; results: Type[] }[] = [];
  private current = 0;
  private labels: (readonly Type[])[] = [];
  private budget = 0;
  /** Locals that only runs set: a place in memory, and how often a loop of one went around. */
  private place = 0;
  private round = 0;
  /** Depths of labels that a branch to would repeat: only the loop's own branch, which burns fuel, goes there. */
  private readonly loops = new Set<number>();

  constructor(seed: number) {
    this.random = randomOf(seed * 2654435761);
  }

  program(): Program {
    const count = 3 + this.random(3);
    // The last ones are the table's.
    this.signatures = Array.from({ length: count }, () => ({
      params: this.types(3),
      results: this.types(3),
    }));
    for (let i = 0; i < TABLE_SIZE; i++) this.signatures.push({ params: ["i32", "i64"], results: ["i32"] });
    const routines = this.signatures.map((signature, index) => this.routine(signature, index));
    return { routines, text: textOf(routines) };
  }

  private types(below: number): Type[] {
    return Array.from({ length: this.random(below + 1) }, () => this.pick(TYPES));
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.random(list.length)];
  }

  private routine({ params, results }: { params: Type[]; results: Type[] }, index: number): Routine {
    this.current = index;
    const locals: Type[] = ["i32", "i64", "i32", "f32", "f64", "v128"];
    this.locals = [...params, ...locals];
    this.place = this.locals.length;
    this.round = this.place + 1;
    this.labels = [results];
    this.budget = 40;
    const body = [...this.statements(4), ...this.values(results)];
    return { params, results, locals: [...locals, "i32", "i32"], body };
  }

  private node(name: string, parts: Partial<Node> = {}): Node {
    return { ...EMPTY, name, ...parts };
  }

  private statements(most: number): Node[] {
    return Array.from({ length: 1 + this.random(most) }, () => this.statement());
  }

  private values(types: readonly Type[]): Node[] {
    if (types.length === 2 && this.random(3) === 0) return [this.several(types)];
    return types.map((type) => this.value(type));
  }

  private address(): Node {
    return this.masked(this.value("i32"));
  }

  private masked(operand: Node): Node {
    return this.node("and", { operands: [operand, this.node("const", { number: MEMORY_MASK })] });
  }

  private localOf(type: Type): number {
    const fitting = [...this.locals.keys()].filter((local) => this.locals[local] === type);
    return this.pick(fitting);
  }

  private statement(): Node {
    this.budget--;
    const choice = this.budget < 0 ? this.random(4) : this.random(15);
    const type = this.pick(TYPES);
    const global = this.random(GLOBALS.length);
    switch (choice) {
      case 0:
      case 1:
        return this.node("local.set", { number: this.localOf(type), operands: [this.value(type)] });
      case 2: {
        const narrow = type === "i32" ? ["store8", "store16"] : type === "i64" ? ["store8", "store32"] : [];
        const name = this.pick(["store", ...narrow]);
        return this.node(name, { type, number: this.random(9), operands: [this.address(), this.value(type)] });
      }
      case 3:
        return this.node("global.set", { number: global, operands: [this.value(GLOBALS[global])] });
      case 4:
        return this.node("drop", { operands: [this.value(type)] });
      case 5:
        return this.block([]);
      case 6:
        return this.conditional([]);
      case 7:
        return this.loop([]);
      case 8:
        return this.branchIf([]) ?? this.block([]);
      case 9:
        return this.branchTable();
      case 10: {
        const count = this.node("const", { number: this.random(20) });
        return this.node("memory.copy", { operands: [this.address(), this.address(), count] });
      }
      case 11: {
        const count = this.node("const", { number: this.random(20) });
        return this.node("memory.fill", { operands: [this.address(), this.value("i32"), count] });
      }
      case 12:
      case 13:
        return this.run();
      default:
        return this.random(3) === 0 ? this.leaving() : this.block([]);
    }
  }

  /** Accesses that lie near each other, without anything between them that branches; once, or in a loop that is nothing else. */
  private run(): Node {
    const begin = this.places();
    const steps = this.steps();
    if (this.random(2) === 0) return this.node("block", { body: [...begin, ...steps] });
    const one = this.node("const", { number: 1 });
    const sum = this.node("add", { operands: [this.node("local.get", { number: this.round }), one] });
    const next = this.node("local.tee", { number: this.round, operands: [sum] });
    const last = this.node("const", { number: 1 + this.random(3) });
    const goesOn = this.node("ne", { operands: [next, last] });
    const again = this.node("br_if", { labels: [0], operands: [goesOn] });
    return this.node("block", { body: [...begin, this.node("loop", { body: [...steps, again] })] });
  }

  /** A value that was read from a local before a run, which may set that, and a value. */
  private aroundRun(type: Type): Node {
    const before = this.node("local.get", { number: this.localOf(type) });
    const burnt = this.node("drop", { operands: [this.node("fuel")] });
    const operands = [before, burnt, ...this.places(), ...this.steps(), this.simple(type)];
    return this.node(this.pick(BINARY), { type, operands });
  }

  /** Sets what a run's addresses are made of. */
  private places(): Node[] {
    return [
      this.node("local.set", { number: this.place, operands: [this.masked(this.simple("i32"))] }),
      this.node("local.set", { number: this.round, operands: [this.node("const")] }),
    ];
  }

  private steps(): Node[] {
    return Array.from({ length: 2 + this.random(5) }, () => this.step());
  }

  private step(): Node {
    const type = this.pick(TYPES);
    if (this.random(8) === 0) {
      const place = this.random(2) === 0 ? this.near() : this.simple("i32");
      return this.node("local.set", { number: this.place, operands: [this.masked(place)] });
    }
    if (this.random(2) === 0)
      return this.node("local.set", { number: this.localOf(type), operands: [this.simple(type)] });
    return this.node(this.accessOf("store", type), {
      type,
      number: this.distance(),
      operands: [this.near(), this.simple(type)],
    });
  }

  /** A value that takes no branch. */
  private simple(type: Type): Node {
    const operand = () =>
      this.random(2) === 0
        ? this.node(this.accessOf("load", type), { type, number: this.distance(), operands: [this.near()] })
        : this.node("local.get", { number: this.localOf(type) });
    if (this.random(6) === 0) return this.node("const", { type, number: this.number() });
    if (!isInteger(type) || this.random(2) === 0) return operand();
    return this.node(this.pick(BINARY), { type, operands: [operand(), operand()] });
  }

  private accessOf(name: "load" | "store", type: Type): string {
    const sign = name === "load" ? "_u" : "";
    const narrow = type === "i32" ? [8, 16] : type === "i64" ? [8, 32] : [];
    return this.pick([name, name, ...narrow.map((bits) => `${name}${bits}${sign}`)]);
  }

  private distance(): number {
    return this.random(3) === 0 ? this.random(25) : 8 * this.random(4);
  }

  private near(): Node {
    const place = this.node("local.get", { number: this.place });
    const kind = this.random(6);
    if (kind > 1) return place;
    const round = this.node("local.get", { number: this.round });
    const shifted = this.node("shl", { operands: [round, this.node("const", { number: 3 })] });
    const moved = kind === 0 ? shifted : this.node("const", { number: 8 * this.random(3) });
    return this.node("add", { operands: [place, moved] });
  }

  /** A branch or return, in a block, with code that never runs behind it. */
  private leaving(): Node {
    this.labels.push([]);
    const body = [...this.statements(1)];
    const label = this.labelOf(null);
    const types = this.labels[this.labels.length - 1 - label];
    if (this.random(3) === 0)
      body.push(this.node("return", { operands: this.values(this.labels[0]), results: this.labels[0] }));
    else body.push(this.node("br", { labels: [label], operands: this.values(types), results: types }));
    if (this.random(2) === 0) body.push(...this.statements(2));
    this.labels.pop();
    return this.node("block", { body });
  }

  private block(results: readonly Type[]): Node {
    this.labels.push(results);
    const body = [...this.statements(3), ...this.values(results)];
    this.labels.pop();
    return this.node("block", { results, body });
  }

  private conditional(results: readonly Type[]): Node {
    const params = this.random(3) === 0 ? this.types(2) : [];
    const operands = [...this.values(params), this.value("i32")];
    this.labels.push(results);
    const arm = () => [...this.drops(params), ...this.statements(2), ...this.values(results)];
    const body = arm();
    const otherwise = results.length > 0 || this.random(2) === 0 ? arm() : [];
    this.labels.pop();
    if (otherwise.length === 0 && params.length > 0) otherwise.push(...this.drops(params));
    return this.node("if", { params, results, operands, body, otherwise });
  }

  /** Takes a block's parameters from the stack, into locals mostly. */
  private drops(params: readonly Type[]): Node[] {
    return params
      .toReversed()
      .map((type) =>
        this.random(3) === 0 ? this.node("drop") : this.node("local.set", { number: this.localOf(type) }),
      );
  }

  private loop(results: readonly Type[]): Node {
    const params = this.types(2);
    const operands = this.values(params);
    this.loops.add(this.labels.length);
    this.labels.push(params);
    const body = [...this.drops(params), ...this.statements(2)];
    const values = this.values(params);
    const goesOn = this.node("and", { operands: [this.value("i32"), this.node("fuel")] });
    body.push(this.node("br_if", { labels: [0], operands: [...values, goesOn] }), ...this.drops(params));
    body.push(...this.values(results));
    this.labels.pop();
    this.loops.delete(this.labels.length);
    return this.node("loop", { params, results, operands, body });
  }

  /** A label whose branch takes these types along, or −1. */
  private labelOf(types: readonly Type[] | null): number {
    const fitting = [...this.labels.keys()]
      .map((_, label) => label)
      .filter((label) => {
        const taken = this.labels[this.labels.length - 1 - label];
        return !this.loops.has(this.labels.length - 1 - label) && (types === null || String(taken) === String(types));
      });
    return fitting.length === 0 ? -1 : this.pick(fitting);
  }

  private branchIf(types: readonly Type[]): Node | null {
    const label = this.labelOf(types);
    if (label < 0) return null;
    return this.node("br_if", {
      labels: [label],
      results: types,
      operands: [...this.values(types), this.value("i32")],
    });
  }

  private branchTable(): Node {
    this.labels.push([]);
    const first = this.labelOf(null);
    const types = this.labels[this.labels.length - 1 - first];
    const labels = [first, this.labelOf(types), this.labelOf(types)];
    const index = this.node("and", { operands: [this.value("i32"), this.node("const", { number: 3 })] });
    const leave = this.node("br_table", { labels, operands: [...this.values(types), index] });
    this.labels.pop();
    return this.node("block", { body: [leave] });
  }

  private several(types: readonly Type[]): Node {
    this.budget--;
    const choice = this.random(4);
    if (this.budget >= 0 && choice === 0) return this.branchIf(types) ?? this.block(types);
    if (this.budget >= 0 && choice === 1) return this.conditional(types);
    if (this.budget >= 0 && choice === 2) return this.callOf(types) ?? this.block(types);
    return this.blockOf(types);
  }

  private blockOf(types: readonly Type[]): Node {
    this.labels.push(types);
    const body = types.map((type) => this.value(type));
    this.labels.pop();
    return this.node("block", { results: types, body });
  }

  private callOf(results: readonly Type[]): Node | null {
    for (let index = this.current + 1; index < this.signatures.length; index++) {
      const signature = this.signatures[index];
      if (String(signature.results) === String(results) && this.random(2) === 0)
        return this.node("call", { number: index, operands: this.values(signature.params) });
    }
    return null;
  }

  /** A small one, one bit, or any; none by which a word's bytes or halves are worked on together, of which the model knows nothing. */
  private number(): number {
    const kind = this.random(6);
    if (kind < 3) return this.random(5);
    if (kind === 3) return 2 ** this.random(31);
    const number = this.random(2 ** 31 - 2);
    return number % 0x10001 < 2 ? number + 2 : number;
  }

  private value(type: Type): Node {
    this.budget--;
    const choice = this.budget < 0 ? this.random(3) : this.random(18);
    switch (choice) {
      case 0:
        return this.node("const", { type, number: this.number() });
      case 1:
      case 2:
        return this.node("local.get", { number: this.localOf(type) });
      case 3: {
        const fitting = [...GLOBALS.keys()].filter((global) => GLOBALS[global] === type);
        return this.node("global.get", { number: this.pick(fitting) });
      }
      case 4:
        return this.node("local.tee", { number: this.localOf(type), operands: [this.value(type)] });
      case 5:
      case 6:
      case 7:
        if (!isInteger(type)) return this.operation(type);
        return this.node(this.pick(BINARY), { type, operands: this.values([type, type]) });
      case 8:
        return isInteger(type) ? this.conversion(type) : this.operation(type);
      case 9:
        return this.node("select", { type, operands: [...this.values([type, type]), this.value("i32")] });
      case 10: {
        const narrow = type === "i32" ? ["load8_u", "load16_s"] : type === "i64" ? ["load8_s", "load32_u"] : [];
        const name = this.pick(["load", ...narrow]);
        return this.node(name, { type, number: this.random(9), operands: [this.address()] });
      }
      case 11:
        return this.callOf([type]) ?? this.block([type]);
      case 12:
        return this.conditional([type]);
      case 13:
        return this.branchIf([type]) ?? this.loop([type]);
      case 14:
        return type === "i32" ? this.outside() : this.loop([type]);
      case 15:
        return isInteger(type) ? this.aroundRun(type) : this.operation(type);
      default:
        return this.operation(type);
    }
  }

  private operation(type: Type): Node {
    const operation = this.pick(OPERATIONS.get(type)!);
    return this.node("operation", { operation, operands: this.values(operation.params) });
  }

  /** An integer of the other width, or a comparison. */
  private conversion(type: Type): Node {
    if (type === "i64") return this.node("extend_i32_s", { type, operands: [this.value("i32")] });
    if (this.random(3) === 0) return this.node("wrap_i64", { type, operands: [this.value("i64")] });
    const of = this.pick(INTEGERS);
    if (this.random(3) === 0) return this.node("eqz", { type: of, operands: [this.value(of)] });
    return this.node(this.pick(COMPARISONS), { type: of, operands: this.values([of, of]) });
  }

  /** A call of the host, or through the table. */
  private outside(): Node {
    if (this.random(2) === 0 || this.current >= this.signatures.length - TABLE_SIZE)
      return this.node("host", { operands: [this.value("i32")] });
    const index = this.node("and", { operands: [this.value("i32"), this.node("const", { number: 3 })] });
    return this.node("call_indirect", { operands: [this.value("i32"), this.value("i64"), index] });
  }
}

export function programOf(seed: number): Program {
  return new Generator(seed).program();
}
