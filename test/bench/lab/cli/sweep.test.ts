// What replay, merge, compare and report make, seen from outside: tables, JSON, CSV, files; shards and threads change nothing.
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ResultFile } from "../../../../bench/lab/replay/result.ts";
import { Workplace } from "./refheap.ts";

const SWEEP = ["small.txt", "sort.mtrace", "--skip-bad", "-p", "pattern-memset,none,pattern-refpage", "--repeat", "2"];
let place: Workplace;
beforeAll(() => {
  place = new Workplace();
  expect(place.refheap(["replay", ...SWEEP, "-o", "whole.json"]).status).toBe(0);
});
afterAll(() => place.remove());

function resultsOf(name: string): ResultFile {
  return JSON.parse(place.read(name));
}

describe("replay", () => {
  test("prints a table whose columns and touch model are named, and marks the estimate", () => {
    const { stdout } = place.refheap(["replay", "small.txt", "-p", "pattern-memset,pattern-refpage"]);
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("small.txt: touches of the trace; differences from pattern-memset");
    expect(lines[1]).toMatch(/^policy +peak RSS +mean RSS +page faults +bytes initialised +system calls +.*estimated/);
    expect(lines[4]).toMatch(/^pattern-refpage .*−\d/);
    expect(stdout).toContain("Time is an estimate for dragonboard-845c");
  });

  test("names the touch model of each result", () => {
    const { stdout } = place.refheap([
      "replay",
      "sort.mtrace",
      "--skip-bad",
      "-p",
      "none",
      "-t",
      "fraction=0.25",
      "--json",
    ]);
    expect(JSON.parse(stdout).results[0].touches).toBe("fraction=0.25");
  });

  test("writes CSV with a head and a row for each policy and figure", () => {
    const { stdout } = place.refheap(["replay", "small.txt", "-p", "none,zero", "--csv"]);
    const rows = stdout.trimEnd().split("\n");
    const columns = rows.map((row) => row.split(",").length);
    expect(new Set(columns).size).toBe(1);
    expect(stdout).toContain("small.txt");
  });

  test("gives the same results on one thread and on two, and whenever it is run", () => {
    place.refheap(["replay", ...SWEEP, "-j", "1", "-o", "single.json"]);
    expect(resultsOf("single.json").results).toEqual(resultsOf("whole.json").results);
  });

  test("--verify finds nothing wrong", () => {
    const { status } = place.refheap(["replay", "small.txt", "--verify"]);
    expect(status).toBe(0);
  });

  test("runs out of a small machine's memory as a result", () => {
    place.write("big.txt", "refheap-trace 1\n0 malloc 0 60000000\n");
    const { status, stdout } = place.refheap(["replay", "big.txt", "-p", "none", "-t", "all", "--memory", "16M"]);
    expect(status).toBe(0);
    expect(stdout).toContain("out of memory at operation 1");
  });
});

describe("merge", () => {
  test("of three shards is the whole sweep", () => {
    for (const index of [1, 2, 3]) {
      const { status, stdout } = place.refheap([
        "replay",
        ...SWEEP,
        "--shard",
        `${index}/3`,
        "-o",
        `part-${index}.json`,
      ]);
      expect({ status, stdout }).toEqual({ status: 0, stdout: "6 replays of 18 done; join them with refheap merge\n" });
    }
    expect(place.refheap(["merge", "merged.json", "part-3.json", "part-1.json", "part-2.json"]).status).toBe(0);
    expect(resultsOf("merged.json").results).toEqual(resultsOf("whole.json").results);
    expect(place.refheap(["compare", "merged.json"]).stdout).toBe(place.refheap(["compare", "whole.json"]).stdout);
  });

  test.each([
    [["part-1.json", "part-3.json"], "shards missing: 2/3"],
    [["part-1.json", "part-1.json"], "part-1.json: shard 1/3 is given twice"],
    [["part-1.json", "whole.json"], "belongs to another sweep"],
  ])("of %j is refused", (parts, sentence) => {
    const { status, stderr } = place.refheap(["merge", "never.json", ...parts]);
    expect(stderr).toContain(sentence);
    expect(status).toBe(1);
    expect(existsSync(place.path("never.json"))).toBe(false);
  });
});

describe("compare", () => {
  test("holds results against the policy that is asked for", () => {
    const { stdout } = place.refheap(["compare", "whole.json", "-b", "none"]);
    expect(stdout).toContain("differences from none");
  });

  test("names the policies there are when asked for another", () => {
    const { status, stderr } = place.refheap(["compare", "whole.json", "-b", "zero"]);
    expect(stderr).toContain('no result of policy "zero"');
    expect(status).toBe(1);
  });

  test("says what the comparison answers; of a trace without touches both ends", () => {
    const { stdout } = place.refheap(["compare", "whole.json"]);
    expect(stdout).toContain("sort.mtrace: touches none; differences from");
    expect(stdout).toContain("sort.mtrace: touches all; differences from");
    expect(stdout).toMatch(
      /\n\nsmall\.txt: With reference pages the peak would be .* lower than with pattern-memset\.\n\n/,
    );
    expect(stdout).toMatch(/\nsort\.mtrace: With reference pages the peak would be [^\n]*\n$/);
  });

  test("fits into the columns of a terminal", () => {
    const { stdout } = place.shell('COLUMNS=80 "$NODE" "$MAIN" compare whole.json');
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("prints JSON and CSV", () => {
    expect(JSON.parse(place.refheap(["compare", "whole.json", "--json"]).stdout)).toHaveLength(3);
    expect(place.refheap(["compare", "whole.json", "--csv"]).stdout.split("\n").length).toBeGreaterThan(6);
  });
});

test("report takes traces as they are, and opens with the answer", () => {
  const { status, stderr } = place.refheap(["report", "sort.mtrace", "--skip-bad", "-j", "1", "-o", "one-step.html"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "written: one-step.html\n" });
  const page = place.read("one-step.html");
  expect(page).toMatch(/<h1>[^<]*<\/h1>\s*<p class="answer">With reference pages the peak would be /);
  for (const touches of ["none", "all"]) expect(page).toContain(`touches: ${touches},`);
  expect(page).toContain('aria-label="Savings by size"');
  expect(page).toContain('aria-label="Savings by call site"');
});

test("report says which file is neither a trace nor results", () => {
  place.write("noise.txt", "hello\n");
  expect(place.refheap(["report", "noise.txt"])).toMatchObject({ status: 1, stdout: "" });
  expect(place.refheap(["report", "no-such.json"]).stderr).toBe("refheap: no-such.json: no such file\n");
});

test("report writes the page, its pictures and its figures", () => {
  const { status, stderr } = place.refheap([
    "report",
    "whole.json",
    "-o",
    "page.html",
    "--svg",
    "pictures",
    "--csv",
    "figures.csv",
  ]);
  expect(status).toBe(0);
  expect(stderr).toBe("written: page.html, 21 pictures in pictures, figures.csv\n");
  expect(place.read("page.html")).toContain("refheap replay small.txt sort.mtrace --skip-bad");
  expect(readdirSync(place.path("pictures"))).toContain("1-pages-pattern-refpage.svg");
  for (const name of readdirSync(place.path("pictures"))) {
    const [root] = /^<svg [^>]*>/.exec(place.read(`pictures/${name}`)) ?? [""];
    expect(root).toContain('xmlns="http://www.w3.org/2000/svg"');
    expect(root.split(" style=")).toHaveLength(2);
    expect(root).toContain("background:white");
  }
});
