// The fixture and the matchers from inside: each matcher passes and fails as it says, with a report in its message.
import { describe } from "vitest";
import { expect, Heap, test, unwatchHeap, watchHeap } from "../../../allocator/vitest/index.ts";

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

function readHeader(heap: Heap): number {
  const p = heap.malloc(16);
  heap.memory.setUint32(p, 1);
  const length = heap.memory.getUint32(p + 4);
  heap.free(p);
  return length;
}

test("toReadUninitialised passes for a read of unwritten bytes, with what was expected of it", ({ heap }) => {
  expect(() => readHeader(heap)).toReadUninitialised();
  expect(() => readHeader(heap)).toReadUninitialised({ offset: 4, size: 4, blockSize: 16, functionName: "readHeader" });
  expect(() => heap.free(heap.malloc(8))).not.toReadUninitialised();
  const message = messageOf(() => expect(() => readHeader(heap)).toReadUninitialised({ offset: 8 }));
  expect(message).toContain("expected a read of uninitialised memory (offset 8), but found:");
  expect(message).toContain("load of 4 bytes at offset 4 of block");
  expect(messageOf(() => expect(() => readHeader(heap)).not.toReadUninitialised())).toContain(
    "memory not to happen, found:",
  );
});

test("a heap itself is what it has found; a match takes the findings off", ({ heap }) => {
  readHeader(heap);
  expect(heap).toReadUninitialised({ offset: 4 });
  expect(heap).not.toReadUninitialised();
});

test("functions that wait are awaited", async ({ heap }) => {
  await expect(async () => {
    await Promise.resolve();
    readHeader(heap);
  }).toReadUninitialised();
});

test("an error of the function's own goes on, also where something was found", ({ heap }) => {
  const failing = () => {
    throw new Error("its own");
  };
  expect(messageOf(() => expect(failing).toReadUninitialised())).toBe("its own");
  expect(messageOf(() => expect(failing).toCorruptHeap())).toBe("its own");
  const readsAndFails = () => {
    readHeader(heap);
    failing();
  };
  expect(messageOf(() => expect(readsAndFails).toReadUninitialised())).toBe("its own");
  // What the matcher was to find counts as seen all the same.
  expect(heap.checker.findings).toEqual([]);
  let p = 0;
  const leaksAndFails = () => {
    p = heap.malloc(8);
    failing();
  };
  expect(messageOf(() => expect(leaksAndFails).toLeak())).toBe("its own");
  heap.free(p);
});

test("a report of the heap and a fault are explained by what was found", ({ heap }) => {
  const p = heap.malloc(2 ** 20);
  heap.free(p);
  expect(() => heap.memory.setUint8(p, 1)).toUseAfterFree();
  expect(() => heap.free(p)).toCorruptHeap();
});

test("toUseAfterFree and toAccessOutOfBounds", ({ heap }) => {
  const p = heap.calloc(1, 24);
  heap.free(p);
  expect(() => heap.memory.getUint8(p + 3)).toUseAfterFree({ offset: 3, operation: "load" });
  expect(() => heap.memory.setUint8(p, 1)).toUseAfterFree({ operation: "store" });
  expect(() => heap.free(heap.calloc(1, 24))).not.toUseAfterFree();
  expect(messageOf(() => expect(() => heap.memory.getUint8(p)).not.toUseAfterFree())).toContain(
    "not to happen, found:",
  );
  const q = heap.calloc(1, 24);
  expect(() => heap.memory.setUint8(q + 24, 1)).toAccessOutOfBounds({ offset: 24 });
  expect(() => heap.memory.setUint8(q + 23, 1)).not.toAccessOutOfBounds();
  heap.free(q);
});

