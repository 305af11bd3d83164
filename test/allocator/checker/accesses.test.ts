// One access is one finding, about the right block, also over several pages, redzones and in system calls.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";

const MIB = 2 ** 20;
const createHeap = () => new Heap({ uninitialised: "byte", memoryBytes: 64 * MIB, seed: 1, stacks: true });
const seen = (heap: Heap) =>
  heap.checker.findings.map(({ operation, cause, size, offset, block, count }) => [
    operation,
    cause,
    size,
    offset,
    block?.size ?? null,
    count,
  ]);
const tryIt = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return null;
};
/** A chunk whose bytes go over a page border, and how far the border is from its begin. */
function overBorder(heap: Heap, size: number): { p: number; border: number } {
  for (;;) {
    const p = heap.malloc(size);
    const border = 4096 - (p % 4096);
    if (border > 16 && border < size - 16) return { p, border };
  }
}

describe("an access is one finding", () => {
  test("loads over a page border", () => {
    const heap = createHeap();
    const { p, border } = overBorder(heap, 3000);
    heap.memory.getFloat64(p + border - 4);
    heap.memory.getUint16(p + border - 1);
    heap.memory.getBigInt64(p + border - 7);
    expect(seen(heap)).toEqual([
      ["load", null, 8, border - 4, 3000, 1],
      ["load", null, 2, border - 1, 3000, 1],
      ["load", null, 8, border - 7, 3000, 1],
    ]);
  });

  test("a load over a border whose second page alone is undefined says where", () => {
    const heap = createHeap();
    const { p, border } = overBorder(heap, 3000);
    heap.memory.fill(p, 1, border + 1);
    heap.memory.getUint32(p + border - 2);
    expect(heap.checker.findings).toMatchObject([{ size: 4, firstUndefined: p + border + 1 }]);
  });

  test.each([
    ["read", (heap: Heap, p: number) => heap.memory.read(p, 10_000)],
    ["read", (heap: Heap, p: number) => heap.memory.readInto(p, new Uint8Array(10_000))],
    ["system call", (heap: Heap, p: number) => heap.process.write(heap.process.pipe2()[1], p, 10_000)],
    ["system call", (heap: Heap, p: number) => heap.process.pwrite64(heap.process.memfd_create("m"), p, 10_000, 0)],
  ] as const)("%s of 10,000 bytes, all undefined or from some place on", (operation, work) => {
    const heap = createHeap();
    const p = heap.malloc(20_000);
    work(heap, p);
    heap.memory.fill(p, 1, 9000);
    work(heap, p);
    expect(seen(heap)).toEqual([
      [operation, null, 10_000, 0, 20_000, 1],
      [operation, null, 10_000, 0, 20_000, 1],
    ]);
    expect(heap.checker.findings.map(({ firstUndefined }) => firstUndefined! - p)).toEqual([0, 9000]);
  });

  test("comparisons, strings and copies", () => {
    const heap = createHeap();
    const p = heap.malloc(20_000);
    const q = heap.calloc(1, 20_000);
    heap.memory.fill(p, 0, 9000);
    heap.memory.compare(p, q, 20_000);
    heap.memory.fill(p, 65, 10_000);
    heap.memory.readString(p, 15_000);
    expect(seen(heap).map(([operation, , size, offset, , count]) => [operation, size, offset, count])).toEqual([
      ["compare", expect.any(Number), 0, 1],
      ["string", 10_001, 0, 1],
    ]);
    heap.checker.clear();
    heap.memory.copy(q, p, 20_100);
    expect(seen(heap)).toEqual([
      ["copy", "out-of-bounds", 20_100, 0, 20_000, 1],
      ["store", "out-of-bounds", 20_100, 0, 20_000, 1],
    ]);
  });

  test.each(["fill", "fillPattern", "write", "writeString"] as const)("%s beyond a block's end", (method) => {
    const heap = createHeap();
    const p = heap.malloc(10_000);
    const { memory } = heap;
    if (method === "fill") memory.fill(p, 1, 10_100);
    else if (method === "fillPattern") memory.fillPattern(p, 10_100, Uint8Array.of(1, 2));
    else if (method === "write") memory.write(p, new Uint8Array(10_100));
    else memory.writeString(p, "a".repeat(10_099));
    expect(seen(heap)).toEqual([["store", "out-of-bounds", 10_100, 0, 10_000, 1]]);
  });

  test("of a store that sticks out, the block's own bytes are written", () => {
    const heap = createHeap();
    const p = heap.malloc(24);
    heap.memory.setFloat64(p + 20, 1);
    heap.memory.fill(p + 12, 1, 30);
    heap.checker.clear();
    heap.memory.getUint32(p + 12);
    heap.memory.getFloat64(p + 16);
    expect(seen(heap)).toEqual([]);
    heap.memory.getUint8(p + 24);
    expect(seen(heap)).toHaveLength(1);
  });

  test("a handler may access memory meanwhile", () => {
    const heap = createHeap();
    const p = heap.malloc(9000);
    heap.checker.onFinding = () => void heap.memory.read(p + 8000, 100);
    heap.memory.read(p, 9000);
    expect(seen(heap)).toEqual([["read", null, 9000, 0, 9000, 1]]);
  });
});

