// Tests that run at the same time: a matcher judges its own test's heap, whichever `expect` it comes from.
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";
import { expect, Heap, test, unwatchHeap, watchHeap } from "../../../allocator/vitest/index.ts";

function readHeader(heap: Heap): number {
  const p = heap.malloc(16);
  const length = heap.memory.getUint32(p + 4);
  heap.free(p);
  return length;
}

async function wait(): Promise<void> {
  for (let i = 0; i < 4; i++) await sleep(5);
}

/** What an assertion that must fail says. */
async function failureOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return (error as Error).message;
  }
  return "it passed";
}

describe.concurrent("tests that wait for each other", () => {
  test("one reads unwritten bytes, after a while", async ({ heap }) => {
    await expect(async () => {
      await wait();
      readHeader(heap);
      await wait();
    }).toReadUninitialised({ functionName: "readHeader" });
  });

  test("another does nothing wrong meanwhile", async ({ heap }) => {
    await expect(async () => {
      await wait();
      heap.free(heap.calloc(1, 16));
      await wait();
    }).not.toReadUninitialised();
  });

  test("a third leaks", async ({ heap }) => {
    let p = 0;
    await expect(async () => {
      await wait();
      p = heap.malloc(24);
    }).toLeak({ blocks: 1, bytes: 24 });
    heap.free(p);
  });

  test("a fourth expects a leak in vain", async ({ heap }) => {
    expect(await failureOf(() => expect(async () => wait()).toLeak())).toContain("but nothing leaked");
    await expect(async () => heap.free(heap.malloc(100_000))).toTouchAtMost(3 * 4096);
  });

  test("two matchers of one test, each with its own findings", async ({ heap }) => {
    const q = heap.calloc(1, 8);
    await Promise.all([
      expect(async () => {
        await wait();
        heap.memory.getUint8(q + 8);
      }).toAccessOutOfBounds(),
      expect(async () => {
        await wait();
        readHeader(heap);
      }).toReadUninitialised(),
      expect(wait).not.toReadUninitialised(),
    ]);
    heap.free(q);
  });

  test("a heap that a test watches is its own", async ({ heap }) => {
    const own = new Heap({ uninitialised: "byte", memoryBytes: 32 * 2 ** 20 });
    watchHeap(own);
    await expect(async () => {
      await wait();
      readHeader(own);
    }).toReadUninitialised();
    unwatchHeap(own);
    heap.free(heap.malloc(1));
  });
});

test("a test with the context's own expect", async ({ heap, expect: own }) => {
  await own(async () => {
    await wait();
    readHeader(heap);
  }).toReadUninitialised();
});

describe("a hook around the test", () => {
  let freedAfter = 0;
  test.aroundEach(async (runTest, { heap }) => {
    const table = heap.malloc(64);
    await runTest();
    heap.free(table);
    freedAfter++;
  });

  test("may free after it", ({ heap }) => {
    heap.free(heap.malloc(8));
  });

  test("and the next test has a heap of its own", ({ heap }) => {
    expect(freedAfter).toBe(1);
    expect(heap.checker.liveBlocks().size).toBe(1);
  });
});

describe("a heap that a hook asked for first", () => {
  let table = 0;
  test.beforeEach(({ heap }) => {
    table = heap.malloc(8);
  });
  test.afterEach(({ heap }) => {
    heap.free(table);
  });

  test("is the test's", ({ heap }) => {
    expect(() => heap.memory.getUint8(table)).toReadUninitialised({ blockSize: 8 });
  });

  test("also when the test does not name it", () => {
    expect(() => {}).not.toLeak();
  });
});
