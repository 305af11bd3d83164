// The command line: exit status, the last line, and what a wrong call prints.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const program = "dist/bench/conformance/main.js";
let folder = "";

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function conformance(...given: string[]): { status: number | null; out: string[]; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...given], { encoding: "utf8" });
  return { status, out: stdout.trimEnd().split("\n"), err: stderr };
}

const load = (value: number): string =>
  `{"name":"s${value}","steps":[{"op":"mmap","addr":0,"len":4096,"prot":3,"flags":50,"fd":-1,"off":0,"want":{"ret":0}},` +
  `{"op":"load","addr":0,"want":{"ret":${value},"flt":1}}]}\n`;

let good = "";
let bad = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-conformance-"));
  good = file("good.jsonl", load(0));
  bad = file("bad.jsonl.gz", gzipSync(load(1)));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("what holds", () => {
  test("ends with status 0 and one line", () => {
    expect(conformance("linux", good)).toEqual({ status: 0, out: ["1 passed, 0 failed"], err: "" });
  });

  test("reference pages are replayed the same way", () => {
    expect(conformance("refpage", good, good).out).toEqual(["2 passed, 0 failed"]);
  });
});

describe("what does not hold", () => {
  test("ends with status 1, and the last line counts", () => {
    const { status, out } = conformance("linux", good, bad);
    expect(status).toBe(1);
    expect(out).toHaveLength(5);
    expect(out[0]).toBe(`s1 (${bad}:1), step 2 of 2: {"op":"load","addr":0}`);
    expect(out.at(-1)).toBe("1 passed, 1 failed");
  });

  test("a name that no script has is no success", () => {
    expect(conformance("linux", good, "--only", "other")).toMatchObject({
      status: 1,
      out: ["no script named other", "0 passed, 0 failed"],
    });
  });

  test("an empty file is no success", () => {
    const { status, out } = conformance("linux", file("empty.jsonl", ""));
    expect(status).toBe(1);
    expect(out.at(-1)).toBe("0 passed, 0 failed");
  });
});

describe("wrong usage ends with status 2", () => {
  test("no arguments", () => {
    expect(conformance().status).toBe(2);
  });

  test("no file", () => {
    expect(conformance("linux").status).toBe(2);
  });

  test("an unknown kind", () => {
    const { status, err } = conformance("windows", good);
    expect(status).toBe(2);
    expect(err).toMatch(/Kinds are: linux, mte, refpage, scudo/);
  });

  test("a file that is not there", () => {
    const { status, err } = conformance("linux", join(folder, "none.jsonl"));
    expect(status).toBe(2);
    expect(err).toMatch(/none\.jsonl: no such file/);
  });

  test("an unknown option", () => {
    const { status, err } = conformance("linux", good, "--fast");
    expect(status).toBe(2);
    expect(err).toMatch(/unknown option '--fast'/);
  });

  test("help is no error", () => {
    expect(conformance("--help").status).toBe(0);
  });
});
