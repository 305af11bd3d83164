// Recorded scripts about memory that is moved away and back, forked and locked: what a real Linux 6.18 answered.
import { expect, test } from "vitest";
import { replay } from "./recorded.ts";

test("7 scripts that were found by comparing random programs, made short, answer as Linux did", async () => {
  expect(await replay("reduced.jsonl")).toEqual({ count: 7, failures: [] });
});

test("332 scripts that move memory away and back, among forks and locks, answer as Linux did", async () => {
  expect(await replay("away-and-back.jsonl.gz")).toEqual({ count: 332, failures: [] });
});
