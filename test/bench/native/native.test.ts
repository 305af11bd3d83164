// `npm run bench -- native`: a real program, recorded and replayed, needs what the kernel says. How much slower it gets is not judged here.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findCompiler } from "../../../bench/harness/c-compiler.ts";
import { installedPrograms } from "../../../bench/native/programs.ts";

const folder = mkdtempSync(join(tmpdir(), "refheap-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

const canRecord = process.platform === "linux" && findCompiler() !== null;

test.runIf(canRecord)("the peak of sort, replayed as it ran, is within 15 % of the kernel's", () => {
  const file = join(folder, "native.json");
  const options = ["native", "--quick", "--only", "sort", "--json", file];
  const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/bench/main.js", ...options], {
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("PASS  sort big.txt: off by");
  const [{ real, glibc, scudo }] = JSON.parse(readFileSync(file, "utf8")).programs;
  expect(Math.abs(glibc / real - 1)).toBeLessThan(0.15);
  expect(scudo).toBeGreaterThan(0);
});

test("programs that are not installed are left out", () => {
  const path = process.env.PATH;
  process.env.PATH = folder;
  try {
    expect(installedPrograms()).toEqual([]);
  } finally {
    process.env.PATH = path;
  }
});
