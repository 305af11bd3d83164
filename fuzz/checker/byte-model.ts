// A plain model of level "byte": a Map from address to defined or not, beside a heap that does the same steps.
// The steps are here; how many random programs are made of them is the caller's choice.

import fc from "fast-check";
import type { Memory } from "../../allocator/common/memory.ts";
import { Heap } from "../../allocator/index.ts";
import { firstUndefined } from "../../allocator/tracking/undefined-bytes.ts";
import type { Memory as MachineMemory } from "../../platform/hardware/memory.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from "../../platform/kernel/abi/mman.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type Journal, show, silent } from "../harness/journal.ts";

const PAGE_SIZE = 4096;
const OPERATIONS = [
  ...(["malloc", "calloc", "mmap", "free", "realloc", "store", "word", "copy", "read(2)"] as const),
  ...(["process_vm_writev", "makeDefined", "makeUndefined", "makeNoAccess", "setValidityBits"] as const),
  ...(["DONTNEED", "fork", "mempool", "mark and move"] as const),
];
const REQUESTS = ["makeNoAccess", "makeUndefined", "makeDefined", "setValidityBits"] as const;
const sizes = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 200 }), weight: 6 },
  { arbitrary: fc.integer({ min: 4000, max: 13_000 }), weight: 3 },
  fc.constantFrom(140_000, 150_000),
);

export const step = fc.record({
  operation: fc.constantFrom(...OPERATIONS),
  size: sizes,
  chunk: fc.nat(),
  other: fc.nat(),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
});
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Range {
  pointer: number;
  size: number;
  /** What its pages are before they are touched, and again after DONTNEED. */
  fresh: "undefined" | "zero";
  readonly isMapping: boolean;
}

/** From the size of a block of its own mapping on; sizes between are not in any program. */
const LARGE = 140_000;

export class Model {
  readonly heap: Heap;
  private readonly journal: Journal;
  private readonly ranges: Range[] = [];
  private readonly defined = new Map<number, boolean>();
  private readonly forbidden = new Set<number>();
  private readonly pipe: [number, number];
  private readonly source: number;

  constructor(largeRealloc: "mremap" | "copy", journal: Journal = silent) {
    this.journal = journal;
    const options = { uninitialised: "byte", memoryBytes: 2 ** 26, seed: 1, largeRealloc } as const;
    this.heap = journal.make("heap", `new Heap(${show(options)})`, () => new Heap(options));
    this.pipe = this.heap.process.pipe2();
    this.source = this.heap.calloc(1, PAGE_SIZE);
  }

  [Symbol.dispose](): void {
    this.heap[Symbol.dispose]();
  }

  private mark(address: number, length: number, isDefined: boolean): void {
    for (let at = address; at < address + length; at++) this.defined.set(at, isDefined);
  }

  private allow(address: number, length: number): void {
    for (let at = address; at < address + length; at++) this.forbidden.delete(at);
  }

  private forbid(address: number, length: number): void {
    this.mark(address, length, false);
    for (let at = address; at < address + length; at++) this.forbidden.add(at);
  }

  private isFree(address: number, length: number): boolean {
    if (this.forbidden.size === 0) return true;
    for (let at = address; at < address + length; at++) if (this.forbidden.has(at)) return false;
    return true;
  }

  private marks(address: number, length: number): boolean[] {
    return Array.from({ length }, (_, i) => this.defined.get(address + i) === true);
  }

  private setMarks(address: number, marks: readonly boolean[]): void {
    for (const [i, isDefined] of marks.entries()) this.defined.set(address + i, isDefined);
  }

  /** Does a step on both sides and compares what it touched; then a sample of everything else. */
  run(given: Step): void {
    const { heap } = this;
    const { operation, size } = given;
    if (operation === "malloc") this.add(heap.malloc(size), size, false, "undefined");
    else if (operation === "calloc") this.add(heap.calloc(1, size), size, true, size < LARGE ? "undefined" : "zero");
    else if (operation === "mmap") this.map(Math.ceil(size / PAGE_SIZE) * PAGE_SIZE);
    else if (operation === "mark and move") this.markAndMove(given);
    else if (this.ranges.length > 0) this.change(given);
    for (const range of this.ranges) this.checkSample(range, 97);
  }

