// Options that change what a heap does in ways that no other test is about: each has its effect, and only where it should.
import { describe, expect, test } from "vitest";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import { Heap } from "../../../allocator/heap/heap.ts";
import { createKernel } from "../../../refpage/index.ts";

const MIB = 2 ** 20;

describe("exactUsableSize: false", () => {
  test("makes the usable size all the room in the block", () => {
    const heap = new Heap({ exactUsableSize: false });
    expect(heap.malloc_usable_size(heap.malloc(100))).toBe(112);
    expect(heap.malloc_usable_size(heap.malloc(131_057))).toBe(131_072);
  });
});

describe("largeRealloc", () => {
  test.each(["mremap", "copy"] as const)("%s keeps the contents of a large chunk that moves", (largeRealloc) => {
    const heap = new Heap({ largeRealloc });
    const pointer = heap.malloc(MIB);
    heap.memory.setUint32(pointer + 500_000, 7);
    const moved = heap.realloc(pointer, 2 * MIB);
    expect(heap.memory.getUint32(moved + 500_000)).toBe(7);
    expect(heap.kernel.counters.systemCalls.get("mremap") ?? 0).toBe(largeRealloc === "mremap" ? 1 : 0);
  });
});

describe("commitFailure", () => {
  /** A heap on a machine that promises no more memory than it has: address space can be reserved, and not committed. */
  function createPoorHeap(commitFailure: "null" | "fatal"): Heap {
    const kernel = createKernel({ memoryBytes: 64 * MIB }, { overcommit: 2 });
    return new Heap({ kernel, commitFailure });
  }

  test("null: malloc answers 0 and the reservation is undone", () => {
    const heap = createPoorHeap("null");
    heap.malloc(1);
    const before = heap.process.procfs("maps");
    expect(heap.malloc(128 * MIB)).toBe(0);
    expect(heap.errno).toBe(12);
    expect(heap.process.procfs("maps")).toBe(before);
  });

  test("fatal: it is Scudo's report, and the heap goes on", () => {
    const heap = createPoorHeap("fatal");
    expect(() => heap.malloc(128 * MIB)).toThrow("internal map failure (error desc=Cannot allocate memory)");
    expect(heap.malloc(MIB)).not.toBe(0);
    heap.checkInvariants();
  });
});

describe("kernel and process", () => {
  test("two heaps in one process live side by side", () => {
    const process = createKernel({ memoryBytes: 64 * MIB }).createProcess();
    const first = new Heap({ process });
    const second = new Heap({ process, fill: "pattern" });
    const a = first.malloc(100);
    const b = second.malloc(100);
    first.memory.fill(a, 1, 100);
    expect(second.memory.getUint8(b)).toBe(0xab);
    expect(() => second.free(a)).toThrow(HeapError);
    first.free(a);
    second.free(b);
    first.checkInvariants();
    second.checkInvariants();
  });

  test("a heap on a kernel of one's own makes itself a process there", () => {
    const kernel = createKernel({ memoryBytes: 64 * MIB });
    const heap = new Heap({ kernel });
    expect(kernel.processes.get(heap.process.pid)).toBe(heap.process);
  });
});

describe("seed", () => {
  test("makes every choice repeatable, and another one other choices", () => {
    const addresses = (seed: number) => {
      const heap = new Heap({ seed });
      return Array.from({ length: 50 }, () => heap.malloc(100)).join();
    };
    expect(addresses(7)).toBe(addresses(7));
    expect(addresses(7)).not.toBe(addresses(8));
  });
});

test("checksum: bsd is another checksum of the same headers", () => {
  const [crc, bsd] = (["crc32c", "bsd"] as const).map((checksum) => {
    const heap = new Heap({ checksum, seed: 1 });
    return heap.memory.getUint16(heap.malloc(100) - 10);
  });
  expect(crc).not.toBe(bsd);
});
