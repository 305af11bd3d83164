// Writing trace files: counts in the head, gzip by name, and no half-written file.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HEAD } from "../../../../allocator/record/binary-layout.ts";
import { MALLOC } from "../../../../allocator/record/events.ts";
import { openTrace } from "../../../../bench/lab/traces/open.ts";
import { writeTrace } from "../../../../bench/lab/traces/write.ts";
import { batchesOf, readAll } from "./events-of.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "refheap-write-"));
});
afterEach(() => rm(folder, { recursive: true }));

const rows = [0, 1, 2].map((id) => ({ kind: MALLOC, thread: 0, id, size: 10, offset: 0 }));

test("a binary file's head holds the number of events and ids", async () => {
  const file = join(folder, "a.rht");
  expect(await writeTrace(batchesOf(rows), file, "binary")).toEqual({ events: 3, ids: 3 });
  const head = await readFile(file);
  expect([head.readDoubleLE(HEAD.events), head.readDoubleLE(HEAD.ids)]).toEqual([3, 3]);
});

test.each(["a.rht", "a.rht.gz", "a.txt", "a.txt.gz"])("%s is read back as it was", async (name) => {
  const file = join(folder, name);
  await writeTrace(batchesOf(rows), file, name.includes("txt") ? "text" : "binary");
  expect(await readAll(await openTrace(file))).toEqual(["0 malloc 0 10", "0 malloc 1 10", "0 malloc 2 10"]);
  expect((await readFile(file))[0] === 0x1f).toBe(name.endsWith(".gz"));
});

test("a source that fails leaves no file behind", async () => {
  async function* failing(): AsyncGenerator<never> {
    yield* [];
    throw new Error("source broke");
  }
  await expect(writeTrace(failing(), join(folder, "a.rht"), "binary")).rejects.toThrow("source broke");
  expect(await readdir(folder)).toEqual([]);
});
