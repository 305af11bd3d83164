// A plain model of what an access at level "byte" is: for each byte of memory that the program was given, whether it may be accessed
// and whether it was written. It knows nothing of pages, classes or headers. Which programs are tried is access.model.test.ts.
import fc from "fast-check";
import { type Finding, Heap } from "../../allocator/index.ts";
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type Journal, show, silent } from "../harness/journal.ts";

const ACCESSES = [
  "load",
  "store",
  "read",
  "fill",
  "write",
  "compare",
  "copy from",
  "copy to",
  "write(2)",
  "read(2)",
  "pin",
] as const;
const CHANGES = [
  "malloc",
  "calloc",
  "free",
  "free",
  "realloc",
  "makeNoAccess",
  "makeUndefined",
  "makeDefined",
] as const;
const WIDTHS = [1, 2, 4, 8];
/** Larger blocks have a mapping of their own, which realloc may move. */
const LARGEST_SMALL = 2 ** 16;

export const step = fc.record({
  operation: fc.oneof({ arbitrary: fc.constantFrom(...ACCESSES), weight: 3 }, fc.constantFrom(...CHANGES)),
  /** Sizes that fill their class, that do not, that go over pages, and that have a mapping of their own. */
  size: fc.oneof(fc.constantFrom(16, 48, 112, 1, 24, 100), fc.constantFrom(4000, 9000, 140_000, 1_100_000)),
  block: fc.nat(),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  /** Bytes by which an access is moved: a few beyond the end, or in front. */
  shift: fc.constantFrom(0, 0, 0, -1, 1, 4, 9),
  length: fc.oneof(fc.constantFrom(...WIDTHS), fc.constantFrom(3, 40, 5000)),
});
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Block {
  readonly pointer: number;
  readonly size: number;
  isLive: boolean;
  /** Whether realloc moved its pages away, so that its addresses may be another block's at any time. */
  isMoved: boolean;
  /** By byte. */
  readonly written: boolean[];
  readonly forbidden: boolean[];
}

const STORES: readonly Step["operation"][] = ["store", "fill", "write", "copy to", "read(2)", "pin"];
const STOPPED = new Error("stopped");
const stop = (): never => {
  throw STOPPED;
};

export class Model {
  readonly heap: Heap;
  private readonly blocks: Block[] = [];
  private readonly file: number;
  private readonly target: number;

  constructor(journal: Journal = silent) {
    const options = { uninitialised: "byte", memoryBytes: 2 ** 26, seed: 3 } as const;
    this.heap = journal.make("heap", `new Heap(${show(options)})`, () => new Heap(options));
    this.file = this.heap.process.memfd_create("file");
    this.target = this.heap.calloc(1, 20_000);
    this.heap.process.ftruncate(this.file, 20_000);
  }

  [Symbol.dispose](): void {
    this.heap[Symbol.dispose]();
  }

  run(given: Step): void {
    const { operation, size } = given;
    if (operation === "malloc" || operation === "calloc") {
      const isZeroed = operation === "calloc";
      this.add(isZeroed ? this.heap.calloc(1, size) : this.heap.malloc(size), size, Array(size).fill(isZeroed));
      return;
    }
    if (this.blocks.length === 0) return;
    const block = this.blocks[given.block % this.blocks.length]!;
    if ((ACCESSES as readonly string[]).includes(operation)) this.access(given, block);
    else if (block.isLive) this.change(given, block);
  }

  private add(pointer: number, size: number, written: boolean[]): void {
    this.forgetMoved(pointer, size);
    for (const block of this.blocks) {
      // The list of freed blocks is longer than a program of the test: no address comes twice.
      const isApart = pointer + size <= block.pointer || block.pointer + block.size <= pointer;
      expect(isApart || block.pointer === pointer).toBe(true);
    }
    this.blocks.push({ pointer, size, isLive: true, isMoved: false, written, forbidden: Array(size).fill(false) });
  }

  /** Blocks whose place another one has now are not known any more. */
  private forgetMoved(pointer: number, size: number): void {
    for (const block of [...this.blocks]) {
      const isApart = pointer + size <= block.pointer || block.pointer + block.size <= pointer;
      if (block.isMoved && !isApart) this.blocks.splice(this.blocks.indexOf(block), 1);
    }
  }

