// Traces kept for a second reading: the same events, tally and call sites as from the file, while the file is the same, up to a limit.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openKept } from "../../../../bench/lab/traces/kept-trace.ts";
import { openTrace, type Trace } from "../../../../bench/lab/traces/open.ts";

const FIXTURE = "test/bench/lab/traces/fixtures/sort-lines.mtrace";
const OPTIONS = { skipBad: true };
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-kept-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** All that a reader can see of a trace. */
async function allOf(trace: Trace): Promise<object> {
  const rows: unknown[] = [];
  for await (const { kind, thread, id, size, offset, site, labels, count } of trace.batches) {
    for (let row = 0; row < count; row++)
      rows.push([kind[row], thread[row], id[row], size[row], offset[row], site[row]]);
    rows.push([...labels]);
  }
  return { rows, format: trace.format, file: trace.file, tally: { ...trace.tally }, sites: [...trace.sites.names] };
}

test("a second reading says the same as the first, and as the file, with call sites", async () => {
  const fresh = await allOf(await openTrace(FIXTURE, OPTIONS));
  expect(await allOf(await openKept(FIXTURE, OPTIONS))).toEqual(fresh);
  expect(await allOf(await openKept(FIXTURE, OPTIONS))).toEqual(fresh);
  expect((fresh as { sites: string[] }).sites.length).toBeGreaterThan(1);
});

test("wide sizes, offsets, threads and marks are kept as they are", async () => {
  const file = join(folder, "wide.txt");
  const lines = [
    "refheap-trace 1",
    "7 malloc 5 9000000000",
    '7 mark "here"',
    "7 write 5 4294967296 8",
    "3 aligned 6 64 1",
    "3 free 6",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const fresh = await allOf(await openTrace(file));
  expect(await allOf(await openKept(file, {}))).toEqual(fresh);
  expect(await allOf(await openKept(file, {}))).toEqual(fresh);
});

test("it comes from memory: what is not in the file any more is still told, until size or time of the file differ", async () => {
  const file = join(folder, "changing.rep");
  copyFileSync(FIXTURE, file);
  const first = await allOf(await openKept(file, OPTIONS));
  const again = await openKept(file, OPTIONS);
  rmSync(file);
  expect(await allOf(again)).toEqual(first);
  writeFileSync(file, "refheap-trace 1\n0 malloc 0 1\n");
  expect((await allOf(await openKept(file, OPTIONS))) as { rows: unknown }).toMatchObject({
    rows: [[0, 0, 0, 1, 0, 0], []],
  });
});

test("another way of reading is another trace, and one that was given up is not kept", async () => {
  await allOf(await openKept(FIXTURE, OPTIONS));
  await expect(openKept(FIXTURE, {}).then(allOf)).rejects.toThrow(":402:");
  await expect(openKept(FIXTURE, {}).then(allOf)).rejects.toThrow(":402:");
});

test("beyond the limit nothing is kept, and all is read", async () => {
  const file = join(folder, "long.mtrace");
  copyFileSync(FIXTURE, file);
  const fresh = await allOf(await openTrace(file, OPTIONS));
  expect(await allOf(await openKept(file, OPTIONS, 10))).toEqual(fresh);
  const again = await openKept(file, OPTIONS, 10);
  rmSync(file);
  await expect(allOf(again)).resolves.toEqual(fresh);
});
