// heap.explain: every place that an address can lie in, in words and as data.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";

const PAGE = 4096;

function createHeap(): Heap {
  return new Heap({ seed: 1 });
}

describe("a small chunk is explained", () => {
  test("at its bytes, with its size and origin", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    const explained = heap.explain(pointer + 12);
    expect(explained).toMatchObject({
      place: "chunk",
      offset: 12,
      chunk: { pointer, size: 100, state: "allocated", origin: "malloc" },
      block: { begin: pointer - 16, size: 128, classId: 4 },
    });
    expect(explained.sentence).toMatch(
      /^0x[0-9a-f]{12} is byte 12 of a live chunk of 100 bytes at 0x[0-9a-f]{12}, from malloc$/,
    );
  });

  test("in front of it and behind it", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    expect(heap.explain(pointer - 1)).toMatchObject({ place: "before-chunk", offset: -1 });
    expect(heap.explain(pointer - 1).sentence).toContain("in the header of a live chunk");
    expect(heap.explain(pointer + 100).sentence).toContain("right behind the end of a live chunk");
    expect(heap.explain(pointer + 103)).toMatchObject({ place: "after-chunk", offset: 103 });
    expect(heap.explain(pointer + 103).sentence).toContain("3 bytes past the end");
  });

  test("when it is aligned, by the marker at the block's begin", () => {
    const heap = createHeap();
    const pointer = heap.memalign(256, 10);
    expect(heap.explain(pointer)).toMatchObject({ place: "chunk", offset: 0, chunk: { pointer, origin: "memalign" } });
    expect(heap.explain(pointer - 40).sentence).toContain("40 bytes in front of");
  });

  test("when it is freed, and when it is in quarantine", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    heap.free(pointer);
    expect(heap.explain(pointer)).toMatchObject({ chunk: { state: "available", size: 100, origin: null } });
    const patient = new Heap({ quarantine: { sizeKb: 64, threadLocalSizeKb: 64, maxChunkSize: 1000 } });
    const quarantined = patient.malloc(100);
    patient.free(quarantined);
    expect(patient.explain(quarantined).sentence).toMatch(/a freed chunk of 100 bytes at 0x[0-9a-f]+, in quarantine$/);
  });

  test("by new and new[]", () => {
    const heap = createHeap();
    expect(heap.explain(heap.operatorNew(5)).chunk?.origin).toBe("new");
    expect(heap.explain(heap.operatorNew(5, { array: true })).chunk?.origin).toBe("new[]");
  });

  test("with where it was allocated and freed, when stacks are kept", () => {
    const heap = new Heap({ stacks: true });
    const pointer = heap.malloc(10);
    heap.free(pointer);
    const { stacks } = heap.explain(pointer);
    expect(stacks?.allocation).toContain("explain.test.ts");
    expect(stacks?.free).toContain("explain.test.ts");
  });
});

describe("a large chunk is explained", () => {
  test("at its bytes and in its guard pages", () => {
    const heap = createHeap();
    const size = 200_000;
    const pointer = heap.malloc(size);
    expect(heap.explain(pointer + size - 1)).toMatchObject({ place: "chunk", offset: size - 1, block: { classId: 0 } });
    const behind = Math.ceil((pointer + size) / PAGE) * PAGE;
    expect(heap.explain(behind).sentence).toContain("in the guard page behind a live chunk of 200000 bytes");
    expect(heap.explain(pointer - PAGE).sentence).toContain("in the guard page in front of a live chunk");
  });

  test("as a mapping kept for reuse once it is freed", () => {
    const heap = createHeap();
    const pointer = heap.malloc(200_000);
    heap.free(pointer);
    expect(heap.explain(pointer)).toMatchObject({ place: "cached-mapping", chunk: null });
  });
});

describe("other places are explained", () => {
  test("blocks that were never given out, records, and what is reserved", () => {
    const heap = createHeap();
    const pointer = heap.malloc(1000);
    const classes = heap.stats().primary.classes;
    const ours = classes.find((one) => one.blockSize === 1024)!;
    const untouched = Array.from({ length: ours.totalBlocks }, (_, index) => ours.usableBegin + index * 1024);
    const fresh = untouched.find((block) => block !== pointer - 16)!;
    expect(heap.explain(fresh + 20)).toMatchObject({ place: "free-block", chunk: null });
    expect(heap.explain(classes[0]!.usableBegin).place).toBe("batch");
    expect(heap.explain(ours.usableBegin + ours.totalBlocks * 1024).place).toBe("uncarved");
    expect(heap.explain(ours.usableBegin + ours.mappedBytes).place).toBe("reserved");
  });

  test("memory of somebody else, and addresses with a tag", () => {
    const heap = createHeap();
    expect(heap.explain(0)).toMatchObject({ place: "outside", chunk: null, block: null });
    const pointer = heap.malloc(10);
    expect(heap.explain(pointer + 5 * 2 ** 48)).toMatchObject({ place: "chunk", address: pointer });
  });

  test.each([Number.NaN, -1, 1.5, 2 ** 52])("%d is no address", (address) => {
    expect(() => createHeap().explain(address)).toThrow(RangeError);
  });

  test("a damaged header is a block without a chunk, not a report", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    heap.memory.setUint8(pointer - 16, 0xff);
    expect(heap.explain(pointer).place).toBe("free-block");
  });
});
