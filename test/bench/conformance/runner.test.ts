// Running scripts: what is reported of those that fail, that ask for what does not exist, or that are no scripts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linux, runLinux } from "../../../bench/conformance/linux/linux.ts";
import { type RunOptions, runScript, type Tally } from "../../../bench/conformance/runner.ts";
import { parseScript, type Script } from "../../../bench/conformance/script.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-runner-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Replays lines from a file and keeps what is printed, with the file's folder left out. */
async function replay(lines: readonly unknown[], options: RunOptions = {}): Promise<Tally & { printed: string[] }> {
  const file = join(folder, "scripts.jsonl");
  writeFileSync(file, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
  const printed: string[] = [];
  const print = (line: string) => printed.push(line.replaceAll(`${folder}/`, ""));
  const tally = await runLinux([file], { ...options, print });
  return { ...tally, printed };
}

const map = { op: "mmap", addr: 0, len: 16384, prot: 3, flags: 0x32, fd: -1, off: 0, want: { ret: 0 } };
const good = { name: "good", steps: [map, { op: "store", addr: 5, value: 7, want: { ret: 0, flt: 1 } }] };
const bad = {
  name: "bad",
  steps: [map, { op: "load", addr: 4096, want: { ret: 0, flt: 1 } }, { op: "load", addr: 4096, want: { ret: 9 } }],
};

describe("a script that fails", () => {
  test("is reported with its place, its step, what was expected and what came", async () => {
    const { passed, failed, printed } = await replay([good, bad]);
    expect({ passed, failed }).toEqual({ passed: 1, failed: 1 });
    expect(printed).toEqual([
      'bad (scripts.jsonl:2), step 3 of 3: {"op":"load","addr":4096}',
      "  ret",
      "    expected  9",
      "    got       0",
    ]);
  });

  test("is reported once, for its first difference", async () => {
    const load = { op: "load", addr: 0, want: { ret: 1, flt: 1 } };
    const { failed, printed } = await replay([{ name: "twice", steps: [map, load, load] }]);
    expect(failed).toBe(1);
    expect(printed[0]).toContain("step 2 of 3");
    expect(printed).toHaveLength(4);
  });

  test("names the area and the column of an address space that differs", async () => {
    const row = [0, 4, "rw-p", "", 0, 1, 4, 0, 0, 0, 1, 1, 0, "rd wr mr mw me ac"];
    const observe = { op: "observe", want: { vmas: [row], pages: "4.", mincore: "4.", lck: 0, pt: 0 } };
    const { printed } = await replay([{ name: "seen", steps: [map, observe] }]);
    expect(printed).toEqual([
      'seen (scripts.jsonl:1), step 2 of 2: {"op":"observe"}',
      "  vmas, area 1 (Rss)",
      `    expected  ${JSON.stringify(row)}`,
      '    got       [0,4,"rw-p","",0,0,0,0,0,0,0,0,0,"rd wr mr mw me ac"]',
    ]);
  });

  test("tells of an errno where a result was expected", async () => {
    const { printed } = await replay([{ name: "refused", steps: [{ ...map, len: 0 }] }]);
    expect(printed.slice(1)).toEqual(["  err", "    expected  nothing", '    got       "EINVAL"']);
  });

  test("shows all its steps on request", async () => {
    const { printed } = await replay([good, bad], { verbose: true });
    expect(printed[0]).toBe("good: passed, 2 steps");
    expect(printed).toContain('  2  {"op":"load","addr":4096}  ->  {"ret":0,"flt":1}');
  });
});

describe("what is no script", () => {
  test("a line that is not JSON is a failure with file and line", async () => {
    const { passed, failed, printed } = await replay([good, "{nonsense"]);
    expect({ passed, failed }).toEqual({ passed: 1, failed: 1 });
    expect(printed[0]).toMatch(/^scripts\.jsonl:2: not JSON: /);
  });

  test.each([
    [[1, 2], "a script is an object with `name` and `steps`"],
    [{ steps: [] }, "`name` is missing or no text"],
    [{ name: "x", steps: 3 }, "script x: `steps` is missing or no list"],
    [{ name: "x", steps: [{ want: {} }] }, "script x, step 1: `op` is missing or no text"],
    [{ name: "x", steps: [{ op: "fork" }] }, "script x, step 1: `want` is missing or no object"],
  ])("%j says what is missing", async (line, message) => {
    const { failed, printed } = await replay([line]);
    expect(failed).toBe(1);
    expect(printed).toEqual([`scripts.jsonl:1: ${message}`]);
  });

  test("an operation that does not exist is named, with those that do", async () => {
    const { failed, printed } = await replay([{ name: "x", steps: [map, { op: "teleport", want: {} }] }]);
    expect(failed).toBe(1);
    expect(printed[0]).toMatch(/^scripts\.jsonl:1: script x, step 2: unknown op "teleport" \(known: close, copy, /);
  });

  test.each([
    [{ op: "load", addr: 0, p: 3 }, "there is no process 3"],
    [{ op: "load", addr: "$B" }, 'no address: "$B"'],
    [{ op: "store", addr: 0 }, "store needs a number `value`, not undefined"],
    [{ op: "close", fd: "seven" }, 'no descriptor: "seven"'],
    [{ op: "rlimit", which: "CORE", value: 1 }, 'unknown limit "CORE" (known: AS, DATA, MEMLOCK, NOFILE)'],
    [{ op: "process_vm_readv", target: 0, local: 3, remote: [], flags: 0 }, "process_vm_readv needs a list `local`"],
  ])("%j says what is wrong", async (step, message) => {
    const { failed, printed } = await replay([{ name: "x", steps: [{ ...step, want: {} }] }]);
    expect(failed).toBe(1);
    expect(printed[0]).toContain(`scripts.jsonl:1: script x, step 1: ${message}`);
  });

  test("a step of a process that has ended is an error of the script", async () => {
    const exit = { op: "exit", want: { ret: 0 } };
    const { printed } = await replay([{ name: "x", steps: [exit, exit] }]);
    expect(printed).toEqual(["scripts.jsonl:1: script x, step 2: process 0 has ended"]);
  });
});

test("only scripts of the name asked for are run", async () => {
  const { passed, failed } = await replay([good, bad], { only: "good" });
  expect({ passed, failed }).toEqual({ passed: 1, failed: 0 });
});

test("a 64-bit length that no number holds exactly is taken as it was written", () => {
  const steps = `[{"op":"mmap","addr":0,"len":18446744073709551615,"prot":3,"flags":34,"fd":-1,"off":0,"want":{"err":"ENOMEM"}}]`;
  expect(runScript(linux, parseScript(`{"name":"huge","steps":${steps}}`))).toBeUndefined();
});

test("an address beyond the window counts as elsewhere, and its mapping goes immediately", () => {
  const anywhere = { ...map, addr: "0x0", flags: 0x22, want: { ret: "elsewhere" } };
  const limit = { op: "rlimit", which: "AS", value: 4, want: { ret: 0 } };
  const script = { name: "elsewhere", steps: [limit, anywhere, anywhere, anywhere] } as unknown as Script;
  expect(runScript(linux, script)).toBeUndefined();
});

test("a fixed address beyond the window is an offset, or elsewhere if the file says so", () => {
  const below = { ...map, addr: -16384, want: { ret: -16384 } };
  const load = { op: "load", addr: -16384, want: { ret: 0, flt: 1 } };
  expect(runScript(linux, { name: "below", steps: [below, load] } as unknown as Script)).toBeUndefined();
  const gone = { op: "load", addr: -16384, want: { sig: "SIGSEGV", code: "SEGV_MAPERR", at: -16384 } };
  const steps = [{ ...below, want: { ret: "elsewhere" } }, gone];
  expect(runScript(linux, { name: "elsewhere", steps } as unknown as Script)).toBeUndefined();
});

test("a mapping kept under a name is reached by that name", () => {
  const steps = [
    { ...map, addr: "0x0", flags: 0x22, keep: "A", want: { ret: "elsewhere" } },
    { op: "store", addr: "$A+4100", value: 3, want: { ret: 0, flt: 1 } },
    { op: "load", addr: "$A+4100", want: { ret: 3 } },
  ];
  expect(runScript(linux, { name: "kept", steps } as unknown as Script)).toBeUndefined();
});