  private add(pointer: number, size: number, isDefined: boolean, fresh: Range["fresh"]): void {
    this.ranges.push({ pointer, size, fresh, isMapping: false });
    this.mark(pointer, size, isDefined);
  }

  private map(size: number): void {
    const pointer = this.heap.process.mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    this.ranges.push({ pointer, size, fresh: "zero", isMapping: true });
    this.mark(pointer, size, true);
  }

  /** Marks on untouched pages, in a mapping that mremap moves: programs of single steps seldom come to it. */
  private markAndMove({ size, chunk, at }: Step): void {
    const pages = Math.ceil(size / PAGE_SIZE);
    this.map(pages * PAGE_SIZE);
    const range = this.ranges[this.ranges.length - 1];
    const offset = Math.floor(at * (range.size - 1));
    this.request(REQUESTS[chunk % REQUESTS.length], range.pointer + offset, range.size - offset);
    this.resize(range, (pages + 1) * PAGE_SIZE);
    this.check(range.pointer + offset - 8, 24, range);
  }

  private change({ operation, size, chunk, other, at }: Step): void {
    const index = chunk % this.ranges.length;
    const old = this.ranges[index];
    const from = old.pointer + Math.floor(at * (old.size - 1));
    const length = Math.min(size, old.pointer + old.size - from);
    const remote = this.ranges[other % this.ranges.length];
    if (operation === "free") {
      this.release(old);
      this.ranges.splice(index, 1);
    } else if (operation === "realloc") this.resize(old, size);
    else if (operation === "DONTNEED") this.discard(old, from, old.pointer + old.size - from);
    else if (operation === "fork") this.fork(old, from, length);
    else if (operation === "mempool") this.deal(old, from, Math.min(length, PAGE_SIZE));
    else if (operation === "copy") this.copy(from, remote, Math.min(length, remote.size));
    else if (operation.startsWith("make") || operation === "setValidityBits") this.request(operation, from, length);
    else if (this.isFree(from, length)) this.store(operation, from, length);
    if (this.ranges.includes(old)) {
      this.check(from - 8, 24, old);
      this.check(from + length - 16, 24, old);
    }
  }

  private release(old: Range): void {
    if (old.isMapping) this.heap.checker.makeDefined(old.pointer, old.size);
    if (old.isMapping) this.heap.process.munmap(old.pointer, old.size);
    else this.heap.free(old.pointer);
    this.allow(old.pointer, old.size);
  }

  /** Kept bytes keep their marks wherever they go; what is beyond them is fresh. */
  private resize(old: Range, wanted: number): void {
    const { heap } = this;
    const size = old.isMapping ? Math.ceil(wanted / PAGE_SIZE) * PAGE_SIZE : wanted;
    const marks = this.marks(old.pointer, Math.min(size, old.size));
    const shut = marks.map((_, i) => this.forbidden.has(old.pointer + i));
    const before = old.pointer;
    this.allow(old.pointer, old.size);
    old.pointer = old.isMapping
      ? heap.process.mremap(old.pointer, old.size, size, MREMAP_MAYMOVE)
      : heap.realloc(old.pointer, size);
    if (old.pointer !== before && !old.isMapping) old.fresh = "undefined";
    this.mark(old.pointer, size, old.isMapping);
    this.setMarks(old.pointer, marks);
    this.allow(old.pointer, size);
    for (const [i, isShut] of shut.entries()) if (isShut) this.forbidden.add(old.pointer + i);
    this.check(old.pointer + old.size - 16, 32, { ...old, size });
    old.size = size;
  }

  private discard({ fresh }: Range, from: number, length: number): void {
    const begin = Math.ceil(from / PAGE_SIZE) * PAGE_SIZE;
    const bytes = Math.floor((from + length) / PAGE_SIZE) * PAGE_SIZE - begin;
    if (bytes <= 0 || !this.isFree(begin, bytes)) return;
    this.heap.process.madvise(begin, bytes, MADV_DONTNEED);
    this.mark(begin, bytes, fresh === "zero");
  }

  private copy(from: number, remote: Range, bytes: number): void {
    if (!this.isFree(from, bytes) || !this.isFree(remote.pointer, bytes)) return;
    const marks = this.marks(remote.pointer, bytes);
    this.heap.memory.copy(from, remote.pointer, bytes);
    this.setMarks(from, marks);
  }