describe("large blocks: first the finding, then the fault", () => {
  /** A large block whose last byte is the last of its page. */
  function atItsPagesEnd(heap: Heap): { p: number; size: number } {
    const p = heap.malloc(MIB);
    const size = MIB + ((4096 - ((p + MIB) % 4096)) % 4096);
    heap.free(p);
    const q = heap.malloc(size);
    expect((q + size) % 4096).toBe(0);
    return { p: q, size };
  }

  test.each([
    ["load", 1, (heap: Heap, end: number) => heap.memory.getUint8(end)],
    ["store", 8, (heap: Heap, end: number) => heap.memory.setFloat64(end, 1)],
    ["store", 4, (heap: Heap, end: number) => heap.memory.setUint32(end - 2, 1)],
    ["load", 8, (heap: Heap, end: number) => heap.memory.getBigUint64(end - 1)],
    ["read", 100, (heap: Heap, end: number) => heap.memory.read(end - 50, 100)],
    ["store", 100, (heap: Heap, end: number) => heap.memory.fill(end - 50, 1, 100)],
    ["store", 3, (heap: Heap, end: number) => heap.memory.write(end, Uint8Array.of(1, 2, 3))],
    ["copy", 64, (heap: Heap, end: number) => heap.memory.copy(end - 500, end - 10, 64)],
    ["store", 64, (heap: Heap, end: number) => heap.memory.copy(end - 10, end - 500, 64)],
    ["compare", 40, (heap: Heap, end: number) => heap.memory.compare(end - 20, end - 500, 40)],
    ["string", 21, (heap: Heap, end: number) => heap.memory.readString(end - 20)],
  ] as const)("%s of %i bytes behind or across the end", (operation, size, access) => {
    const heap = createHeap();
    const block = atItsPagesEnd(heap);
    const end = block.p + block.size;
    heap.memory.fill(end - 1000, 1, 1000);
    expect(tryIt(() => access(heap, end))).toBeInstanceOf(SegmentationFault);
    const [finding, ...more] = heap.checker.findings;
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ kind: "invalid-access", operation, size, cause: "out-of-bounds", count: 1 });
    expect(finding!.block).toMatchObject({ pointer: block.p, size: block.size, state: "live" });
    expect(finding!.stack[0]!.file).toContain("accesses.test.ts");
  });

  test("write(2) and read(2) across the end are reported, and do as the kernel does", () => {
    const heap = createHeap();
    const { p, size } = atItsPagesEnd(heap);
    heap.memory.fill(p + size - 100, 1, 100);
    const [reader, writer] = heap.process.pipe2();
    tryIt(() => heap.process.write(writer, p + size - 10, 20));
    expect(seen(heap)).toEqual([["system call", "out-of-bounds", 20, size - 10, size, 1]]);
    heap.checker.clear();
    tryIt(() => heap.process.write(writer, p, 10));
    heap.checker.clear();
    tryIt(() => heap.process.read(reader, p + size - 5, 10));
    expect(seen(heap)).toEqual([["store", "out-of-bounds", 10, size - 5, size, 1]]);
  });

  test.each([70_000, MIB - 100, MIB, 3 * MIB, 40 * MIB])("use of %i bytes after free names the block", (size) => {
    const heap = createHeap();
    const p = heap.operatorNew(size);
    heap.memory.fill(p, 1, 64);
    heap.operatorDelete(p);
    for (const access of [
      () => heap.memory.getUint8(p),
      () => heap.memory.setFloat64(p + size - 8, 1),
      () => heap.memory.read(p + 4000, 5000),
    ])
      tryIt(access);
    expect(
      heap.checker.findings.map(({ cause, block }) => [cause, block?.pointer, block?.size, block?.origin]),
    ).toEqual(Array(3).fill(["use-after-free", p, size, "new"]));
    const [{ block }] = heap.checker.findings;
    expect([block!.allocation.length > 0, block!.free.length > 0]).toEqual([true, true]);
  });

  test("what realloc left behind is freed memory", () => {
    const heap = createHeap();
    const p = heap.malloc(MIB);
    const q = heap.realloc(p, 8 * MIB);
    expect(q).not.toBe(p);
    tryIt(() => heap.memory.getUint8(p + 5000));
    expect(heap.checker.findings).toMatchObject([{ cause: "use-after-free", block: { pointer: p, size: MIB } }]);
  });

  test("level page reports the fault as well", () => {
    const heap = new Heap({ uninitialised: "page", memoryBytes: 64 * MIB, seed: 1 });
    const p = heap.malloc(3 * MIB);
    heap.memory.setUint8(p, 1);
    heap.free(p);
    expect(tryIt(() => heap.memory.getUint8(p))).toBeInstanceOf(SegmentationFault);
    expect(heap.checker.findings).toMatchObject([{ cause: "use-after-free", block: { pointer: p } }]);
  });

  test("a wild pointer is outside every block; the program's own protected memory is no-access", () => {
    const heap = createHeap();
    tryIt(() => heap.memory.getUint32(4096));
    expect(heap.checker.findings).toMatchObject([{ kind: "invalid-access", block: null, size: 4 }]);
    heap.checker.clear();
    const readOnly = heap.process.mmap(0, 4096, 1, 0x22);
    expect(tryIt(() => heap.memory.setUint8(readOnly, 1))).toBeInstanceOf(SegmentationFault);
    expect(heap.checker.findings).toEqual([]);
  });
});

