// The recorded answers of the real Scudo, replayed on ours; and that a replay notices when one of them is another.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kindOf } from "../../../../bench/conformance/scudo/record.ts";
import { runScudo } from "../../../../bench/conformance/scudo/scudo.ts";

async function replay(file: string): Promise<{ passed: number; failed: number; printed: string[] }> {
  const printed: string[] = [];
  const tally = await runScudo([file], { print: (line) => printed.push(line) });
  return { ...tally, printed };
}

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const recordings = readdirSync(join(root, "test/golden/scudo"))
  .filter((name) => name.includes(".jsonl"))
  .map((name) => `test/golden/scudo/${name}`);

test("the real Scudo's recorded answers are ours, all 861 cases of 18 kinds", () => {
  expect(recordings).toHaveLength(18);
  const command = ["dist/bench/conformance/main.js", "scudo", ...recordings];
  const printed = execFileSync(process.execPath, command, { cwd: root, encoding: "utf8" });
  expect(printed).toBe("861 passed, 0 failed\n");
}, 300_000);

describe("a replay", () => {
  let folder = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "refheap-scudo-"));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function lines(...observations: object[]): string {
    const file = join(folder, "renamed.jsonl");
    writeFileSync(file, observations.map((one) => `${JSON.stringify(one)}\n`).join(""));
    return file;
  }

  test.each([
    [{ size: 100, class: 5, usable: 100, size_field: 100 }, "class"],
    [{ align: 64, size: 0, aligned: true, class: 2, origin: 0, usable: 0, offset_is: "nonzero" }, "origin"],
    [{ options: "", call: "malloc(SIZE_MAX)", null: true, errno: 22 }, "errno"],
    [{ call: "new", origin: 2, usable: 10 }, "origin"],
    [{ param: -1000, value: 1, result: 1, errno: 0 }, "result"],
    [
      { options: "", size: 16, round: 0, fresh: "00", same_pointer: true, reuse: "ab", calloc: "00" },
      "reuse (round 0)",
    ],
    [{ from: 1, to: 17, class_from: 1, class_to: 2, in_place: true, kept: true, usable: 17 }, "in_place"],
    [{ options: "", size: 100, state_after_free: 2, returned: true, mallocs_until_returned: 1 }, "state_after_free"],
    [{ options: "", freed: 200000, wanted: 200000, commit_size: 4096 }, "commit_size"],
    [{ case: "free twice", options: "", exit: 0, signal: null, stderr: "" }, "exit"],
    [{ case: "malloc / free", options: "", exit: null, signal: "SIGABRT", stderr: "" }, "exit"],
    [{ calls: "malloc 5; malloc_info(0)", lines: ['<malloc version="scudo-1">', "</malloc>"] }, "xml, line 2"],
    [{ setter: "pattern 1", contents: "00" }, 'contents after "pattern 1"'],
    [
      { options: "", chunk: 2 ** 26, touched_pages: 64, pages_after_malloc: 39, pages_after_touch: 400 },
      "pages_after_touch",
    ],
    [{ size: 16, count: 112, class: 1, span_bytes: 3584 }, "span_bytes"],
  ])("of %j tells the field that differs, under every name of the file", async (observation, field) => {
    const { passed, failed, printed } = await replay(lines(observation));
    expect({ passed, failed, field: printed[1]?.trim() }).toEqual({ passed: 0, failed: 1, field });
  });

  const mismatch = (words: string) =>
    `Scudo ERROR: allocation type mismatch when deallocating address 0xADDR ${words}\n`;
  test.each([
    ["pvalloc / delete[]", "dealloc_type_mismatch=1", "SIGABRT", mismatch("(3 vs 2)")],
    ["realloc / delete", "dealloc_type_mismatch=1", "SIGABRT", mismatch("(0 vs 1)")],
    ["valloc / free", "dealloc_type_mismatch=1", null, "fine\n"],
    ["new(200000) / sized delete 199999", "delete_size_mismatch=0", null, "fine\n"],
    ["free pointer-8", "", "SIGABRT", "Scudo ERROR: misaligned pointer when deallocating address 0xADDR\n"],
    ["delete NULL", "", null, "fine\n"],
    ["large: store one byte past the end, size 200688", "", "SIGSEGV", ""],
    ["free between malloc_disable and malloc_enable, alarm after 2 s", "", "SIGALRM", ""],
  ])('of %s with options "%s" is replayed by its words', async (name, options, signal, stderr) => {
    const recorded = { case: name, options, exit: signal === null ? 0 : null, signal, stderr };
    expect(await replay(lines(recorded))).toMatchObject({ passed: 1, failed: 0, printed: [] });
  });

  test("of lines of one process counts them as one case", async () => {
    const steps = [
      { after: "malloc(100)", others: 0, hblkhd: 786432 },
      { after: "free(100)", others: 0, hblkhd: 786432 },
    ];
    expect(await replay(lines(...steps))).toMatchObject({ passed: 1, failed: 0 });
  });

  test("of a line of no known kind fails", async () => {
    const file = join(folder, "odd.jsonl");
    writeFileSync(file, '{"nothing": "known"}\nno JSON\n[1]\n');
    expect(await replay(file)).toMatchObject({ passed: 0, failed: 3 });
  });

  test("knows a kind by its fields", () => {
    expect(kindOf({ size: 1, class: 1 })).toBe("sizes");
    expect(kindOf({ align: 16, size: 1, class: 1 })).toBe("align");
    expect(kindOf({ call: "pvalloc usable", pvalloc0: 4096 })).toBe("errno");
    expect(kindOf({})).toBeUndefined();
  });
});
