// Valgrind Lackey traces: loads and stores folded into blocks by page, in order of first touch.
import { expect, test } from "vitest";
import { LACKEY_BLOCK_PAGES } from "../../../../bench/lab/traces/lackey.ts";
import { eventsOf, readAll, traceOf } from "./events-of.ts";

const BLOCK_BYTES = LACKEY_BLOCK_PAGES * 4096;

test("loads and stores become touches of pages in order of first touch", async () => {
  const trace = `==12== Lackey, an example Valgrind tool
I  04001090,3
 L 1ffeffe7e0,8
 S 04222cac,4
 M 1ffeffe7e8,8
==12== done
`;
  expect(await eventsOf(trace)).toEqual([
    `0 malloc 0 ${BLOCK_BYTES}`,
    "0 read 0 2016 8",
    "0 write 0 7340 4",
    "0 read 0 2024 8",
    "0 write 0 2024 8",
  ]);
});

test("an access across a page's end touches both pages", async () => {
  expect(await eventsOf(" S 00001ffe,4\n")).toEqual([
    `0 malloc 0 ${BLOCK_BYTES}`,
    "0 write 0 4094 2",
    "0 write 0 4096 2",
  ]);
});

test("pages beyond a block's begin the next one", async () => {
  const lines = Array.from({ length: LACKEY_BLOCK_PAGES + 1 }, (_, page) => ` L ${(page * 4096).toString(16)},1`);
  const events = await eventsOf(`${lines.join("\n")}\n`);
  expect(events.slice(-2)).toEqual([`0 malloc 1 ${BLOCK_BYTES}`, "0 read 1 0 1"]);
});

test("a line needs no blank in front, as in cachelab's traces", async () => {
  expect(await eventsOf("M 20,1\n")).toEqual([`0 malloc 0 ${BLOCK_BYTES}`, "0 read 0 32 1", "0 write 0 32 1"]);
});

test("fetches of instructions and Valgrind's own lines are counted as ignored", async () => {
  const trace = await traceOf("==1== x\n--1-- y\nI  04001090,3\nL 10,4\n");
  expect(await readAll(trace)).toEqual([`0 malloc 0 ${BLOCK_BYTES}`, "0 read 0 16 4"]);
  expect(trace.tally.ignoredLines).toBe(3);
});

test.each([" L 04001090", " X 04001090,3", " L 04001090,99999", " L zz,1", "L"])("%j is a bad line", async (line) => {
  await expect(eventsOf(`==1== x\n${line}\n`)).rejects.toThrow("a.trace:2: expected");
});