describe("the right block is blamed", () => {
  test.each([16, 48, 80, 112, 24, 40, 1])("behind and in front of chunks of %i bytes", (size) => {
    const heap = createHeap();
    const chunks = Array.from({ length: 200 }, () => heap.malloc(size));
    for (const p of chunks) heap.memory.fill(p, 1, size);
    for (const p of chunks) {
      heap.memory.getUint8(p + size);
      heap.memory.getUint8(p - 1);
      heap.memory.setUint32(p + size - 1, 1);
    }
    const blamed = heap.checker.findings;
    expect(blamed.every(({ offset }) => offset === size || offset === -1 || offset === size - 1)).toBe(true);
    expect(blamed.reduce((sum, { count }) => sum + count, 0)).toBe(600);
  });

  test("behind the last block that was carved, and beside unused blocks", () => {
    const heap = createHeap();
    const p = heap.malloc(48);
    heap.memory.getUint8(p + 48);
    heap.memory.getFloat64(p - 8);
    expect(seen(heap)).toEqual([
      ["load", "out-of-bounds", 1, 48, 48, 1],
      ["load", "out-of-bounds", 8, -8, 48, 1],
    ]);
  });
});

describe("marks", () => {
  test("pin defines the block's own bytes alone, and none of a freed one", () => {
    const heap = createHeap();
    const p = heap.malloc(16);
    heap.malloc(16);
    heap.pin(p, 4000 - (p % 4096) > 16 ? 200 : 16).release();
    expect([...heap.checker.getValidityBits(p, 16)].every((bits) => bits === 0)).toBe(true);
    heap.memory.getUint8(p + 16);
    expect(seen(heap)).toEqual([["load", "out-of-bounds", 1, 16, 16, 1]]);
    heap.checker.clear();
    heap.free(p);
    heap.pin(p, 16).release();
    heap.memory.getUint8(p);
    expect(heap.checker.findings).toMatchObject([{ cause: "use-after-free", block: { pointer: p } }]);
  });

  test.each(["in place", "by copy", "by mremap"])("realloc keeps no-access marks %s", (how) => {
    const heap = createHeap();
    const sizes = { "in place": [1000, 1008], "by copy": [100, 5000], "by mremap": [MIB, 4 * MIB] }[how]!;
    const p = heap.malloc(sizes[0]!);
    heap.checker.makeNoAccess(p + 8, 8);
    const q = heap.realloc(p, sizes[1]!);
    heap.checker.disableErrorReporting();
    expect([0, 8, 15, 16, sizes[1]! - 1].map((at) => heap.checker.checkIsAddressable(q + at, 1) === 0)).toEqual([
      true,
      false,
      false,
      true,
      true,
    ]);
    heap.checker.enableErrorReporting();
    const r = heap.realloc(q, 12);
    heap.memory.getUint8(r + 9);
    expect(heap.checker.findings).toMatchObject([{ cause: "no-access", offset: 9 }]);
    heap.free(r);
    const again = heap.malloc(sizes[0]!);
    expect(heap.checker.checkIsAddressable(again, sizes[0]!)).toBe(0);
  });

  test("validity bits of no-access memory are a RangeError, and nothing changes", () => {
    const heap = createHeap();
    const p = heap.calloc(1, 32);
    heap.checker.makeNoAccess(p + 8, 1);
    expect(() => heap.checker.getValidityBits(p, 32)).toThrow(RangeError);
    expect(() => heap.checker.setValidityBits(p, new Uint8Array(32).fill(255))).toThrow("made no-access");
    expect([...heap.checker.getValidityBits(p, 8)]).toEqual(Array(8).fill(0));
  });

  test("read(2) into a freed block, or beyond one, defines nothing there", () => {
    const heap = createHeap();
    const [reader, writer] = heap.process.pipe2();
    const source = heap.calloc(1, 64);
    const freed = heap.malloc(32);
    heap.free(freed);
    heap.process.write(writer, source, 64);
    heap.process.read(reader, freed, 32);
    expect(heap.checker.findings).toMatchObject([{ operation: "store", cause: "use-after-free", size: 32 }]);
    heap.checker.clear();
    heap.memory.getUint8(freed);
    expect(heap.checker.findings).toMatchObject([{ cause: "use-after-free" }]);
    heap.checker.clear();
    const p = heap.malloc(8);
    heap.process.read(reader, p, 32);
    expect(seen(heap)).toEqual([["store", "out-of-bounds", 32, 0, 8, 1]]);
    heap.memory.getFloat64(p);
    heap.memory.getUint8(p + 8);
    expect(seen(heap).slice(1)).toEqual([["load", "out-of-bounds", 1, 8, 8, 1]]);
    for (let i = 0; i < 100; i++) heap.memory.getUint8(heap.malloc(24));
    expect(heap.checker.findings.at(-1)).toMatchObject({ kind: "uninitialised", count: 100 });
  });

  test("level page sees a load after a copy from a block that was freed", () => {
    const heap = new Heap({ uninitialised: "page", memoryBytes: 64 * MIB, seed: 1 });
    const target = heap.malloc(MIB);
    const p = heap.malloc(MIB);
    heap.memory.fill(p, 1, 4096);
    heap.memory.copy(target, p, 4096);
    heap.free(p);
    const again = heap.malloc(MIB);
    heap.memory.getUint8(again + 100);
    expect(heap.checker.findings).toMatchObject([{ operation: "page load", kind: "uninitialised" }]);
  });

  describe.each([true, false])("at level page, of a block that was freed: %s", (isFreed) => {
    const ways: [string, (heap: Heap, p: number) => unknown][] = [
      ["a load over a page border", (heap, p) => heap.memory.getFloat64(Math.ceil(p / 4096) * 4096 + 4093)],
      ["a transfer to the host", (heap, p) => heap.memory.read(p + 100, 20_000)],
      ["a system call", (heap, p) => heap.process.write(heap.process.memfd_create("f", 0), p + 100, 20_000)],
      ["a comparison, first side", (heap, p) => heap.memory.compare(p, heap.calloc(1, MIB), 20_000)],
      ["a comparison, second side", (heap, p) => heap.memory.compare(heap.calloc(1, MIB), p, 20_000)],
    ];

    test.each(ways)("%s is one finding, and one more each time", (_name, access) => {
      const heap = new Heap({ uninitialised: "page", memoryBytes: 64 * MIB, seed: 1 });
      for (let i = 0; i < 3; i++) {
        const p = heap.malloc(300_000);
        const later = heap.calloc(1, MIB);
        if (isFreed) heap.free(p);
        access(heap, p);
        heap.free(later);
      }
      const cause = isFreed ? "use-after-free" : null;
      expect(heap.checker.findings).toMatchObject([{ operation: "page load", cause, count: 3 }]);
    });

    test("a handler that makes accesses of its own changes nothing", () => {
      const heap = new Heap({ uninitialised: "page", memoryBytes: 64 * MIB, seed: 1 });
      const other = heap.malloc(300_000);
      let calls = 0;
      heap.checker.onFinding = () => {
        heap.memory.read(other + 4096 * calls++, 9000);
      };
      const p = heap.malloc(300_000);
      if (isFreed) heap.free(p);
      heap.memory.read(p, 40_000);
      expect(heap.checker.findings.map(({ count }) => count)).toEqual([1]);
      expect(calls).toBe(1);
    });
  });

  test("at level page a copy of a block that was freed is one finding, and a loop over its pages one for each load", () => {
    const heap = new Heap({ uninitialised: "page", memoryBytes: 64 * MIB, seed: 1 });
    const p = heap.malloc(300_000);
    const target = heap.calloc(1, MIB);
    heap.free(p);
    heap.memory.copy(target, p, 100_000);
    for (let at = 150_000; at < 150_000 + 10 * 4096; at += 4096) heap.memory.getUint8(p + at);
    expect(heap.checker.findings.map(({ count }) => count)).toEqual([1, 10]);
  });

  test("undefined bytes that came by copy name the block that they are from, through any number of copies", () => {
    const heap = createHeap();
    const from = heap.malloc(40);
    heap.memory.setUint32(from, 1);
    const [a, b] = [heap.calloc(1, 100), heap.calloc(1, 9000)];
    heap.memory.copy(a + 8, from, 40);
    heap.memory.copy(b + 4000, a, 100);
    heap.memory.getUint8(b + 4012);
    const [finding] = heap.checker.findings;
    expect([finding!.block?.pointer, finding!.origin?.pointer, finding!.origin?.size]).toEqual([b, from, 40]);
    expect(heap.checker.toText()).toContain("the undefined bytes were copied from block B of 40 bytes, from malloc");
    heap.checker.clear();
    heap.memory.getUint8(from + 20);
    heap.checker.makeUndefined(b + 4012, 1);
    heap.memory.getUint8(b + 4012);
    heap.memory.getUint8(heap.realloc(a, 20_000) + 12);
    expect(heap.checker.findings.map(({ origin }) => origin?.pointer ?? null)).toEqual([null, null, from]);
  });
});

