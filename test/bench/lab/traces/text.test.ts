// The text format: every word, comments, and messages that say what was expected.
import { expect, test } from "vitest";
import { eventsOf } from "./events-of.ts";

const HEAD = "refheap-trace 1\n";

test("every event is read as it is written", async () => {
  const events = [
    "0 thread-start",
    "0 malloc 0 4096",
    "1 calloc 1 10 100",
    "0 realloc 0 8192",
    "0 aligned 2 64 1000",
    "0 read 0 0 16",
    "0 write 0 4090 12",
    "0 free 2",
    '0 mark "start up # 1 – \\ud800 done"',
    "0 thread-end",
  ];
  expect(await eventsOf(`${HEAD}${events.join("\n")}\n`)).toEqual(events);
});

test("comments and empty lines are passed over", async () => {
  expect(await eventsOf(`# by hand\n\n${HEAD}  # more\n0 malloc 0 8   # a node\n`)).toEqual(["0 malloc 0 8"]);
});

test.each([
  ["0 malloc 0", '"0 malloc 0"', '"THREAD malloc ID SIZE"'],
  ["0 malloc 0 8 9", '"0 malloc 0 8 9"', '"THREAD malloc ID SIZE"'],
  ["0 free -1", '"0 free -1"', '"THREAD free ID"'],
  ["0 free 4294967295", '"0 free 4294967295"', '"THREAD free ID"'],
  ["0 malloc 0 9007199254740993", '"0 malloc 0 9007199254740993"', '"THREAD malloc ID SIZE"'],
  ["malloc 0 8", '"malloc 0 8"', 'a thread number, as in "0 malloc 0 100"'],
  ["0 mark label", '"0 mark label"', '"THREAD mark "LABEL" in JSON"'],
  ["0 new 0 8", '"0 new 0 8"', "one of malloc, calloc, realloc, aligned, free, read, write"],
])("%j is a bad line", async (line, found, expected) => {
  const failure = expect(eventsOf(`${HEAD}${line}\n`)).rejects;
  await failure.toThrow(`a.trace:2: expected ${expected}`);
  await expect(eventsOf(`${HEAD}${line}\n`)).rejects.toThrow(`found ${found}`);
});

test("another version is refused", async () => {
  await expect(eventsOf("refheap-trace 2\n")).rejects.toThrow(
    'a.trace:1: expected "refheap-trace 1" before the first event',
  );
});