  private store(operation: Step["operation"], from: number, length: number): void {
    const { memory, process } = this.heap;
    const bytes = operation === "store" ? length : Math.min(length, operation === "word" ? 8 : PAGE_SIZE);
    if (operation === "store") memory.fill(from, 1, bytes);
    else if (operation === "word") {
      const width = this.storeWord(from, bytes);
      this.mark(from, width, true);
      return;
    } else if (operation === "read(2)") {
      process.write(this.pipe[1], this.source, bytes);
      process.read(this.pipe[0], from, bytes);
    } else process.process_vm_writev(process.pid, [[this.source, bytes]], [[from, bytes]]);
    this.mark(from, bytes, true);
  }

  private storeWord(from: number, room: number): number {
    const { memory } = this.heap;
    if (room >= 8) memory.setFloat64(from, 1);
    else if (room >= 4) memory.setInt32(from, 1);
    else if (room >= 2) memory.setUint16(from, 1);
    else memory.setUint8(from, 1);
    return 2 ** Math.floor(Math.log2(room));
  }

  /** No request makes a page resident: what is untouched gets its marks with its first frame. */
  private request(operation: Step["operation"], from: number, length: number): void {
    const { process } = this.heap;
    const before = process.rssBytes;
    this.requestMarks(operation, from, length);
    expect(process.rssBytes, "resident by a request").toBe(before);
  }

  private requestMarks(operation: Step["operation"], from: number, length: number): void {
    const { checker } = this.heap;
    const short = Math.min(length, PAGE_SIZE);
    if (operation === "makeNoAccess") {
      checker.makeNoAccess(from, short);
      this.forbid(from, short);
    } else if (operation === "setValidityBits") {
      if (!this.isFree(from, short)) return;
      const bits = Uint8Array.from({ length: short }, (_, i) => i % 2);
      checker.setValidityBits(from, bits);
      for (let i = 0; i < short; i++) this.defined.set(from + i, i % 2 === 0);
    } else if (operation === "makeDefined" || operation === "makeUndefined") {
      checker[operation](from, length);
      this.allow(from, length);
      this.mark(from, length, operation === "makeDefined");
    }
  }

  /** The child begins with the parent's marks; what either writes is its own. */
  private fork(range: Range, from: number, length: number): void {
    const { pointer, size } = range;
    const child = this.heap.fork();
    const bytes = Math.min(length, PAGE_SIZE);
    try {
      const inherited = this.marks(pointer, size);
      this.compare(child.memory, pointer, Math.min(size, 64), inherited);
      child.checker.disableErrorReporting();
      const first = child.checker.checkIsAddressable(pointer, size);
      child.checker.enableErrorReporting();
      let shut = pointer;
      while (shut < pointer + size && !this.forbidden.has(shut)) shut++;
      expect(first, "no-access in the child").toBe(shut === pointer + size ? 0 : shut);
      if (!this.isFree(from, 2 * bytes)) return;
      child.memory.fill(from, 2, bytes);
      inherited.fill(true, from - pointer, from - pointer + bytes);
      this.check(from, bytes, range);
      this.heap.memory.fill(from, 3, bytes >> 1);
      this.mark(from, bytes >> 1, true);
      const begin = Math.max(pointer, from - 8);
      const end = Math.min(pointer + size, from + bytes + 8);
      this.compare(child.memory, begin, end - begin, inherited.slice(begin - pointer));
      expect(child.checker.findings).toEqual([]);
    } finally {
      child[Symbol.dispose]();
    }
  }

  /** An arena in a chunk: nothing but its live chunk may be accessed, of which nothing is written; in the end only what the pool forgot. */
  private deal(range: Range, from: number, length: number): void {
    if (length < 48) return;
    const { checker, memory } = this.heap;
    checker.createMempool(from, { redzoneBytes: 8 });
    checker.makeNoAccess(from, length);
    this.forbid(from, length);
    const begin = from + 16;
    const size = length - 32;
    checker.mempoolAlloc(from, begin, size);
    this.allow(begin, size);
    this.check(from, length, range);
    memory.fill(begin, 1, size >> 1);
    this.mark(begin, size >> 1, true);
    this.check(from, length, range);
    checker.mempoolChange(from, begin, begin, (size >> 1) + 1);
    // As in Memcheck, the pool knows another size from here on, and no byte changes by that.
    const changed = (size >> 1) + 1;
    this.check(from, length, range);
    if (size % 2 === 0) checker.mempoolFree(from, begin);
    checker.destroyMempool(from);
    this.forbid(begin, changed);
    // What is alive when the pool ends has its redzones shut where it ended last.
    if (size % 2 !== 0) this.forbid(begin + changed, Math.min(8, length - 16 - changed));
    this.check(from, length, range);
  }