  private change({ operation, size, at, length }: Step, block: Block): void {
    const { heap } = this;
    const from = Math.floor(at * (block.size - 1));
    const end = Math.min(block.size, from + length);
    if (operation === "free") {
      heap.free(block.pointer);
      block.isLive = false;
    } else if (operation === "realloc") {
      const moved = heap.realloc(block.pointer, size);
      const kept = Math.min(size, block.size);
      const next = {
        written: [...block.written.slice(0, kept), ...Array<boolean>(size - kept).fill(false)],
        forbidden: [...block.forbidden.slice(0, kept), ...Array<boolean>(size - kept).fill(false)],
      };
      block.isLive = false;
      block.isMoved = block.size > LARGEST_SMALL;
      // In place: the old block is no freed one, but gone.
      if (moved === block.pointer) this.blocks.splice(this.blocks.indexOf(block), 1);
      this.forgetMoved(moved, size);
      this.blocks.push({ pointer: moved, size, isLive: true, isMoved: false, ...next });
    } else if (operation.startsWith("make")) {
      const request = operation as "makeNoAccess" | "makeUndefined" | "makeDefined";
      heap.checker[request](block.pointer + from, end - from);
      block.forbidden.fill(request === "makeNoAccess", from, end);
      block.written.fill(request === "makeDefined", from, end);
    }
    expect(heap.checker.findings).toEqual([]);
  }

  private access({ operation, at, shift, length }: Step, block: Block): void {
    const isScalar = operation === "load" || operation === "store";
    const bytes = isScalar ? (WIDTHS.findLast((width) => width <= length) ?? 1) : length;
    // Near the end as often as anywhere.
    const from =
      Math.max(shift < 0 ? shift : 0, Math.floor(at * block.size) - (shift > 0 ? 0 : bytes)) + Math.max(0, shift);
    // A store outside its block would damage headers: the finding stops it.
    const stores = STORES.includes(operation);
    this.heap.checker.onFinding = stores ? stop : null;
    const error = this.perform(operation, block.pointer + from, bytes);
    this.heap.checker.onFinding = null;
    if (error !== null && error !== STOPPED && !(error instanceof SegmentationFault)) throw error;
    const findings = [...this.heap.checker.findings];
    this.heap.checker.clear();
    this.judge(operation, block, from, bytes, findings);
    if (operation === "pin" && error === null) this.pinned(block.pointer + from, bytes);
    if (!block.isLive || !stores) return;
    const begin = Math.max(0, from);
    // What was interrupted is not said any more.
    if (error !== null) this.settle(block, begin, from + bytes - begin);
    else
      for (let i = begin; i < Math.min(block.size, from + bytes); i++) if (!block.forbidden[i]) block.written[i] = true;
  }

  /** Who held the pages may have written to all of their bytes, those of other blocks too. */
  private pinned(address: number, bytes: number): void {
    for (const { pointer, size, isLive, written, forbidden } of this.blocks) {
      if (!isLive) continue;
      const end = Math.min(size, address + bytes - pointer);
      for (let i = Math.max(0, address - pointer); i < end; i++) if (!forbidden[i]) written[i] = true;
    }
  }

  private settle(block: Block, from: number, bytes: number): void {
    const end = Math.min(block.size, from + bytes);
    if (end <= from) return;
    this.heap.checker.makeDefined(block.pointer + from, end - from);
    block.written.fill(true, from, end);
    block.forbidden.fill(false, from, end);
  }

  private perform(operation: Step["operation"], address: number, bytes: number): unknown {
    const { memory, process } = this.heap;
    try {
      if (operation === "load") loadOf(bytes)(memory, address);
      else if (operation === "store") storeOf(bytes)(memory, address);
      else if (operation === "read") memory.read(address, bytes);
      else if (operation === "fill") memory.fill(address, 0, bytes);
      else if (operation === "write") memory.write(address, new Uint8Array(bytes));
      else if (operation === "compare") memory.compare(address, this.target, bytes);
      else if (operation === "copy from") memory.copy(this.target, address, bytes);
      else if (operation === "copy to") memory.copy(address, this.zeroes(), bytes);
      else if (operation === "write(2)") process.pwrite64(this.file, address, bytes, 0);
      else if (operation === "read(2)") process.pread64(this.file, address, bytes, 0);
      else if (operation === "pin") process.pin(address, bytes, { write: true }).release();
    } catch (error) {
      if (error !== STOPPED && (operation.endsWith("(2)") || operation === "pin")) return null;
      return error;
    } finally {
      // What a copy brought there does not matter to the next access.
      this.heap.checker.makeDefined(this.target, 20_000);
    }
    return null;
  }

