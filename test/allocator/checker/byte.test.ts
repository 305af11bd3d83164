// The level "byte": which uses are found, how they are described, and that nothing else is.
import { expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";
import { failFrame, isLackOfMemory } from "../inject-failures.ts";

function byteHeap(): Heap {
  return new Heap({ uninitialised: "byte", stacks: true, memoryBytes: 64 * 2 ** 20, seed: 1 });
}

const kinds = (heap: Heap) =>
  heap.checker.findings.map(({ kind, operation, cause }) => `${kind} ${operation} ${cause}`);

test("a load of an unwritten byte is a finding with offset, block and stacks", () => {
  const heap = byteHeap();
  const p = heap.malloc(40);
  heap.memory.setUint8(p + 12, 1);
  heap.memory.setUint8(p + 13, 1);
  heap.memory.getUint32(p + 12);
  expect(heap.checker.findings).toHaveLength(1);
  const [finding] = heap.checker.findings;
  expect(finding).toMatchObject({ kind: "uninitialised", operation: "load", size: 4, offset: 12 });
  expect(finding.firstUndefined).toBe(p + 14);
  expect(finding.block).toMatchObject({ name: "block A", size: 40, origin: "malloc", state: "live" });
  expect(finding.stack[0].file).toContain("byte.test.ts");
  expect(finding.block?.allocation[0].functionName).toContain("");
  expect(heap.checker.toText({ stable: true })).toMatchInlineSnapshot(`
    "Use of uninitialised memory: load of 4 bytes at offset 12 of block A of 40 bytes; the first undefined byte is at offset 14
        at byte.test.ts
      block A: from malloc
        at byte.test.ts

    1 error"
  `);
});

test("written, zeroed and copied bytes are no findings", () => {
  const heap = byteHeap();
  const p = heap.malloc(64);
  heap.memory.fill(p, 1, 64);
  const q = heap.calloc(4, 16);
  const large = heap.calloc(1, 2 ** 20);
  heap.memory.copy(q, p, 32);
  const r = heap.realloc(p, 32);
  heap.memory.read(r, 32);
  heap.memory.read(q, 64);
  heap.memory.read(large, 2 ** 20);
  heap.memory.readString(heap.string("text"));
  expect(kinds(heap)).toEqual([]);
});

test("calloc's bytes are defined, and none in front of them or behind, in small and large chunks", () => {
  for (const size of [40, 20_000, 200_001, 2 ** 20 - 7]) {
    const heap = byteHeap();
    const p = heap.calloc(1, size);
    heap.memory.read(p, size);
    expect(kinds(heap), `${size} bytes`).toEqual([]);
    heap.memory.getUint8(p - 1);
    heap.memory.getUint8(p - 17);
    expect(heap.checker.findings, `${size} bytes`).toHaveLength(2);
    heap.memory.getUint8(p + size);
    expect(heap.checker.findings, `${size} bytes`).toHaveLength(3);
  }
});

test("realloc's growth is undefined, whether in place, by copy or by moved pages", () => {
  for (const [from, to] of [
    [20, 24],
    [20, 400],
    [200_000, 900_000],
  ]) {
    const heap = byteHeap();
    const p = heap.malloc(from);
    heap.memory.fill(p, 1, from);
    const q = heap.realloc(p, to);
    heap.memory.read(q, from);
    expect(kinds(heap)).toEqual([]);
    heap.memory.getUint8(q + from);
    expect(heap.checker.findings[0]).toMatchObject({ kind: "uninitialised", offset: from });
    expect(heap.checker.findings[0].block?.grownFrom).toBe(from);
  }
});

test("what realloc gave up is undefined when it grows again", () => {
  for (const [size, less] of [
    [40, 20],
    [200_000, 100_000],
    [200_000, 199_990],
  ]) {
    const heap = byteHeap();
    const p = heap.malloc(size);
    heap.memory.fill(p, 1, size);
    const q = heap.realloc(heap.realloc(p, less), size);
    heap.memory.getUint8(q + less);
    heap.memory.getUint8(q + less - 1);
    expect(heap.checker.findings.map(({ kind, offset }) => [kind, offset])).toEqual([["uninitialised", less]]);
  }
});

test("a reused chunk is undefined again", () => {
  for (const size of [32, 200_000]) {
    // Without the list of freed blocks, which keeps chunks from being reused.
    const heap = new Heap({ uninitialised: "byte", quarantine: {}, memoryBytes: 64 * 2 ** 20, seed: 1 });
    const p = heap.malloc(size);
    heap.memory.fill(p, 7, size);
    heap.free(p);
    const q = heap.malloc(size);
    expect(q).toBe(p);
    heap.memory.getUint8(q + 5);
    expect(kinds(heap)).toEqual(["uninitialised load null"]);
  }
});

test("use after free is told apart from use of uninitialised memory, for loads, stores and copies", () => {
  const heap = byteHeap();
  const p = heap.malloc(32);
  heap.memory.fill(p, 7, 32);
  heap.free(p);
  heap.memory.getUint8(p);
  heap.memory.setUint8(p, 1);
  heap.memory.copy(heap.malloc(64), p, 8);
  expect(kinds(heap)).toEqual([
    "invalid-access load use-after-free",
    "invalid-access store use-after-free",
    "invalid-access copy use-after-free",
  ]);
});

test("an access past either end is out of bounds, to the byte", () => {
  const heap = byteHeap();
  const p = heap.malloc(20);
  heap.memory.fill(p, 1, 20);
  heap.memory.getUint32(p + 18);
  heap.memory.setUint8(p + 20, 1);
  heap.memory.setUint8(p - 1, 1);
  heap.memory.getUint8(p - 16);
  expect(heap.checker.findings.map(({ operation, cause, offset }) => [operation, cause, offset])).toEqual([
    ["load", "out-of-bounds", 18],
    ["store", "out-of-bounds", 20],
    ["store", "out-of-bounds", -1],
    ["load", "out-of-bounds", -16],
  ]);
  expect(heap.checkInvariants()).toBeDefined();
});

test("a gigabyte that is undefined costs nothing until it is touched", () => {
  const heap = new Heap({ uninitialised: "byte", fill: "pattern" });
  const before = heap.process.rssBytes;
  const p = heap.malloc(2 ** 30);
  expect(heap.process.rssBytes - before).toBeLessThan(64 * 1024);
  expect(heap.memory.getUint8(p + 2 ** 29)).toBe(0xab);
  expect(kinds(heap)).toEqual(["uninitialised load null"]);
});

test("equal errors are one finding with a count", () => {
  const heap = byteHeap();
  for (let i = 0; i < 5; i++) heap.memory.getUint8(heap.malloc(8));
  expect(heap.checker.findings).toHaveLength(1);
  expect(heap.checker.findings[0].count).toBe(5);
  expect(heap.checker.countErrors()).toBe(5);
});

test("reportOn use: loads are free, comparisons and client checks are not", () => {
  const heap = byteHeap();
  heap.checker.reportOn = "use";
  const p = heap.malloc(8);
  heap.memory.getUint8(p);
  heap.memory.read(p, 8);
  expect(kinds(heap)).toEqual([]);
  expect(heap.checker.checkIsDefined(p, 8)).toBe(p);
  heap.memory.compare(p, heap.calloc(1, 8), 8);
  heap.free(p);
  heap.memory.getUint8(p);
  expect(kinds(heap)).toEqual([
    "uninitialised check null",
    "uninitialised compare null",
    "invalid-access load use-after-free",
  ]);
});

test("write to a file or pipe of undefined bytes is a finding; what the kernel fills is defined", () => {
  const heap = byteHeap();
  const { process } = heap;
  const [reader, writer] = process.pipe2();
  const p = heap.malloc(16);
  heap.memory.setUint32(p, 1);
  process.write(writer, p, 16);
  process.write(process.memfd_create("x"), p, 16);
  expect(kinds(heap)).toEqual(["uninitialised system call null", "uninitialised system call null"]);
  expect(process.read(reader, p, 16)).toBe(16);
  heap.memory.read(p, 16);
  expect(heap.checker.findings).toHaveLength(2);
});

test("a fork's child has its own bits and its own checker", () => {
  const heap = byteHeap();
  const p = heap.malloc(32);
  heap.memory.setUint32(p, 1);
  const child = heap.fork();
  child.memory.setUint32(p + 4, 1);
  child.memory.getFloat64(p);
  expect(child.checker.findings).toEqual([]);
  child.free(p);
  heap.memory.getUint32(p);
  expect(kinds(heap)).toEqual([]);
  heap.memory.getUint32(p + 4);
  expect(kinds(heap)).toEqual(["uninitialised load null"]);
});

test.each([
  [3000, 100],
  [200_000, 199_000],
])("what a fork's child shrinks in place, from %i bytes to %i, leaves its parent's bits as they are", (from, to) => {
  const heap = byteHeap();
  const p = heap.malloc(from);
  heap.memory.fill(p, 1, from);
  const child = heap.fork();
  expect(child.realloc(p, to)).toBe(p);
  for (const byte of [p + from - 1, p + to, p]) heap.memory.getUint8(byte);
  expect(kinds(heap)).toEqual([]);
  expect(child.realloc(p, from)).toBe(p);
  child.memory.getUint8(p + from - 1);
  expect(kinds(child)).toEqual(["uninitialised load null"]);
});

test("what a fork's child shrinks over a page's border without a frame for it keeps all of its bits", () => {
  const heap = byteHeap();
  const p = heap.realloc(heap.malloc(60_000), 60_000);
  heap.memory.fill(p, 1, 60_000);
  let refused = 0;
  for (let n = 1; n < 6; n++) {
    const child = heap.fork();
    child.memory.setUint8(p, 1);
    const disarm = failFrame(n)(child);
    try {
      child.realloc(p, 57_000);
    } catch (error) {
      refused++;
      expect(isLackOfMemory(error)).toBe(true);
      expect(child.malloc_usable_size(p)).toBe(60_000);
      for (let at = 56_900; at < 60_000; at++) child.memory.getUint8(p + at);
      expect(kinds(child)).toEqual([]);
    }
    disarm();
    child[Symbol.dispose]();
  }
  expect(refused).toBe(2);
});

test("a handler that throws stops the access; one that allocates and frees does not break the heap", () => {
  const heap = byteHeap();
  const p = heap.malloc(32);
  heap.checker.onFinding = () => {
    throw new Error("stop");
  };
  expect(() => heap.memory.getUint8(p)).toThrow("stop");
  expect(() => heap.process.write(heap.process.memfd_create("x"), p, 8)).toThrow("stop");
  heap.checker.onFinding = () => {
    for (let i = 0; i < 100; i++) heap.free(heap.malloc(i * 100));
    heap.free(p);
  };
  heap.memory.getUint16(p + 2);
  heap.checkInvariants();
  heap.kernel.checkInvariants();
});

test("the heap works with quarantine, pattern fill, fill on free and several threads", () => {
  const heap = new Heap({
    uninitialised: "byte",
    memoryBytes: 64 * 2 ** 20,
    fill: "pattern",
    fillOnFree: true,
    quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 },
  });
  const thread = heap.process.createThread();
  const pointers: number[] = [];
  for (let i = 0; i < 3000; i++) {
    const p = heap.malloc((i * 37) % 3000);
    pointers.push(p);
    if (i % 3 !== 0) heap.free(pointers.splice((i * 7) % pointers.length, 1)[0]);
  }
  heap.withThread(thread, () => heap.memory.getUint8(heap.malloc(8)));
  expect(kinds(heap)).toEqual(["uninitialised load null"]);
  heap.checkInvariants();
  for (const p of pointers) heap.free(p);
  heap.checkInvariants();
});

