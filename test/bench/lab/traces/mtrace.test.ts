// glibc mtrace traces: signs, callers of any shape, reallocs in two lines, and a real trace with its real damage.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { eventsOf, readAll, traceOf } from "./events-of.ts";

const fixture = (name: string): Uint8Array => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

test("allocations and frees are read with and without a caller, sizes in hexadecimal", async () => {
  const trace = `= Start
@ ./a.out:(main+0x1c)[0x401136] + 0x1000 0x20
+ 0x2000 0
@ lib with space.so - 0x1000
- 0x2000
= End
`;
  expect(await eventsOf(trace)).toEqual(["0 malloc 0 32", "0 malloc 1 0", "0 free 0", "0 free 1"]);
});

test("a realloc's two lines make one event, also with another call between them", async () => {
  const trace = `= Start
@ a + 0x10 0x8
@ b < 0x10
@ c + 0x30 0x1
@ b > 0x20 0x10
@ d - 0x20
`;
  expect(await eventsOf(trace)).toEqual(["0 malloc 0 8", "0 malloc 1 1", "0 realloc 0 16", "0 free 0"]);
});

test("two open reallocs find their ends by the caller", async () => {
  const trace = "= Start\n@ a + 0x10 1\n@ b + 0x20 2\n@ x < 0x10\n@ y < 0x20\n@ y > 0x40 4\n@ x > 0x30 3\n- 0x30\n";
  expect(await eventsOf(trace)).toEqual(["0 malloc 0 1", "0 malloc 1 2", "0 realloc 1 4", "0 realloc 0 3", "0 free 0"]);
});

test("a block that moves to the address of one that is just moving keeps both apart", async () => {
  const trace = "= Start\n@ a + 0x10 1\n@ a + 0x20 2\n@ x < 0x10\n@ y < 0x20\n@ y > 0x10 4\n@ x > 0x20 3\n- 0x10\n";
  expect((await eventsOf(trace)).slice(-3)).toEqual(["0 realloc 1 4", "0 realloc 0 3", "0 free 1"]);
});

test("a realloc whose end is missing frees the old block at the end of the trace", async () => {
  expect(await eventsOf("= Start\n@ a + 0x10 1\n@ a < 0x10\n")).toEqual(["0 malloc 0 1", "0 free 0"]);
});

test("a failed realloc leaves its block as it is", async () => {
  const trace = await traceOf("= Start\n@ a + 0x10 1\n@ a ! 0x10 0xffffffffff\n@ a - 0x10\n");
  expect(await readAll(trace)).toEqual(["0 malloc 0 1", "0 free 0"]);
  expect(trace.tally.failedCalls).toBe(1);
});

test("a failed malloc, which C prints as (nil), is counted", async () => {
  const trace = await traceOf("= Start\n@ a + (nil) 0xffff\n");
  expect(await readAll(trace)).toEqual([]);
  expect(trace.tally.failedCalls).toBe(1);
});

test("frees of blocks from before the start are counted", async () => {
  const trace = await traceOf("= Start\n- 0x10\n@ a < 0x20\n@ a > 0x30 8\n");
  expect(await readAll(trace)).toEqual(["0 malloc 0 8"]);
  expect(trace.tally.unknownBlocks).toBe(2);
});

test("a real trace stops at its damaged line, and says which it is", async () => {
  await expect(eventsOf(fixture("sort-lines.mtrace"))).rejects.toThrow(
    'a.trace:402: expected "= Start", "= End" or "@ CALLER" and "+ PTR SIZE", "- PTR", "< PTR", "> PTR SIZE" or "! PTR SIZE", found "0x17a4f5] - 0x5560ebbacf00"',
  );
});

test("a real trace is read whole when bad lines are passed over", async () => {
  const trace = await traceOf(fixture("perl-words-head.mtrace.gz"), { skipBad: true });
  const events = await readAll(trace);
  expect(trace.format).toBe("mtrace");
  expect(trace.tally).toMatchObject({ lines: 400, skipped: 1, events: events.length });
});

test.each(["@ a * 0x10 0x1", "@ a + 0x10", "@ a + 10 0xg", "@ a", "@x + 0x10 0x1", "= Strat", "@ a - 0x1 0x2 0x3"])(
  "%j is a bad line",
  async (line) => {
    await expect(eventsOf(`= Start\n${line}\n`)).rejects.toThrow("a.trace:2: expected");
  },
);

test("each allocation knows its caller", async () => {
  const trace = await traceOf(
    "= Start\n@ ./a:[0x1] + 0x10 0x8\n@ ./a:(main+0x5)[0x2] < 0x10\n@ ./a:(main+0x5)[0x2] > 0x20 0x9\n",
  );
  const names: string[] = [];
  for await (const { site, count } of trace.batches) {
    for (let row = 0; row < count; row++) names.push(trace.sites.names[site[row]]);
  }
  expect(names).toEqual(["./a:[0x1]", "./a:(main+0x5)[0x2]"]);
});