  private zeroes(): number {
    return this.target + 10_000;
  }

  private judge(
    operation: Step["operation"],
    block: Block,
    from: number,
    bytes: number,
    findings: readonly Finding[],
  ): void {
    const { pointer, size } = block;
    const isPin = operation === "pin";
    const inside = Array.from({ length: bytes }, (_, i) => from + i);
    const bad = inside.find((at) => !block.isLive || at < 0 || at >= size || block.forbidden[at]);
    const what = `${operation} of ${bytes} at ${from} of ${size}`;
    if (isPin) {
      expect(findings, what).toEqual([]);
    } else if (bad === undefined) {
      const uses = ["load", "read", "compare", "write(2)"].includes(operation);
      // A comparison ends at the first difference; the rest of it is not looked at.
      const first = uses ? inside.find((at) => !block.written[at]) : undefined;
      if (operation === "compare" && findings.length === 0) return;
      expect(findings.length, what).toBe(first === undefined ? 0 : 1);
      if (first === undefined) return;
      expect(findings[0], what).toMatchObject({ kind: "uninitialised", offset: from, firstUndefined: pointer + first });
      expect([findings[0]!.block?.pointer, findings[0]!.count], what).toEqual([pointer, 1]);
      if (operation !== "compare") expect(findings[0]!.size, what).toBe(bytes);
    } else {
      if (operation === "compare" && findings.length === 0) return;
      expect(findings.length, what).toBe(1);
      const [finding] = findings;
      if (operation === "compare" && finding!.kind === "uninitialised") {
        // It ended before the bad byte.
        const first = inside.find((at) => at < bad && !block.written[at]);
        expect([finding!.firstUndefined, finding!.count], what).toEqual([pointer + (first ?? Number.NaN), 1]);
        expect(finding!.size! <= bad - from, what).toBe(true);
        return;
      }
      expect(finding, what).toMatchObject({ kind: "invalid-access", count: 1 });
      if (operation !== "compare") expect(finding!.size, what).toBe(bytes);
      // Where an access begins outside the block it may be nearer to another; a block that was cut short in place is not known as freed.
      if (from < 0 || from >= size) return;
      if (block.isLive) {
        expect([finding!.block?.pointer, finding!.block?.size, finding!.offset], what).toEqual([pointer, size, from]);
        expect(finding!.cause, what).toBe(bad < size ? "no-access" : "out-of-bounds");
      } else if (!this.isReused(block)) {
        expect([finding!.cause, finding!.block?.pointer], what).toEqual(["use-after-free", pointer]);
      }
    }
  }

  private isReused({ pointer, size }: Block): boolean {
    return this.blocks.some(
      (other) => other.isLive && other.pointer < pointer + size && pointer < other.pointer + other.size,
    );
  }
}

type Memory = Heap["memory"];

function loadOf(bytes: number): (memory: Memory, address: number) => unknown {
  if (bytes === 1) return (memory, address) => memory.getUint8(address);
  if (bytes === 2) return (memory, address) => memory.getInt16(address);
  return bytes === 4
    ? (memory, address) => memory.getFloat32(address)
    : (memory, address) => memory.getBigUint64(address);
}

function storeOf(bytes: number): (memory: Memory, address: number) => void {
  if (bytes === 1) return (memory, address) => memory.setUint8(address, 1);
  if (bytes === 2) return (memory, address) => memory.setUint16(address, 1);
  return bytes === 4
    ? (memory, address) => memory.setInt32(address, 1)
    : (memory, address) => memory.setFloat64(address, 1);
}

export const accesses: Fuzzer<Step[]> = {
  program: fc.array(step, { minLength: 1, maxLength: 60 }),
  run: (steps, journal) => {
    journal.note('import { Heap } from "refheap";');
    const model = new Model(journal);
    try {
      for (const given of steps) model.run(given);
    } finally {
      model[Symbol.dispose]();
    }
    return steps.length;
  },
  inTests: 10,
};
