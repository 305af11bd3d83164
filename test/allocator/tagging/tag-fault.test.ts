// Reports of tag faults: which chunk, how far off, freed or live, by whom and where (S24.5–S24.7).
import { describe, expect, test } from "vitest";
import { Heap, HeapError, type HeapOptions } from "../../../allocator/index.ts";
import { TagFaultError } from "../../../allocator/tagging/tag-fault.ts";
import { tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";

function tagged(options: HeapOptions = {}): Heap {
  return new Heap({ tagging: "sync", seed: 3, memoryBytes: 2 ** 26, ...options });
}

function faultOf(access: () => unknown): TagFaultError {
  try {
    access();
  } catch (error) {
    if (error instanceof TagFaultError) return error;
    throw error;
  }
  throw new Error("no fault");
}

describe("the cause", () => {
  test.each([0, 40, 99])("of a use after free, %i bytes into the chunk", (offset) => {
    const heap = tagged();
    const p = heap.malloc(100);
    heap.free(p);
    const { causes, access, kind, address } = faultOf(() => heap.memory.getUint8(p + offset));
    expect(causes[0]).toMatchObject({ kind: "use-after-free", pointer: withoutTag(p), size: 100, offset, freedBy: 1 });
    expect(access).toMatchObject({ address: withoutTag(p) + offset, tag: tagOf(p), action: "loading from" });
    expect([kind, address]).toEqual(["tag-fault", withoutTag(p)]);
  });

  test("of a use after free is found after the block has a new owner", () => {
    const heap = tagged();
    const p = heap.malloc(100);
    heap.free(p);
    const q = heap.malloc(90);
    expect(withoutTag(q)).toBe(withoutTag(p));
    expect(faultOf(() => heap.memory.setUint8(p, 1)).causes[0]).toMatchObject({ kind: "use-after-free", size: 100 });
  });

  test.each([16, 100, 2000])("of an overflow and an underflow of %i bytes", (size) => {
    const heap = tagged();
    const p = heap.malloc(size);
    const end = Math.ceil(size / 16) * 16;
    expect(faultOf(() => heap.memory.getUint8(p + end)).causes[0]).toMatchObject({
      kind: "overflow",
      pointer: withoutTag(p),
      size,
      offset: end,
      freedBy: null,
    });
    expect(faultOf(() => heap.memory.setUint8(p - 5, 1)).causes[0]).toMatchObject({ kind: "underflow", offset: -5 });
  });

  test("of an access to a chunk of no bytes is the chunk, by the tag that it left there", () => {
    const heap = tagged();
    const p = heap.malloc(0);
    expect(faultOf(() => heap.memory.getUint8(p)).causes[0]).toMatchObject({ kind: "overflow", size: 0, offset: 0 });
  });

  test("of a large chunk is found as well", () => {
    const heap = tagged();
    const p = heap.malloc(300_000);
    expect(faultOf(() => heap.memory.getUint8(p - 1)).causes[0]).toMatchObject({
      kind: "underflow",
      size: 300_000,
      offset: -1,
    });
    heap.free(p);
    expect(faultOf(() => heap.memory.getUint8(p + 5000)).causes[0]).toMatchObject({
      kind: "use-after-free",
      offset: 5000,
    });
  });

  test("is looked for up to 15 blocks away, and otherwise unknown", () => {
    const heap = tagged();
    const chunks = Array.from({ length: 60 }, () => heap.malloc(100));
    const inOrder = chunks.toSorted((a, b) => withoutTag(a) - withoutTag(b));
    const [from, to] = [inOrder[20], inOrder[26]];
    const wrong = withTag(to, tagOf(from) === tagOf(to) ? (tagOf(to) % 15) + 1 : tagOf(from));
    const { causes } = faultOf(() => heap.memory.getUint8(wrong));
    for (const { kind, pointer } of causes) {
      expect(tagOf(inOrder.find((chunk) => withoutTag(chunk) === pointer)!)).toBe(tagOf(wrong));
      expect(kind).toBe(pointer < withoutTag(to) ? "overflow" : "underflow");
    }
    expect(causes.length).toBeLessThanOrEqual(3);
    expect(faultOf(() => heap.memory.getUint8(withoutTag(to))).report).toContain("Cause: [MTE]: unknown");
  });

  test("is each chunk with the pointer's tag, the nearest first, at most three of them", () => {
    const heap = tagged();
    const tags = new Map(Array.from({ length: 60 }, () => heap.malloc(100)).map((p) => [withoutTag(p), tagOf(p)]));
    let most = 0;
    for (const [to, own] of tags) {
      for (let tag = 1; tag < 16; tag++) {
        if (tag === own) continue;
        const expected: number[] = [];
        // Blocks of 128 bytes: the class of 100 and a header.
        for (let distance = 128; distance <= 15 * 128; distance += 128)
          for (const pointer of [to - distance, to + distance]) if (tags.get(pointer) === tag) expected.push(pointer);
        const { causes } = faultOf(() => heap.memory.getUint8(withTag(to, tag)));
        expect(causes.map(({ pointer }) => pointer)).toEqual(expected.slice(0, 3));
        most = Math.max(most, causes.length);
      }
    }
    expect(most).toBe(3);
  });

  test("is nothing for a pointer without a tag, though a large chunk has none either", () => {
    const heap = tagged({ memoryBytes: undefined, kernel: new Kernel({ memoryBytes: 2 ** 26 }), write: () => {} });
    expect(tagOf(heap.malloc(300_000))).toBe(0);
    const p = heap.malloc(100);
    expect(faultOf(() => heap.memory.getUint8(withoutTag(p))).causes).toEqual([]);
  });

  test("survives a heap whose words the program has overwritten", () => {
    const heap = tagged();
    const chunks = Array.from({ length: 40 }, () => heap.malloc(64));
    heap.process.memory.tco = true;
    for (const p of chunks) heap.memory.fill(withoutTag(p) - 16, 0x41, 16);
    for (const p of chunks.slice(20)) {
      heap.memory.setUint32(withoutTag(p) - 16, 0x44554353);
      heap.memory.setUint32(withoutTag(p) - 12, 0x7fff_fff0);
    }
    heap.process.memory.tco = false;
    for (const p of chunks) expect(faultOf(() => heap.memory.getUint8(p - 1))).toBeInstanceOf(HeapError);
  });
});

describe("the text", () => {
  test("says tags, distance, thread and place, and where the chunk came from", () => {
    const heap = tagged({ stacks: true });
    const p = heap.malloc(32);
    heap.free(p);
    const { report, chunkStacks } = faultOf(() => heap.memory.getUint8(p + 4));
    const [mismatch, cause, thread, place] = report.split("\n");
    expect(mismatch).toMatch(
      /^Scudo ERROR: tag mismatch when loading from address 0x[0-9a-f]+ \(pointer tag \d+, memory tag \d+\)$/,
    );
    expect(cause).toMatch(/^Cause: \[MTE\]: Use After Free, 4 bytes into a 32-byte allocation at 0x[0-9a-f]+$/);
    expect(thread).toBe("deallocated by thread 1");
    expect(place).toMatch(/is byte 4 of a freed chunk of 32 bytes/);
    expect(chunkStacks?.allocation).toContain("tag-fault.test.ts");
    expect(chunkStacks?.free).toContain("tag-fault.test.ts");
  });

  test("names the thread that freed", () => {
    const heap = tagged();
    const thread = heap.process.createThread();
    const p = heap.malloc(32);
    heap.withThread(thread, () => heap.free(p));
    expect(faultOf(() => heap.memory.getUint8(p)).report).toContain(`deallocated by thread ${thread.tid}`);
  });

  test("of an asynchronous report knows no address", () => {
    const heap = tagged({ tagging: "async" });
    heap.memory.setUint8(heap.malloc(1) + 16, 1);
    const fault = faultOf(() => heap.process.prctl(56));
    expect(fault.code).toBe("SEGV_MTEAERR");
    expect(fault.report).toContain('use tagging "sync" to learn where');
    expect(fault.report).not.toMatch(/0x0+\b/);
    expect(fault.causes).toEqual([]);
  });

  test("of an asynchronous report is for the thread that made the mistake, when the heap next looks", () => {
    const heap = tagged({ tagging: "async" });
    const thread = heap.process.createThread();
    const p = heap.malloc(32);
    heap.withThread(thread, () => {
      const pointers = Array.from({ length: 40 }, () => heap.malloc(16));
      thread.memory.setUint8(withTag(p, (tagOf(p) % 15) + 1), 1);
      // These need nothing of the kernel, which would report it by itself; the heap does when a cache is full.
      const free = () => {
        for (const each of pointers) heap.free(each);
      };
      expect(faultOf(free).code).toBe("SEGV_MTEAERR");
    });
    heap.free(p);
  });

  test("reaches onReport first", () => {
    const told: string[] = [];
    const heap = tagged({ onReport: (error) => told.push(error.kind) });
    faultOf(() => heap.memory.getUint8(heap.malloc(1) - 1));
    expect(told).toEqual(["tag-fault"]);
  });
});
