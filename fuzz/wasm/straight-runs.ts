// Random straight runs of loads and stores, alone, in loops and beside calls, under the checks of addresses: results, memory, traps and
// what is reported of which address, in order, are those of a model that looks at each access by itself.
import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { Finding } from "../../allocator/checker/finding.ts";
import { wholeCheckerOf } from "../../allocator/heap/heap.ts";
import { Instance, Module } from "../../allocator/wasm/guest/functions.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { randomOf } from "./definedness-programs.ts";
import { wat } from "./wat.ts";

const LOCALS = ["p", "q", "r"] as const;
type Local = (typeof LOCALS)[number];

/** An address: locals, one of them times a power of two, and constants, as compilers compute them. */
interface Address {
  readonly base: Local;
  readonly index: boolean;
  readonly distance: number;
  readonly offset: number;
}

type Statement =
  | { readonly kind: "load" | "store"; readonly address: Address; readonly size: number; readonly alignment: number }
  | { readonly kind: "copy"; readonly address: Address; readonly from: Address; readonly size: number }
  | { readonly kind: "set"; readonly local: Local; readonly address: Address }
  /** Traps in the given round. */
  | { readonly kind: "trap"; readonly round: number }
  /** Runs the program so many places behind, of those that are called together, with the same block; 0: a function that does nothing. */
  | { readonly kind: "call"; readonly ahead: number }
  | { readonly kind: "free" | "branch" };

interface Program {
  readonly statements: readonly Statement[];
  /** How often they are executed; 0: not in a loop. */
  readonly rounds: number;
  readonly blockBytes: number;
}

/** Programs that may call those behind them. */
const TOGETHER = 4;

/** @param callable how many programs stand behind it that it may call */
function programOf(seed: number, callable: number): Program {
  const random = randomOf(seed);
  const one = <T>(values: readonly T[]): T => values[random(values.length)];
  const address = (): Address => ({
    base: one(LOCALS),
    index: random(4) === 0,
    distance: random(3) === 0 ? random(40) - 8 : 0,
    offset: random(4) === 0 ? random(64) : 8 * random(5),
  });
  const statement = (): Statement => {
    const size = one([1, 2, 4, 4, 8, 8, 16]);
    const alignment = random(4) === 0 ? 1 : size;
    switch (random(16)) {
      case 0:
      case 1:
      case 2:
        return { kind: "set", local: one(LOCALS), address: { ...address(), offset: 0 } };
      case 3:
        return random(3) > 0 ? { kind: "call", ahead: random(1 + callable) } : { kind: "free" };
      case 4:
        return random(4) > 0 ? { kind: "branch" } : { kind: "trap", round: random(4) };
      case 5:
      case 6:
        return { kind: "copy", address: address(), from: address(), size: one([1, 2, 4, 8]) };
      default:
        return { kind: random(3) > 0 ? "load" : "store", address: address(), size, alignment };
    }
  };
  // Most loops are nothing but a run.
  const isPlain = random(2) === 0;
  const statements = Array.from({ length: 1 + random(12) }, statement).filter(
    ({ kind }) => !isPlain || (kind !== "free" && kind !== "call" && kind !== "branch"),
  );
  return { statements, rounds: random(2) * (1 + random(6)), blockBytes: 1 + random(120) };
}

const LOADS: Readonly<Record<number, string>> = {
  1: "i64.load8_u",
  2: "i64.load16_u",
  4: "i64.load32_u",
  8: "i64.load",
  16: "i64x2.extract_lane 1 (v128.load",
};
const STORES: Readonly<Record<number, string>> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

function addressText({ base, index, distance }: Address): string {
  const sum = index ? `(i32.add (local.get $${base}) (i32.shl (local.get $i) (i32.const 3)))` : `(local.get $${base})`;
  if (distance === 0) return sum;
  return distance < 0 ? `(i32.sub ${sum} (i32.const ${-distance}))` : `(i32.add (i32.const ${distance}) ${sum})`;
}

