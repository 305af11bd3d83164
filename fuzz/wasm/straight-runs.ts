// Random straight runs of loads and stores, alone, in loops and beside calls, under the checks of addresses: results, memory, traps and
// what is reported of which address, in order, are those of a model that looks at each access by itself.
import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { Finding } from "../../allocator/checker/finding.ts";
import { wholeCheckerOf } from "../../allocator/heap/heap.ts";
import { Instance, Module } from "../../allocator/wasm/guest/functions.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import {
  type Address,
  type Local,
  moduleText,
  type Program,
  programOf,
  type Statement,
  TOGETHER,
} from "./straight-programs.ts";
import { wat } from "./wat.ts";

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
      case "bulk":
        this.bulk(statement.address, statement.from, statement.size, number);
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
    this.noteStore(at, size);
    for (let i = 0; i < size; i++) this.memory.setUint8(at + i, Number((value >> BigInt(8 * (i % 8))) & 255n));
  }

  /** Every byte of both ranges counts, and each range is one finding. */
  private bulk(address: Address, from: Address | null, size: number, number: number): void {
    const to = this.addressOf(address) + address.offset;
    const values = new Uint8Array(size).fill(number + 1);
    if (from !== null) {
      const at = this.addressOf(from) + from.offset;
      if (this.firstForeign(at, size) >= 0) this.reports.push({ isStore: false, size, address: at, isOptional: false });
      for (let i = 0; i < size; i++) values[i] = this.memory.getUint8(at + i);
    }
    if (this.firstForeign(to, size) >= 0) this.reports.push({ isStore: true, size, address: to, isOptional: false });
    this.noteStore(to, size);
    for (let i = 0; i < size; i++) this.memory.setUint8(to + i, values[i]);
  }

  private noteStore(at: number, size: number): void {
    this.hasStoredToHeader ||= this.blocks.some((pointer) => at < pointer && at + size > pointer - HEADER_BYTES);
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
/** Programs of seeds from here on have bulk instructions. */
const FIRST_BULK = 2 ** 30;
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
    programOf(Math.imul(seed, 2654435761) + i * 40503, TOGETHER - 1 - (i % TOGETHER), seed >= FIRST_BULK),
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
  program: fc.integer({ min: 1, max: 2 * FIRST_BULK - 1 }),
  run: (seed, journal) => runStraightRuns(seed, journal),
  inTests: 6,
};
