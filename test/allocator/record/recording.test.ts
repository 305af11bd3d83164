// Recording a heap: its calls and the first touches of each page, replayable and without a trace left on the heap.
import { beforeEach, expect, test } from "vitest";
import { Heap, type Recording } from "../../../allocator/index.ts";
import { TAG_CHECK_SYNC } from "../../../platform/hardware/tag-check.ts";
import { eventsOf } from "../../bench/traces/events-of.ts";

const PAGE = 4096;
let chunks: Uint8Array[] = [];
let heap: Heap;
let recording: Recording;

function sink(): { write(bytes: Uint8Array): void } {
  return { write: (bytes) => void chunks.push(bytes) };
}

beforeEach(() => {
  chunks = [];
  heap = new Heap({ memoryBytes: 2 ** 26, seed: 1 });
  recording = heap.record(sink());
});

async function recorded(): Promise<string[]> {
  recording.stop();
  return eventsOf(Buffer.concat(chunks));
}

test("every way to allocate and free is recorded once", async () => {
  const a = heap.malloc(100);
  const b = heap.calloc(3, 8);
  const c = heap.memalign(64, 200);
  const d = heap.realloc(a, 5000);
  const e = heap.realloc(0, 16);
  heap.reallocarray(e, 4, 16);
  heap.valloc(10);
  heap.pvalloc(10);
  heap.free(b);
  heap.free(0);
  heap.free(c);
  heap.realloc(d, 0);
  expect(await recorded()).toEqual([
    "0 malloc 0 100",
    "0 calloc 1 3 8",
    "0 aligned 2 64 200",
    "0 realloc 0 5000",
    "0 malloc 3 16",
    "0 realloc 3 64",
    "0 aligned 4 4096 10",
    "0 aligned 5 4096 4096",
    "0 free 1",
    "0 free 2",
    "0 free 0",
  ]);
});

test("a page's first load and first store are recorded, with their bytes; later ones are not", async () => {
  const p = heap.malloc(100);
  heap.memory.setUint32(p + 4, 1);
  heap.memory.setUint8(p + 50, 1);
  expect(heap.memory.getUint32(p + 4)).toBe(1);
  heap.memory.getBigUint64(p);
  expect(await recorded()).toEqual(["0 malloc 0 100", "0 write 0 4 4", "0 read 0 4 4"]);
});

test("bulk accesses are recorded for each page that they touch, and only inside blocks", async () => {
  const p = heap.malloc(300_000);
  const inPage = PAGE - (p % PAGE);
  heap.memory.fill(p, 1, inPage + 10);
  heap.memory.copy(p + 200_000, p, 16);
  heap.memory.writeString(p + 100_000, "héllo");
  const events = await recorded();
  expect(events.slice(0, 5)).toEqual([
    "0 malloc 0 300000",
    `0 write 0 0 ${inPage}`,
    `0 write 0 ${inPage} 10`,
    "0 read 0 0 16",
    "0 write 0 200000 16",
  ]);
  expect(events[5]).toBe("0 write 0 100000 7");
});

test("a call that fails or throws leaves nothing in the trace", async () => {
  const p = heap.malloc(16);
  expect(heap.malloc(2 ** 45)).toBe(0);
  expect(heap.realloc(p, 2 ** 45)).toBe(0);
  expect(() => heap.free(p + 16)).toThrow();
  expect(await recorded()).toEqual(["0 malloc 0 16"]);
});

test("marks stand where they were made", async () => {
  heap.malloc(1);
  recording.mark("loaded");
  heap.malloc(2);
  expect(await recorded()).toEqual(["0 malloc 0 1", '0 mark "loaded"', "0 malloc 1 2"]);
});

test("after stop the heap is as it was", async () => {
  const own = Object.getOwnPropertyNames(heap);
  expect(own).toContain("malloc");
  recording.stop();
  expect(Object.getOwnPropertyNames(heap)).not.toContain("malloc");
  heap.memory.setUint8(heap.malloc(10), 1);
  expect(await recorded()).toEqual([]);
});

test("settings made through the recorded memory reach the real one", () => {
  heap.memory.tagCheckMode = TAG_CHECK_SYNC;
  recording.stop();
  expect(heap.memory.tagCheckMode).toBe(TAG_CHECK_SYNC);
});
