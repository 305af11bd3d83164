// malloclab .rep traces: head, the three operations, counts held against the head.
import { expect, test } from "vitest";
import { eventsOf, readAll, traceOf } from "./events-of.ts";

const HEAD = "20000\n2\n4\n1\n";

test("a, r and f become malloc, realloc and free", async () => {
  expect(await eventsOf(`${HEAD}a 0 512\na 1 128\nr 0 640\nf 1\n`)).toEqual([
    "0 malloc 0 512",
    "0 malloc 1 128",
    "0 realloc 0 640",
    "0 free 1",
  ]);
});

test("a head on one line is read too", async () => {
  expect(await eventsOf("0 1 1 1\na 0 8\n")).toEqual(["0 malloc 0 8"]);
});

test("`f -1` is a free of null: an operation, and no event", async () => {
  const trace = await traceOf(`${HEAD}a 0 512\nf -1\nf 0\nf -1\n`);
  expect(await readAll(trace)).toEqual(["0 malloc 0 512", "0 free 0"]);
  expect(trace.tally.ignoredLines).toBe(2);
});

test("fewer operations than the head promises is an error at the end", async () => {
  await expect(eventsOf(`${HEAD}a 0 512\n`)).rejects.toThrow(
    "a.trace:5: expected 4 operations, as the head says, not 1, found the end of the file",
  );
});

test("with bad lines passed over a wrong count is one of them", async () => {
  const trace = await traceOf(`${HEAD}a 0 512\n`, { skipBad: true });
  expect(await readAll(trace)).toEqual(["0 malloc 0 512"]);
  expect(trace.tally.skipped).toBe(1);
});

test.each([
  ["a 2 8", '"a ID SIZE" with ID from 0 to 1'],
  ["a 0", '"a ID SIZE" with ID from 0 to 1'],
  ["f -2", '"f ID" with ID from 0 to 1'],
  ["f -1 1", '"f ID" with ID from 0 to 1'],
  ["f 0 1", '"f ID" with ID from 0 to 1'],
  ["x 0", '"a ID SIZE", "r ID SIZE" or "f ID"'],
])("%j is a bad line", async (line, expected) => {
  await expect(eventsOf(`${HEAD}${line}\n`)).rejects.toThrow(`a.trace:5: expected ${expected}, found "${line}"`);
});

test("a head of three numbers is an error", async () => {
  await expect(eventsOf("1\n2\n3\n")).rejects.toThrow("a.trace:3: expected the weight");
});