test("toLeak counts what the function leaves behind", ({ heap }) => {
  const kept: number[] = [];
  const leak = () => {
    kept.push(heap.malloc(100), heap.malloc(50));
  };
  expect(leak).toLeak({ blocks: 2, bytes: 150 });
  expect(() => heap.free(heap.malloc(100))).not.toLeak();
  expect(messageOf(() => expect(leak).toLeak({ blocks: 3 }))).toContain("expected 3 blocks, some bytes lost, but");
  for (const p of kept.splice(2)) heap.free(p);
  expect(heap).toLeak({ blocks: 2 });
  expect(heap).not.toLeak({ roots: kept });
  for (const p of kept) heap.free(p);
});

test("toCorruptHeap passes for a double free and for a damaged header", ({ heap }) => {
  const p = heap.malloc(16);
  heap.free(p);
  expect(() => heap.free(p)).toCorruptHeap();
  expect(() => heap.free(heap.malloc(16))).not.toCorruptHeap();
});

test("toTouchAtMost and toHaveRss", ({ heap }) => {
  heap.free(heap.malloc(2 ** 20));
  let p = 0;
  expect(() => {
    p = heap.malloc(64 * 2 ** 20);
  }).toTouchAtMost(8192);
  expect(() => heap.memory.fill(p, 1, 2 ** 20)).not.toTouchAtMost(2 ** 19);
  expect(heap).toHaveRssAtLeast(2 ** 20);
  expect(heap).toHaveRssAtMost(4 * 2 ** 20);
  expect(heap).toHaveRss(heap.process.rssBytes);
  expect(heap).not.toHaveRss(heap.process.rssBytes - 4096);
  expect(heap).not.toHaveRssAtLeast(heap.process.rssBytes + 1);
  expect(heap).not.toHaveRssAtMost(heap.process.rssBytes - 1);
  expect(messageOf(() => expect(heap).toHaveRssAtMost(1))).toMatch(
    /^expected RSS of at most 1 byte, but it is \d+ bytes$/,
  );
  heap.free(p);
});

describe("heaps of the test's own", () => {
  test("are looked at when they are watched", () => {
    const own = new Heap({ uninitialised: "page" });
    expect(() => expect(() => own.malloc(1)).not.toLeak()).toThrow("no heap is watched");
    watchHeap(own);
    expect(() => own.memory.getUint8(own.malloc(2 ** 20) + 100_000)).toReadUninitialised({ operation: "page load" });
    unwatchHeap(own);
  });
});

describe("options", () => {
  const tagged = test.extend({ heapOptions: { tagging: "sync", fill: "zero" } });
  tagged("reach the heap", ({ heap }) => {
    expect(heap.tagging).toBe("sync");
    expect(heap.options.uninitialised).toBe("off");
  });
  const loose = test.extend({ heapOptions: { leaks: "ignore" } });
  loose("leaks may be let pass", ({ heap }) => {
    heap.malloc(10);
  });
});

test("reports make stable inline snapshots", ({ heap }) => {
  readHeader(heap);
  expect(heap.checker.toText({ stable: true })).toMatchInlineSnapshot(`
    "Use of uninitialised memory: load of 4 bytes at offset 4 of block A of 16 bytes
        at readHeader (matchers.test.ts)
        at matchers.test.ts
      block A: from malloc
        at readHeader (matchers.test.ts)
        at matchers.test.ts

    1 error"
  `);
  heap.checker.clear();
});

