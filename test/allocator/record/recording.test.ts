// Recording a heap: its calls and the first touches of each page, replayable and without a trace left on the heap.

import { beforeEach, expect, test } from "vitest";
import { Heap, type Recording } from "../../../allocator/index.ts";
import type { Memory as MachineMemory } from "../../../platform/hardware/memory.ts";
import { TAG_CHECK_SYNC } from "../../../platform/hardware/tag-check.ts";
import { eventsOf } from "../../bench/lab/traces/events-of.ts";

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
  (heap.memory as unknown as MachineMemory).tagCheckMode = TAG_CHECK_SYNC;
  recording.stop();
  expect(heap.process.memory.tagCheckMode).toBe(TAG_CHECK_SYNC);
});

test("threads are numbered as they come, with their start and their end", async () => {
  heap.malloc(1);
  const thread = heap.process.createThread();
  const q = heap.withThread(thread, () => {
    const p = heap.malloc(2);
    heap.memory.setUint8(p, 1);
    return p;
  });
  heap.endThread(thread);
  heap.free(q);
  heap.endThread(heap.process.createThread());
  expect(await recorded()).toEqual([
    "0 malloc 0 1",
    "1 thread-start",
    "1 malloc 1 2",
    "1 write 1 0 1",
    "1 thread-end",
    "0 free 1",
  ]);
});

test("posix_memalign stores its pointer into the block that it is given", async () => {
  const target = heap.malloc(8);
  heap.posix_memalign(target, 64, 100);
  expect(await recorded()).toEqual(["0 malloc 0 8", "0 write 0 0 8", "0 aligned 1 64 100"]);
});

test("a string that is read is touched with its NUL, and never beyond what was asked", async () => {
  const p = heap.string("héllo");
  heap.memory.readString(p);
  const q = heap.string("hello");
  heap.memory.readString(q, 3);
  expect((await recorded()).filter((event) => event.includes("read"))).toEqual(["0 read 0 0 7", "0 read 1 0 3"]);
});

test("text goes to the sink as lines under their head", () => {
  recording.stop();
  chunks = [];
  const text = heap.record(sink(), { format: "text" });
  const p = heap.malloc(10);
  heap.memory.setUint8(p + 3, 1);
  text.mark("d'été\n");
  expect(text.stop()).toEqual({ events: 3, ids: 1 });
  expect(Buffer.concat(chunks).toString("utf8")).toBe(
    'refheap-trace 1\n0 malloc 0 10\n0 write 0 3 1\n0 mark "d\'été\\n"\n',
  );
});

test("the sink gets what was recorded as it comes, in arrays that it may keep", async () => {
  for (let count = 0; count < 10_000; count++) heap.free(heap.malloc(count));
  expect(chunks.length).toBeGreaterThan(2);
  const events = await recorded();
  expect(events).toHaveLength(20_000);
  expect(events[19_998]).toBe("0 malloc 0 9999");
});

test("a heap is recorded once at a time, and again after that", async () => {
  expect(() => heap.record(sink())).toThrow("is being recorded already");
  recording.stop();
  expect(recording.isRecording).toBe(false);
  chunks = [];
  recording = heap.record(sink());
  heap.malloc(3);
  expect(await recorded()).toEqual(["0 malloc 0 3"]);
});

test("blocks from before the recording are not in it", async () => {
  recording.stop();
  const old = heap.malloc(100);
  const older = heap.malloc(100);
  chunks = [];
  recording = heap.record(sink());
  heap.memory.setUint8(old, 1);
  heap.free(old);
  heap.realloc(older, 300);
  expect(await recorded()).toEqual([]);
});

test("memory taken while recorded still works afterwards, and is recorded no more", async () => {
  const { memory } = heap;
  const p = heap.malloc(8);
  const { events } = recording.stop();
  memory.setUint8(p, 7);
  expect(heap.memory.getUint8(p)).toBe(7);
  expect(recording.stop()).toEqual({ events, ids: 1 });
  expect(await recorded()).toEqual(["0 malloc 0 8"]);
});

test("a recording ends with its heap, or with its block", async () => {
  heap.malloc(5);
  heap[Symbol.dispose]();
  expect(recording.isRecording).toBe(false);
  expect(await recorded()).toEqual(["0 malloc 0 5"]);
  expect(() => heap.record(sink())).toThrow("disposed");
  const other = new Heap({ memoryBytes: 2 ** 26 });
  chunks = [];
  {
    using _recording = other.record(sink());
    other.malloc(6);
  }
  other.malloc(7);
  expect(await eventsOf(Buffer.concat(chunks))).toEqual(["0 malloc 0 6"]);
});

test("a sink that throws ends the recording and not the program; stop says what it threw", () => {
  recording.stop();
  let writes = 0;
  const full = heap.record({
    write() {
      if (writes++ > 0) throw new Error("no space");
    },
  });
  for (let count = 0; count < 10_000; count++) heap.free(heap.malloc(16));
  expect(full.isRecording).toBe(false);
  expect(writes).toBe(2);
  expect(Object.getOwnPropertyNames(heap)).not.toContain("malloc");
  expect(() => full.stop()).toThrow("no space");
  expect(heap.record(sink()).isRecording).toBe(true);
});

test("what cannot be recorded to is refused before anything is touched", () => {
  recording.stop();
  const own = Object.getOwnPropertyNames(heap);
  expect(() => heap.record({} as never)).toThrow(TypeError);
  expect(() => heap.record(sink(), { format: "xml" as never })).toThrow('format "xml" is not one of binary, text');
  expect(Object.getOwnPropertyNames(heap)).toEqual(own);
});

test("a fork of a recorded heap is not recorded", async () => {
  heap.malloc(1);
  const child = heap.fork();
  child.memory.setUint8(child.malloc(2), 1);
  expect(await recorded()).toEqual(["0 malloc 0 1"]);
});