test("posix_memalign's pointer and statistics are written for the program", () => {
  const heap = byteHeap();
  const target = heap.malloc(8);
  heap.posix_memalign(target, 64, 100);
  heap.memory.getBigUint64(target);
  const buffer = heap.malloc(4096);
  heap.getStats(buffer, 4096);
  heap.memory.readString(buffer);
  expect(kinds(heap)).toEqual([]);
});

test("byte needs validity bits, and does not go with tagging", () => {
  const kernel = new Heap().kernel;
  expect(() => new Heap({ kernel, uninitialised: "byte" })).toThrow("shadow: true");
  expect(() => new Heap({ tagging: "sync", uninitialised: "byte" })).toThrow("uninitialised");
});

test("a pinned range counts as written, and its neighbours do not", () => {
  const heap = byteHeap();
  const p = heap.malloc(40);
  const pinned = heap.pin(p + 8, 16);
  pinned.views[0].fill(7);
  expect(heap.memory.getUint32(p + 8)).toBe(0x07070707);
  pinned.release();
  heap.memory.read(p + 8, 16);
  expect(kinds(heap)).toEqual([]);
  heap.memory.getUint8(p + 7);
  heap.memory.getUint8(p + 24);
  expect(heap.checker.findings.map(({ offset }) => offset)).toEqual([7, 24]);
});