  /** Compares marks, and which bytes may be accessed, of the part of [from, from + length) that is in the range. */
  private check(from: number, length: number, range: Range): void {
    const begin = Math.max(from, range.pointer);
    const end = Math.min(from + length, range.pointer + range.size);
    if (end <= begin) return;
    const { checker } = this.heap;
    let expected = begin;
    while (expected < end && !this.forbidden.has(expected)) expected++;
    this.checkMarks(begin, expected, range);
    if (expected < end) {
      // As Memcheck's VALGRIND_GET_VBITS: it answers no byte's bits unless all may be accessed.
      expect(
        isRefused(() => checker.getValidityBits(begin, end - begin)),
        "bits of no-access memory",
      ).toBe(true);
      for (let from = expected; from < end; ) {
        const shut = from;
        while (from < end && this.forbidden.has(from)) from++;
        if (from > shut) expect(this.firstForbidden(shut, 1), "no-access begins").toBe(shut);
        if (from > shut) expect(this.firstForbidden(from - 1, 1), "no-access ends").toBe(from - 1);
        let to = from;
        while (to < end && !this.forbidden.has(to)) to++;
        expect(this.firstForbidden(from, to - from), "addressable").toBe(0);
        this.checkMarks(from, to, range);
        from = to;
      }
    }
    expect(this.firstForbidden(begin, end - begin)).toBe(expected === end ? 0 : expected);
  }

  /** The first byte that may not be accessed, 0 if all may. */
  private firstForbidden(address: number, length: number): number {
    const { checker } = this.heap;
    checker.disableErrorReporting();
    const first = checker.checkIsAddressable(address, length);
    checker.enableErrorReporting();
    return first;
  }

  /** Compares the marks of [begin, end), all of which may be accessed. */
  private checkMarks(begin: number, end: number, range: Range): void {
    if (end <= begin) return;
    const bits = this.heap.checker.getValidityBits(begin, end - begin);
    const bad = bits.findIndex((bit, i) => (bit === 0) !== this.defined.get(begin + i));
    if (bad >= 0) throw new Error(`byte ${begin + bad - range.pointer} of ${range.size} has ${bits[bad]}`);
  }

  private compare(memory: Memory, address: number, length: number, marks: readonly boolean[]): void {
    for (let i = 0; i < length; i++) {
      const isDefined = firstUndefined(this.journal.unwrap(memory) as MachineMemory, address + i, 1) < 0;
      if (isDefined !== marks[i]) throw new Error(`the child's byte ${i} is ${isDefined ? "defined" : "undefined"}`);
    }
  }

  private checkSample(range: Range, stride: number): void {
    const { pointer, size } = range;
    this.check(pointer, 16, range);
    this.check(pointer + size - 16, 16, range);
    for (let at = pointer; at < pointer + size; at += stride) this.check(at, 1, range);
  }

  /** Every byte of everything, and nothing was reported. */
  checkAll(): void {
    for (const range of this.ranges) this.check(range.pointer, range.size, range);
    expect(this.heap.checker.findings).toEqual([]);
  }
}

function isRefused(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (error) {
    if (error instanceof RangeError) return true;
    throw error;
  }
}

interface Program {
  readonly largeRealloc: "mremap" | "copy";
  readonly steps: readonly Step[];
}

export const byteMarks: Fuzzer<Program> = {
  program: fc.record({
    largeRealloc: fc.constantFrom("mremap" as const, "copy" as const),
    steps: fc.array(step, { minLength: 1, maxLength: 16 }),
  }),
  run: ({ largeRealloc, steps }, journal) => {
    journal.note('import { Heap } from "refheap";');
    const model = new Model(largeRealloc, journal);
    try {
      for (const given of steps) model.run(given);
      model.checkAll();
    } finally {
      model[Symbol.dispose]();
    }
    return steps.length;
  },
  inTests: 6,
};