describe("where freed blocks are handed out again immediately", () => {
  const quarantine = { sizeKb: 0, threadLocalSizeKb: 0, maxChunkSize: 0 };
  const createReusing = () => new Heap({ uninitialised: "byte", seed: 1, stacks: false, quarantine });

  test("a chunk in the place of an arena's is the heap's", () => {
    const heap = createReusing();
    const p = heap.malloc(64);
    heap.checker.createMempool(p);
    heap.checker.mempoolAlloc(p, p + 16, 16);
    heap.free(p);
    expect(heap.malloc(64)).toBe(p);
    heap.memory.getUint8(p + 20);
    expect(heap.checker.findings).toMatchObject([{ block: { pointer: p, arena: null, state: "live" } }]);
  });

  test("a chunk that realloc moves to a block that was freed keeps its no-access marks and its bits", () => {
    const heap = createReusing();
    heap.free(heap.malloc(1000));
    const p = heap.malloc(100);
    heap.memory.fill(p, 1, 50);
    heap.checker.makeNoAccess(p + 8, 8);
    const q = heap.realloc(p, 1000);
    heap.memory.getUint8(q + 49);
    heap.memory.getUint8(q + 50);
    heap.memory.getUint8(q + 9);
    heap.memory.getUint8(p);
    expect(heap.checker.findings).toMatchObject([
      { kind: "uninitialised", offset: 50, block: { pointer: q } },
      { cause: "no-access", offset: 9, block: { pointer: q } },
      { cause: "use-after-free", block: { pointer: p } },
    ]);
  });
});