function loadText(address: Address, size: number, alignment: number): string {
  const end = size === 16 ? "))" : ")";
  return `(${LOADS[size]} offset=${address.offset} align=${alignment} ${addressText(address)}${end}`;
}

function storeText(address: Address, size: number, alignment: number, value: string): string {
  const place = `offset=${address.offset} align=${alignment} ${addressText(address)}`;
  return size === 16 ? `(v128.store ${place} (i64x2.splat ${value}))` : `(${STORES[size]} ${place} ${value})`;
}

function textOf(statement: Statement, number: number, index: number): string {
  switch (statement.kind) {
    case "load": {
      const loaded = loadText(statement.address, statement.size, statement.alignment);
      return `(local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 3)) ${loaded}))`;
    }
    case "store":
      return storeText(statement.address, statement.size, statement.alignment, `(i64.const ${number + 1})`);
    case "copy":
      return storeText(statement.address, statement.size, 1, loadText(statement.from, statement.size, 1));
    case "set":
      return `(local.set $${statement.local} ${addressText(statement.address)})`;
    case "trap":
      return `(drop (i32.div_u (i32.const 1) (i32.xor (local.get $i) (i32.const ${statement.round}))))`;
    case "free":
      return "(call $free (local.get $block))";
    case "call":
      if (statement.ahead === 0) return "(call $nothing)";
      return `(local.set $sum (i64.xor (local.get $sum) (call $run${index + statement.ahead} (local.get $block))))`;
    case "branch":
      return "(block (br_if 0 (local.get $i)) (local.set $r (local.get $q)))";
  }
}

function functionText({ statements, rounds }: Program, index: number): string {
  const body = statements.map((statement, number) => textOf(statement, number, index)).join("\n");
  const looped =
    rounds === 0
      ? body
      : `(loop $l ${body} (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${rounds}))))`;
  return `(func $run${index} (export "run${index}") (param $block i32) (result i64)
      (local $p i32) (local $q i32) (local $r i32) (local $i i32) (local $sum i64)
      (local.set $p (local.get $block)) (local.set $q (i32.add (local.get $block) (i32.const 16))) (local.set $r (i32.const 2048))
      ${looped}
      (local.get $sum))`;
}

function moduleText(programs: readonly Program[]): string {
  return `(module (memory 1)
    (func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable) (func $nothing)
    ${programs.map(functionText).join("\n")})`;
}

/** Where the image begins behind the null pointers, and ends. */
const IMAGE_START = 1024;
const IMAGE_END = 65536;
/** In front of each block. */
const HEADER_BYTES = 16;

/** An access that is not the program's. */
interface Report {
  readonly isStore: boolean;
  readonly size: number;
  /** −1: the checker tells only of a place's first one where it was. */
  readonly address: number;
  /** All its bytes were accessed before it, by what may have checked them for it, too. */
  readonly isOptional: boolean;
}

class Trap extends Error {}

/** What one call has of its own. */
interface Frame {
  readonly index: number;
  readonly values: Record<Local, number>;
  round: number;
  sum: bigint;
}

/** Executes programs on a copy of the memory. */
class Model {
  readonly memory: DataView;
  private readonly programs: readonly Program[];
  private readonly blockBytes: number;
  private readonly block: number;
  /** All blocks, in order; those at even places are live. */
  private readonly blocks: readonly number[];
  private readonly live: readonly number[];
  /** Of the call that runs now. */
  private frame: Frame;
  isFreed = false;
  /** Whether it stored to the header of a block: what the heap says of that at a later free is not this fuzzer's matter. */
  hasStoredToHeader = false;
  readonly reports: Report[] = [];
  /** What was accessed since the round's begin or the last call. */
  private readonly accessed: { readonly isStore: boolean; readonly from: number; readonly to: number }[] = [];

  constructor(
    programs: readonly Program[],
    { index, memory }: { readonly index: number; readonly memory: Uint8Array },
    block: number,
    blocks: readonly number[],
  ) {
    this.programs = programs;
    this.blockBytes = programs[index].blockBytes;
    this.blocks = blocks;
    this.live = blocks.filter((_, i) => i % 2 === 0);
    this.memory = new DataView(memory.buffer, memory.byteOffset, memory.length);
    this.block = block;
    this.frame = this.frameOf(index);
  }

