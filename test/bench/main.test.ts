// `npm run bench`: how it is called, and what it does with wrong calls. What it measures is checked by eye and by targets.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";

function bench(...programArguments: string[]) {
  return spawnSync(process.execPath, ["dist/bench/main.js", ...programArguments], { encoding: "utf8" });
}

describe("npm run bench", () => {
  test("prints the names on help", () => {
    const { status, stdout } = bench("help");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: npm run bench -- \[NAME\] \[options\]/);
    expect(stdout).toContain("microbench");
  });

  test("refuses an unknown name with the nearest one and exit code 2", () => {
    const { status, stdout, stderr } = bench("fautls");
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain('there is no benchmark "fautls"; the nearest name is "faults"');
  });

  test.each([
    [["--runs", "0"], /"0" is not a whole number from 1/],
    [["--iterations", "many"], /"many" is not a whole number from 1/],
    [["--rows", "memsat"], /no row's name contains "memsat"/],
    [["--colour"], /unknown option '--colour'/],
    [["faults", "extra"], /too many arguments/],
  ])("refuses %j with a sentence and exit code 2", (programArguments, sentence) => {
    const { status, stdout, stderr } = bench(...programArguments);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(sentence);
  });
});
