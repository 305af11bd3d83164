// Android memory_replay traces: each call, names of blocks, and what real traces get wrong.
import { expect, test } from "vitest";
import { eventsOf, readAll, traceOf } from "./events-of.ts";

test("each call becomes an event of its thread, blocks named by dense ids", async () => {
  const trace = `7: malloc 0xb400007a1c0010 100
7: calloc 0xb400007a1c0020 3 20
8: memalign 0xb400007a1c0040 64 1000
7: realloc 0xb400007a1c0080 0xb400007a1c0010 200
8: free 0xb400007a1c0020
8: thread_done 0x0
`;
  expect(await eventsOf(trace)).toEqual([
    "7 malloc 0 100",
    "7 calloc 1 3 20",
    "8 aligned 2 64 1000",
    "7 realloc 0 200",
    "8 free 1",
    "8 thread-end",
  ]);
});

test("pointers that differ only above bit 53 name different blocks", async () => {
  expect(await eventsOf("1: malloc 0xb400000000000010 1\n1: malloc 0xb500000000000010 2\n")).toEqual([
    "1 malloc 0 1",
    "1 malloc 1 2",
  ]);
});

test("a realloc from null is a malloc, and one to size 0 that gives null a free", async () => {
  expect(await eventsOf("1: realloc 0x10 0x0 30\n1: realloc 0x0 0x10 0\n")).toEqual(["1 malloc 0 30", "1 free 0"]);
});

test("failed calls, frees of null and of unknown blocks are counted, not replayed", async () => {
  const trace = await traceOf("1: malloc 0x0 5\n1: free 0x0\n1: free 0x99\n1: realloc 0x0 0x99 10\n");
  expect(await readAll(trace)).toEqual([]);
  expect(trace.tally).toMatchObject({ failedCalls: 2, ignoredLines: 1, unknownBlocks: 1 });
});

test("a block allocated where one lives frees the old one first, and counts a missing free", async () => {
  const trace = await traceOf("1: malloc 0x10 5\n1: malloc 0x10 6\n");
  expect(await readAll(trace)).toEqual(["1 malloc 0 5", "1 free 0", "1 malloc 0 6"]);
  expect(trace.tally.missingFrees).toBe(1);
});

test("a realloc in place keeps its block", async () => {
  expect(await eventsOf("1: malloc 0x10 5\n1: realloc 0x10 0x10 9\n1: free 0x10\n")).toEqual([
    "1 malloc 0 5",
    "1 realloc 0 9",
    "1 free 0",
  ]);
});

test("start and end times at the end of a line are accepted", async () => {
  expect(await eventsOf("1: malloc 0x10 5 1000 2000\r\n1: free 0x10 3000 4000\r\n")).toEqual([
    "1 malloc 0 5",
    "1 free 0",
  ]);
});

test("a thread that is done may say when", async () => {
  expect(await eventsOf("1: malloc 0x10 5 1000 2000\n1: thread_done 0x0 5000\n2: thread_done 0x0\n")).toEqual([
    "1 malloc 0 5",
    "1 thread-end",
    "2 thread-end",
  ]);
});

test("frees and reallocs may say how much was resident, −1 for unknown; times are any 64-bit numbers", async () => {
  const trace = `1: malloc 0x10 5 0 0
1: realloc 0x20 0x10 9000 1700000000000000000 1700000000000000009 4096
1: free 0x20 0 0 -1
`;
  expect(await eventsOf(trace)).toEqual(["1 malloc 0 5", "1 realloc 0 9000", "1 free 0"]);
});

test("a failed call may have asked for any size of 64 bits", async () => {
  const trace = await traceOf(
    "1: malloc 0x0 18446744073709551615\n1: malloc 0x1 5\n1: realloc 0x0 0x1 18446744073709551615\n",
  );
  expect(await readAll(trace)).toEqual(["1 malloc 0 5"]);
  expect(trace.tally.failedCalls).toBe(2);
});

test.each([
  ["1: thread_done 0x0 1 2\n", '"thread_done 0x0" or "thread_done 0x0 END_NS"'],
  ["1: free 0x10 1 2 3 4\n", '"free POINTER"'],
  ["1: malloc 0x10 5 1 2 3\n", '"malloc POINTER SIZE"'],
  ["1: malloc 0x10 18446744073709551615\n", '"malloc POINTER SIZE"'],
  ["1: malloc 0x10\n", 'a.trace:1: expected "malloc POINTER SIZE", found "1: malloc 0x10"'],
  ["1: free 0x0\n1: malloc 0xzz 10\n", 'a.trace:2: expected "malloc POINTER SIZE", found "1: malloc 0xzz 10"'],
  ["1: malloc 0x10 5 1000\n", 'a.trace:1: expected "malloc POINTER SIZE", found "1: malloc 0x10 5 1000"'],
  [
    "1: free 0x0\n1: mallocate 0x10 5\n",
    'a.trace:2: expected "TID: malloc|calloc|realloc|memalign|free|thread_done POINTER …", found "1: mallocate 0x10 5"',
  ],
])("a bad line is named with what was expected: %j", async (text, message) => {
  await expect(eventsOf(text)).rejects.toThrow(message);
});