  private frameOf(index: number): Frame {
    return { index, values: { p: this.block, q: this.block + 16, r: 2048 }, round: 0, sum: 0n };
  }

  /** @returns the sum */
  run(): bigint {
    const { frame } = this;
    const { statements, rounds } = this.programs[frame.index];
    do {
      this.accessed.length = 0;
      for (const [number, statement] of statements.entries()) this.execute(statement, number);
      frame.round++;
    } while (frame.round < rounds);
    return frame.sum;
  }

  private call(ahead: number): void {
    const { frame } = this;
    this.frame = this.frameOf(frame.index + ahead);
    frame.sum ^= this.run();
    this.frame = frame;
  }

  private execute(statement: Statement, number: number): void {
    const { frame } = this;
    switch (statement.kind) {
      case "load":
        frame.sum = BigInt.asUintN(64, frame.sum * 3n + this.load(statement.address, statement.size));
        break;
      case "store":
        this.store(statement.address, statement.size, BigInt(number + 1));
        break;
      case "copy":
        this.store(statement.address, statement.size, this.load(statement.from, statement.size));
        break;
      case "set":
        frame.values[statement.local] = this.addressOf(statement.address);
        break;
      case "trap":
        if (frame.round === statement.round) throw new Trap("division by zero");
        break;
      case "free":
        if (this.isFreed) throw new Trap("freed twice");
        this.isFreed = true;
        this.accessed.length = 0;
        break;
      case "call":
        if (statement.ahead > 0) this.call(statement.ahead);
        this.accessed.length = 0;
        break;
      case "branch":
        if (frame.round === 0) frame.values.r = frame.values.q;
        break;
      default:
    }
  }

  private addressOf({ base, index, distance }: Address): number {
    const { values, round } = this.frame;
    return (values[base] + (index ? round * 8 : 0) + distance) >>> 0;
  }

  private load(address: Address, size: number): bigint {
    const at = this.addressOf(address) + address.offset;
    const foreign = this.firstForeign(at, size);
    // Words that lie across the end of a block, as string functions load them.
    const isPartial = foreign > at && (size === 4 || size === 8 || size === 16) && at % size === 0;
    this.access(false, at, size, foreign >= 0 && !isPartial);
    return this.valueAt(size === 16 ? at + 8 : at, Math.min(8, size));
  }

  private valueAt(at: number, size: number): bigint {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.memory.getUint8(at + i));
    return value;
  }

  private store(address: Address, size: number, value: bigint): void {
    const at = this.addressOf(address) + address.offset;
    const foreign = this.firstForeign(at, size);
    this.access(true, at, size, foreign >= 0);
    this.hasStoredToHeader ||= this.blocks.some((pointer) => at < pointer && at + size > pointer - HEADER_BYTES);
    for (let i = 0; i < size; i++) this.memory.setUint8(at + i, Number((value >> BigInt(8 * (i % 8))) & 255n));
  }

  private firstForeign(at: number, size: number): number {
    for (let byte = at; byte < at + size; byte++) {
      const block = this.live.find((pointer) => byte >= pointer && byte < pointer + this.blockBytes);
      const isLive = block !== undefined && (block !== this.block || !this.isFreed);
      if (!isLive && (byte < IMAGE_START || byte >= IMAGE_END)) return byte;
    }
    return -1;
  }

  private access(isStore: boolean, address: number, size: number, isForeign: boolean): void {
    const { accessed, reports } = this;
    if (isForeign) {
      const isOptional = accessed.some(
        (other) => other.from <= address && other.to >= address + size && (other.isStore || !isStore),
      );
      reports.push({ isStore, size, address, isOptional });
    }
    accessed.push({ isStore, from: address, to: address + size });
  }
}

