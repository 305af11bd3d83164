// heaptrack's data: interpreted, as its .zst files have it, and raw; call sites are the frames that asked an allocator.
import { expect, test } from "vitest";
import { eventsOf, readAll, traceOf } from "./events-of.ts";

/** Written by heaptrack 1.4 for a small C++ program, shortened. */
const INTERPRETED = `v 10400 3
X ./b
I 1000 5e2919
s 6 /tmp/b
s 16 /lib/libstdc++.so.6
s 4 main
s 6 main.c
s 1b operator new(unsigned long)
i 563a057061ca 1 3 4 d
t 1 0
i 7f63e1ca958b 2 5
t 2 1
a 4 2
+ 0
a 1000 2
+ 1
+ 1
- 1
c 6
- 0
R 3b9
# strings: 5
`;

test("allocations and frees of an interpreted file become events; sizes are hexadecimal", async () => {
  expect(await eventsOf(INTERPRETED)).toEqual([
    "0 malloc 0 4",
    "0 malloc 1 4096",
    "0 malloc 2 4096",
    "0 free 2",
    "0 free 0",
  ]);
});

test("the call site is the innermost frame that is no allocation function", async () => {
  const trace = await traceOf(INTERPRETED);
  const names = new Set<string>();
  for await (const { kind, site, count } of trace.batches) {
    for (let row = 0; row < count; row++) if (kind[row] === 0) names.add(trace.sites.names[site[row]]);
  }
  expect([...names]).toEqual(["main (main.c:13)"]);
});

test("a raw file names addresses", async () => {
  const raw = `v 10400 3
x 6 /tmp/b
m 6 /tmp/b 1000
t 563a057061ca 0
+ 10 1 55d0c0
+ 20 1 55d0d0
- 55d0c0
- 99
`;
  const trace = await traceOf(raw);
  expect(await readAll(trace)).toEqual(["0 malloc 0 16", "0 malloc 1 32", "0 free 0"]);
  expect(trace.tally.unknownBlocks).toBe(1);
});

test("a free of an allocation that has no live block is counted", async () => {
  const trace = await traceOf(`${INTERPRETED}- 0\n`);
  await readAll(trace);
  expect(trace.tally.unknownBlocks).toBe(1);
});

test.each(["+ 9", "+ zz", "- 9", "a 4 9", "t 1 9", "i x 1", "q 1"])("%j is a bad line", async (line) => {
  await expect(eventsOf(`${INTERPRETED}${line}\n`)).rejects.toThrow("a.trace:23: expected");
});

test("a file of a newer version is refused", async () => {
  await expect(eventsOf("v 20000 9\n+ 0\n")).rejects.toThrow("a.trace:1: expected heaptrack's file version 0 to 3");
});
