// What inspect, convert, record and calibrate make, seen from outside; conversions lose nothing.
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findCompiler } from "../../../../bench/harness/c-compiler.ts";
import { CHECK_PROGRAMS } from "../../../../bench/lab/cost/calibration-checks.ts";
import { COST_EVENTS } from "../../../../bench/lab/cost/cost-model.ts";
import { SMALL, Workplace } from "./refheap.ts";

let place: Workplace;
beforeAll(() => {
  place = new Workplace();
});
afterAll(() => place.remove());

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

  // Where no compiler is, the command says so (errors); times depend on what else the machine does, so none is held to a value.
  test.runIf(findCompiler() !== null)("measures this machine and holds whole programs against it", () => {
    const { status, stdout, stderr } = place.refheap(["calibrate", "--name", "here", "-o", "here.json"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^here: /);
    const [constants, check] = stdout.split("\nself-check: ");
    for (const event of COST_EVENTS) expect(constants).toMatch(new RegExp(`^${event} +\\d`, "m"));
    for (const program of CHECK_PROGRAMS) expect(check).toMatch(new RegExp(`^${program} .* [+−]\\d+\\.\\d %$`, "m"));
    const machine = JSON.parse(place.read("here.json"));
    expect(machine.constants.writeFault.ns).toBeGreaterThan(0);
    expect(machine.constants.userByte.ns).toBeGreaterThan(0);
    expect(place.refheap(["replay", "small.txt", "-p", "none", "-m", "here.json"]).stdout).toContain(
      "estimate for here",
    );
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