/** Whether the reports are the model's, in order, with or without those that are optional. */
function areAsExpected(reports: readonly Report[], expected: readonly Report[]): boolean {
  // How many of `reports` may be behind us.
  let behind = new Set([0]);
  for (const { isStore, size, address, isOptional } of expected) {
    const next = new Set(isOptional ? behind : []);
    for (const at of behind) {
      const report = reports[at];
      if (report === undefined || report.isStore !== isStore || report.size !== size) continue;
      if (report.address < 0 || report.address === address) next.add(at + 1);
    }
    behind = next;
  }
  return behind.has(reports.length);
}

/** Programs of one module: an instance costs more than what they do. */
const PROGRAMS = 20;
/** Bytes around a block that a program may come to. */
const AROUND = 65536;
const MEMORY_BYTES = 2 ** 24;
const copied = new Uint8Array(MEMORY_BYTES);

function outcome(action: () => unknown): string {
  try {
    action();
    return "returned";
  } catch {
    return "trapped";
  }
}

/** Runs one program of the instance and compares. @returns accesses that were reported */
function compare({ exports, heap, guest }: Instance, programs: readonly Program[], index: number): number {
  const { blockBytes } = programs[index];
  const run = exports[`run${index}`] as unknown as (block: number) => bigint;
  const blocks = Array.from({ length: 9 }, () => heap.malloc(blockBytes)).sort((a, b) => a - b);
  const block = blocks[4];
  // Every other block is freed: there are holes.
  const live = blocks.filter((_, i) => i % 2 === 0);
  for (const hole of blocks) if (!live.includes(hole)) heap.free(hole);
  const bytes = new Uint8Array(guest.memory.buffer, 0, MEMORY_BYTES);
  const parts = [
    [0, IMAGE_END],
    [Math.max(IMAGE_END, block - AROUND), Math.min(MEMORY_BYTES, block + AROUND)],
  ];
  for (const [from, to] of parts) copied.set(bytes.subarray(from, to), from);
  const model = new Model(programs, { index, memory: copied }, block, blocks);
  let sum = 0n;
  let expectedSum = 0n;
  const expected = outcome(() => {
    expectedSum = model.run();
  });
  if (model.hasStoredToHeader) {
    for (const pointer of live) heap.free(pointer);
    return 0;
  }
  const reports: Report[] = [];
  const { handlers } = wholeCheckerOf(heap).results;
  const watch = ({ kind, operation, size, address, count }: Finding): void => {
    if (kind !== "invalid-access") return;
    reports.push({ isStore: operation === "store", size, address: count === 1 ? address : -1, isOptional: false });
  };
  handlers.add(watch);
  const answer = outcome(() => {
    sum = BigInt.asUintN(64, run(block));
  });
  handlers.delete(watch);
  deepStrictEqual(answer, expected);
  ok(areAsExpected(reports, model.reports), JSON.stringify({ index, reports, expected: model.reports }));
  // What memory holds behind a free is up to the heap.
  if (answer === "returned" && !model.isFreed) {
    deepStrictEqual(sum, expectedSum);
    for (const [from, to] of parts) deepStrictEqual(bytes.slice(from, to), copied.slice(from, to));
  }
  for (const pointer of live) if (pointer !== block || !model.isFreed) heap.free(pointer);
  return reports.length;
}

/** @returns accesses that were reported */
export function runStraightRuns(seed: number, journal: Journal): number {
  const programs = Array.from({ length: PROGRAMS }, (_, i) =>
    programOf(Math.imul(seed, 2654435761) + i * 40503, TOGETHER - 1 - (i % TOGETHER)),
  );
  const text = moduleText(programs);
  journal.note(text);
  const instance = new Instance(new Module(wat(text), { memoryBytes: MEMORY_BYTES, heap: { seed } }));
  try {
    let found = 0;
    for (const index of programs.keys()) found += compare(instance, programs, index);
    instance.guest.checkInvariants();
    return found;
  } finally {
    instance[Symbol.dispose]();
  }
}

export const straightRuns: Fuzzer<number> = {
  program: fc.integer({ min: 1, max: 2 ** 30 }),
  run: (seed, journal) => runStraightRuns(seed, journal),
  inTests: 6,
};
