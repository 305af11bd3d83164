// The recorded cases of memory tagging, replayed whole; and that a wrong recording, or a malformed line, is found out.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readLines } from "../../../../bench/conformance/lines.ts";
import { runMte } from "../../../../bench/conformance/mte/mte.ts";

function golden(name: string): string {
  return fileURLToPath(new URL(`../../../golden/mte/${name}`, import.meta.url));
}

describe("recorded on a CPU with memory tagging", () => {
  test.each([
    ["2,000 single instructions, those on whole 64-bit registers included", "instructions.jsonl.gz", 2000],
    ["500 scripts of accesses, modes and kernel entries", "scripts.jsonl.gz", 500],
    ["200 cases of the control word", "prctl.jsonl.gz", 200],
    ["78 cases of PROT_MTE, system calls and signals", "abi.jsonl.gz", 78],
    ["44 scenarios", "scenarios.jsonl.gz", 44],
  ])("%s", async (_what, file, count) => {
    const printed: string[] = [];
    const tally = await runMte([golden(file)], { print: (line) => printed.push(line) });
    expect(printed).toEqual([]);
    expect(tally).toEqual({ passed: count, failed: 0 });
  });
});

describe("a recording that is wrong", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "refheap-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function run(...lines: string[]): Promise<{ tally: object; printed: string }> {
    const file = join(folder, "cases.jsonl");
    writeFileSync(file, lines.join("\n"));
    const printed: string[] = [];
    const tally = await runMte([file], { print: (line) => printed.push(line) });
    return { tally, printed: printed.join("\n") };
  }

  async function find(file: string, id: string): Promise<string> {
    for await (const line of readLines(golden(file))) if (line.text.includes(`"id":"${id}"`)) return line.text;
    throw new Error(`no case ${id}`);
  }

  test("fails with what was expected and what came, case by case", async () => {
    const good = await find("scenarios.jsonl.gz", "linear-overflow");
    const bad = good.replace('"off":32', '"off":48').replace("linear-overflow", "wrong");
    const { tally, printed } = await run(good, bad);
    expect(tally).toEqual({ passed: 1, failed: 1 });
    expect(printed).toMatch(
      /^wrong \(.*cases\.jsonl:2\), step 5 \(st\)\n {4}expected .*"off":48.*\n {4}got .*"off":32/,
    );
  });

  test.each([
    ["scripts.jsonl.gz", "s0", '"endBytes":"54d1477c"', '"endBytes":"54d1477d"', "endBytes"],
    ["scripts.jsonl.gz", "s2", '"stored":false', '"stored":true', "memory"],
    ["instructions.jsonl.gz", "i2", '"ptag":9', '"ptag":8', "tagsAfter"],
    ["instructions.jsonl.gz", "i5", '"nzcv":6', '"nzcv":2', "nzcv"],
    ["prctl.jsonl.gz", "p2", '"ret":524274', '"ret":524275', "prctl"],
    ["abi.jsonl.gz", "async-merges", '"async":1,"si_addr":0', '"async":3,"si_addr":0', "async"],
    ["abi.jsonl.gz", "si-addr-exposed", '"tagBits":12', '"tagBits":0', "tagBits"],
  ])("is noticed in %s, case %s", async (file, id, from, to, where) => {
    const text = await find(file, id);
    expect(text).toContain(from);
    const { tally, printed } = await run(text.replace(from, to));
    expect(tally).toEqual({ passed: 0, failed: 1 });
    expect(printed).toContain(where);
  });

  test.each([
    ["a step", '"steps":[{"op":"stga","at":0}]', 'unknown op in step 1: "stga" (known: addg, '],
    ["a step of a child", '"steps":[{"op":"fork","child":[{"op":"x"}]}]', 'unknown op in step 1, child step 1: "x"'],
    ["a script's step", '"steps":[{"op":"irg"}],"endBytes":"","endTags":[],"seed":1', 'unknown op in step 1: "irg"'],
    ["an instruction", '"op":"addx","xn":{"addr":0,"tag":0}', 'unknown instruction "addx" (known: addg, gmi'],
    ["a page", '"op":"stg","pages":"mx","then":[]', 'unknown page "x" (known: m, n, p, q, r, u)'],
    ["a protection", '"steps":[{"op":"mprotect","at":0,"len":1,"prot":["RAED"]}]', 'unknown protection "RAED"'],
    ["an advice", '"steps":[{"op":"madvise","at":0,"len":1,"advice":"MADV_X"}]', 'unknown advice "MADV_X"'],
    ["a mapping", '"steps":[{"op":"mmap","at":0,"len":1,"kind":"anon","prot":0}]', 'unknown kind of mapping "anon"'],
    ["a mode", '"steps":[{"op":"mode","mode":"both"}],"endBytes":"","endTags":[],"seed":1', 'unknown mode "both"'],
  ])("that names %s unknown to the format fails, with its place and what is known", async (_what, fields, message) => {
    const good = await find("scenarios.jsonl.gz", "linear-overflow");
    const { tally, printed } = await run(`{"id":"odd",${fields}}`, good);
    expect(tally).toEqual({ passed: 1, failed: 1 });
    expect(printed).toMatch(/^odd \(.*cases\.jsonl:1\), /);
    expect(printed).toContain(message);
  });

  test("counts lines that are no case, and files that cannot be read, as failed", async () => {
    const { tally, printed } = await run('{"id":"x"}', "{", '{"name":"y","steps":[]}');
    expect(tally).toEqual({ passed: 0, failed: 3 });
    expect(printed).toContain("case x is neither an instruction nor a list of steps");
    const missing = await runMte([join(folder, "missing.jsonl")], { print: () => {} });
    expect(missing).toEqual({ passed: 0, failed: 1 });
  });
});