describe("what a matcher is not about stays", () => {
  test("findings of other kinds, and of the kind that are not as expected", ({ heap }) => {
    const kinds = () => heap.checker.findings.map(({ kind, cause, count }) => `${cause ?? kind} ${count}`);
    const p = heap.calloc(1, 16);
    heap.free(p);
    const load = () => heap.memory.getUint8(p);
    expect(load).not.toReadUninitialised();
    expect(load).not.toAccessOutOfBounds();
    expect(load).toTouchAtMost(0);
    expect(load).not.toLeak();
    expect(load).not.toCorruptHeap();
    expect(kinds()).toEqual(Array(5).fill("use-after-free 1"));
    expect(load).toUseAfterFree();
    expect(kinds()).toEqual(Array(5).fill("use-after-free 1"));
    heap.checker.clear();
    const q = heap.malloc(16);
    const both = () => [heap.memory.getUint8(q), heap.memory.getUint16(q + 2)];
    expect(both).toReadUninitialised({ offset: 2 });
    expect(heap.checker.findings.map(({ offset }) => offset)).toEqual([0]);
    expect(both).not.toReadUninitialised({ offset: 5 });
    expect(heap.checker.findings.map(({ offset }) => offset)).toEqual([0, 0, 2]);
    expect(heap).toReadUninitialised();
    expect(heap.checker.findings).toEqual([]);
    heap.free(q);
  });

  test("a misuse that the function catches itself is seen by toCorruptHeap alone", ({ heap }) => {
    const p = heap.malloc(16);
    heap.free(p);
    const twice = () => {
      try {
        heap.free(p);
      } catch {}
    };
    expect(twice).not.toUseAfterFree();
    expect(heap.checker.findings).toMatchObject([{ kind: "invalid-free", cause: "double-free" }]);
    heap.checker.clear();
    expect(twice).toCorruptHeap();
    expect(heap.checker.findings).toEqual([]);
  });

  test("matchers inside matchers", ({ heap }) => {
    const p = heap.malloc(8);
    expect(() => {
      expect(() => heap.memory.getUint8(p)).toReadUninitialised();
    }).not.toReadUninitialised();
    heap.free(p);
  });
});

test("toLeak counts the function's own blocks, not those lost at the same line before", ({ heap }) => {
  const kept: number[] = [];
  const lose = () => void kept.push(heap.malloc(10));
  for (let i = 0; i < 3; i++) expect(lose).toLeak({ blocks: 1, bytes: 10 });
  for (const p of kept) heap.free(p);
});

describe("a heap that tracks nothing", () => {
  const untracked = test.extend({ heapOptions: { uninitialised: "off", leaks: "ignore" } });
  untracked.for(["toReadUninitialised", "toUseAfterFree", "toAccessOutOfBounds"] as const)(
    "is no proof of anything: %s, negated or not",
    (matcher, { heap }) => {
      const work = () => heap.memory.getUint8(heap.malloc(8));
      expect(messageOf(() => expect(work).not[matcher]())).toContain(`${matcher}: the heap tracks nothing`);
      expect(messageOf(() => expect(work)[matcher]())).toContain("tracks nothing");
      expect(messageOf(() => expect(heap).not[matcher]())).toContain("tracks nothing");
      expect(() => heap.free(heap.malloc(8))).not.toLeak();
    },
  );
});

describe("a machine serves one test after another", () => {
  const seen: { ram: ArrayBufferLike; pid: number }[] = [];
  test.for([1, 2, 3])("test %i finds it as new", (round, { heap }) => {
    const { machine, counters, frames } = heap.kernel;
    seen.push({ ram: machine.ram.banks[0]!.buffer, pid: heap.process.pid });
    expect(heap.process.pid).toBe(1);
    expect(heap.process.rssBytes).toBe(0);
    expect(counters.snapshot()).toMatchObject({ minorFaults: 0, framesAllocated: 0, segmentationFaults: 0 });
    expect(Object.values(counters.snapshot().systemCalls).reduce((sum, count) => sum + count, 0)).toBeLessThan(10);
    expect(frames.freeFrames).toBe(machine.frameCount - 1);
    for (const bytes of [
      machine.ram.banks[0]!,
      machine.ram.tags,
      machine.ram.undefinedBits,
      machine.ram.mayBeUndefined,
    ])
      expect(bytes.subarray(0, 2 ** 20).findIndex((byte) => byte !== 0)).toBe(-1);
    // What the next one must not see.
    const p = heap.malloc(500_000);
    heap.memory.fill(p, round, 500_000);
    const tagged = heap.process.mmap(0, 4096, 0x23, 0x22);
    heap.memory.setUint8(tagged, 1);
    heap.process.memfd_create("left open");
    heap.fork();
    heap.kernel.createProcess();
    heap.free(p);
    heap.kernel.checkInvariants();
    expect(new Set(seen.map(({ ram }) => ram)).size).toBe(1);
  });
});
