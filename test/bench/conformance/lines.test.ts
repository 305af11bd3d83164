// Reading recordings: line by line, plain or compressed, with errors that say where.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Line, readLines } from "../../../bench/conformance/lines.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-lines-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function linesOf(name: string, content: string | Uint8Array): Promise<Line[]> {
  const file = join(folder, name);
  writeFileSync(file, content);
  const lines: Line[] = [];
  for await (const line of readLines(file)) lines.push(line);
  return lines;
}

test("empty lines are left out, and numbers count them", async () => {
  const lines = await linesOf("a.jsonl", "one\n\n  \ntwo\nthree");
  expect(lines.map(({ number, text }) => [number, text])).toEqual([
    [1, "one"],
    [4, "two"],
    [5, "three"],
  ]);
});

test("a compressed file gives the same lines", async () => {
  const text = Array.from({ length: 5000 }, (_, index) => `line ${index} ü`).join("\n");
  const lines = await linesOf("b.jsonl.gz", gzipSync(text));
  expect(lines).toHaveLength(5000);
  expect(lines.at(-1)).toMatchObject({ number: 5000, text: "line 4999 ü" });
});

test("an empty file has no lines", async () => {
  expect(await linesOf("c.jsonl", "")).toEqual([]);
});

test("a cut-off compressed file says so", async () => {
  const whole = gzipSync("x".repeat(1000));
  await expect(linesOf("d.jsonl.gz", whole.subarray(0, 20))).rejects.toThrow(
    /d\.jsonl\.gz: the compressed data ends too early/,
  );
});

test("a file that is no gzip says so", async () => {
  await expect(linesOf("e.jsonl.gz", "plain text")).rejects.toThrow(/e\.jsonl\.gz: is not valid gzip data/);
});

test("a missing file says so", async () => {
  await expect(readLines(join(folder, "none.jsonl")).next()).rejects.toThrow(/none\.jsonl: no such file/);
});

test("a folder says so", async () => {
  await expect(readLines(folder).next()).rejects.toThrow(/: is a folder$/);
});
