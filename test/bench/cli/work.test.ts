// What each subcommand makes, seen from outside: tables, JSON, CSV, files; shards and threads that change nothing; conversions.
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ResultFile } from "../../../bench/lab/result.ts";
import { SMALL, Workplace } from "./refheap.ts";

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
      expect({ status, stdout }).toEqual({ status: 0, stdout: "4 replays of 12 done; join them with refheap merge\n" });
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

  test("prints JSON and CSV", () => {
    expect(JSON.parse(place.refheap(["compare", "whole.json", "--json"]).stdout)).toHaveLength(2);
    expect(place.refheap(["compare", "whole.json", "--csv"]).stdout.split("\n").length).toBeGreaterThan(6);
  });
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
  expect(stderr).toBe("written: page.html, 14 pictures in pictures, figures.csv\n");
  expect(place.read("page.html")).toContain("refheap replay small.txt sort.mtrace --skip-bad");
  expect(readdirSync(place.path("pictures"))).toContain("1-pages-pattern-refpage.svg");
  for (const name of readdirSync(place.path("pictures"))) {
    const [root] = /^<svg [^>]*>/.exec(place.read(`pictures/${name}`)) ?? [""];
    expect(root).toContain('xmlns="http://www.w3.org/2000/svg"');
    expect(root.split(" style=")).toHaveLength(2);
    expect(root).toContain("background:white");
  }
});

describe("inspect", () => {
  test("says what is in a trace", () => {
    const { stdout } = place.refheap(["inspect", "small.txt"]);
    expect(stdout).toContain("small.txt: text, 9 events of 2 threads");
    expect(stdout).toContain("live at most 4 blocks");
    expect(stdout).toContain("at the end 2 blocks");
    expect(stdout).toContain("touches are in the trace");
  });

  test("says the same of each format of it as JSON", () => {
    place.refheap(["convert", "small.txt", "small.rht"]);
    const [text, binary] = JSON.parse(place.refheap(["inspect", "small.txt", "small.rht", "--json"]).stdout);
    expect([text.format, binary.format]).toEqual(["text", "binary"]);
    expect(binary.events).toEqual(text.events);
    expect(binary.peakLiveBytes).toBe(text.peakLiveBytes);
  });
});

describe("convert", () => {
  test.each(["a.rht", "a.rht.gz"])("to %s and back to text loses nothing", (name) => {
    expect(place.refheap(["convert", "small.txt", name]).stderr).toBe(`${name}: 9 events of 4 block ids, from text\n`);
    place.refheap(["convert", name, "back.txt"]);
    expect(place.read("back.txt")).toBe(SMALL);
  });

  test("through pipes is the same", () => {
    const { stdout } = place.shell(
      '"$NODE" "$MAIN" convert small.txt - 2>/dev/null | "$NODE" "$MAIN" convert - - --to text',
    );
    expect(stdout).toBe(SMALL);
  });

  test.each([
    [
      "android",
      "1: malloc 0x10 100\n2: calloc 0x20 2 8\n1: realloc 0x30 0x10 200\n2: free 0x20\n1: memalign 0x40 64 5\n",
    ],
    ["mtrace", "= Start\n@ a:[0x1] + 0x10 0x64\n@ a:[0x2] < 0x10\n@ a:[0x2] > 0x30 0xc8\n@ a:[0x3] - 0x30\n= End\n"],
    ["rep", "1000\n2\n4\n1\na 0 100\na 1 16\nr 0 200\nf 1\n"],
    ["lackey", "==1== Lackey\nI  04001000,3\n S 1ffe0000,8\n L 1ffe0000,4\n M 04222000,4\n"],
  ])("from %s keeps every event, in binary and in text", (format, text) => {
    place.write("foreign", text);
    expect(place.refheap(["convert", "foreign", "foreign.rht"]).stderr).toContain(`from ${format}`);
    place.refheap(["convert", "foreign", "direct.txt"]);
    place.refheap(["convert", "foreign.rht", "around.txt"]);
    expect(place.read("around.txt")).toBe(place.read("direct.txt"));
    expect(place.read("direct.txt").split("\n").length).toBeGreaterThan(3);
  });

  test("that fails leaves no file behind", () => {
    place.write("bad.txt", "refheap-trace 1\n0 malloc 0 1\n0 malloc\n");
    expect(place.refheap(["convert", "bad.txt", "bad.rht"]).status).toBe(1);
    expect(readdirSync(place.folder).filter((name) => name.startsWith("bad.rht"))).toEqual([]);
  });
});

test("record passes the program's exit code on and says when there was nothing to record", () => {
  const { status, stderr } = place.shell('"$NODE" "$MAIN" record --native -o n.mtrace -- sh -c "exit 7"');
  // Where no compiler is, --native says so; else sh allocates and exits.
  expect(stderr.includes("compiler") ? status === 1 : status === 7).toBe(true);
});

describe("calibrate", () => {
  test("--show prints each constant with its range and how it was found", () => {
    const { status, stdout } = place.refheap(["calibrate", "--show"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^dragonboard-845c: /);
  });

  test("--residuals are within 10 % of the thread's nine figures", () => {
    const all = JSON.parse(place.refheap(["calibrate", "--residuals", "--json"]).stdout) as { relative: number }[];
    expect(all).toHaveLength(9);
    expect(Math.max(...all.map(({ relative }) => Math.abs(relative)))).toBeLessThan(0.1);
  });

  test("a machine that was written to a file is one for --machine", () => {
    place.refheap(["calibrate", "--show", "-o", "machine.json"]);
    const { status, stdout } = place.refheap(["replay", "small.txt", "-p", "none", "-m", "machine.json"]);
    expect(status).toBe(0);
    expect(stdout).toContain("estimate for dragonboard-845c");
  });
});
