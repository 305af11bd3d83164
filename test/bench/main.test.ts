// `npm run bench`: how it is called, and what it does with wrong calls. What it measures is checked by eye and by targets.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "refheap-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

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

  test("ends without a word when its output is no longer read", async () => {
    const child = spawn(process.execPath, ["dist/bench/main.js", "help"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let complaints = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaints += text;
    });
    const [status] = await once(child, "close");
    expect([status, complaints]).toEqual([0, ""]);
  });
});

describe("--json FILE", () => {
  test.each(["microbench", "faults", "scale", "tagging"])(
    "%s: a file that cannot be written is said before measuring",
    (name) => {
      const { status, stdout, stderr } = bench(name, "--json", join(folder, "no-such-folder", "figures.json"));
      expect(status).toBe(2);
      expect(stdout).toBe("");
      expect(stderr).toMatch(
        /^error: option '--json <file>' argument '.*figures.json' is invalid\. It cannot be written: ENOENT/,
      );
    },
  );

  test("a folder is no file to write to", () => {
    const { status, stderr } = bench("faults", "--json", folder);
    expect([status, /It cannot be written: EISDIR/.test(stderr)]).toEqual([2, true]);
  });

  test("a call that is refused for another reason leaves no new file, and an old one as it was", () => {
    const fresh = join(folder, "fresh.json");
    const old = join(folder, "old.json");
    writeFileSync(old, "kept");
    for (const file of [fresh, old]) expect(bench("--json", file, "--runs", "0").status).toBe(2);
    expect([existsSync(fresh), readFileSync(old, "utf8")]).toEqual([false, "kept"]);
  });

  test("has the figures, with the command and the machine", () => {
    const file = join(folder, "figures.json");
    const options = ["--rows", "4096/4096000:anonymous", "--runs", "1", "--iterations", "1", "--json", file];
    const { status, stderr } = bench(...options);
    expect([status, stderr]).toEqual([0, ""]);
    const document = JSON.parse(readFileSync(file, "utf8"));
    expect(document).toMatchObject({ benchmark: "microbench", effort: { runs: 1, iterations: 1 } });
    expect(document.command).toBe(`npm run bench -- ${options.join(" ")}`);
    expect(document.host.cores).toBeGreaterThan(0);
    expect(document.rows).toHaveLength(1);
  });
});
