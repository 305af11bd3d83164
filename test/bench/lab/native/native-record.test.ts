// `refheap record --native`: what a C program does to its pages is in the trace, and the program notices nothing.
// The programs are program.c; without a C compiler there is nothing to record with.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findCompiler } from "../../../../bench/harness/c-compiler.ts";
import { type Run, Workplace } from "../cli/refheap.ts";

const BIG = 1000003;
const PAGE = 4096;
const compiler = process.platform === "linux" ? findCompiler() : null;
let place: Workplace;

beforeAll(() => {
  place = new Workplace();
  if (compiler === null) return;
  execFileSync(compiler, [
    "-O0",
    "-fno-builtin",
    "-pthread",
    "-w",
    "-o",
    place.path("program"),
    resolve("test/bench/lab/native/program.c"),
  ]);
});
afterAll(() => place.remove());

function record(...program: string[]): Run {
  return place.refheap(["record", "--native", "-o", "t.rht", "--", ...program]);
}

function events(file: string): string[] {
  return place.refheap(["convert", file, "-", "--to", "text"]).stdout.trim().split("\n").slice(1);
}

/** The events of the one block that was asked for with this many bytes, from then on: thread and id left out. */
function eventsOfBlock(all: readonly string[], bytes: number): string[] {
  const start = all.findIndex((line) => line.endsWith(` ${bytes}`) && /^\d+ (malloc|calloc|aligned) /.test(line));
  if (start < 0) return [];
  const id = all[start].split(" ")[2];
  const own: string[] = [];
  for (const line of all.slice(start)) {
    const [, word, lineId, ...rest] = line.split(" ");
    if (lineId !== id) continue;
    own.push([word, ...rest].join(" "));
    if (word === "free") break;
  }
  return own;
}

describe.runIf(compiler !== null)("a native program", () => {
  test("has the first load and the first store of each page in its trace", () => {
    expect(record("./program", "touches")).toMatchObject({ status: 0, stdout: "" });
    expect(eventsOfBlock(events("t.rht"), BIG)).toEqual([
      `malloc ${BIG}`,
      `write ${5 * PAGE} 1`,
      `read ${9 * PAGE} 1`,
      `write ${9 * PAGE + 100} 1`,
      `read ${20 * PAGE} 1`,
      "free",
    ]);
  });

  test.each(["zeroed", "moves", "threads", "aligned"])("%s: sees the memory that C promises", (name) => {
    expect(record("./program", name)).toMatchObject({ status: 0, stdout: "" });
  });

  test("may hand untouched memory to the kernel; only what was read or filled counts", () => {
    expect(record("./program", "kernel")).toMatchObject({ status: 0, stdout: "" });
    const all = events("t.rht");
    expect(eventsOfBlock(all, BIG)).toEqual([`malloc ${BIG}`, "read 0 1", `write ${100 * PAGE} 1`]);
    const text = eventsOfBlock(all, BIG + 20);
    expect(text.length).toBeGreaterThan(1);
    expect(text.length).toBeLessThan(20);
  });

  test("has its threads in the trace, each with a beginning and an end", () => {
    record("./program", "threads");
    const all = events("t.rht");
    expect(all.filter((line) => line.endsWith("thread-start"))).toHaveLength(4);
    expect(all.filter((line) => line.endsWith("thread-end"))).toHaveLength(4);
  });

  test("that forks leaves a trace for each process; a block from before is the parent's", () => {
    expect(record("./program", "forks").status).toBe(0);
    expect(eventsOfBlock(events("t.rht"), BIG)).toEqual([`malloc ${BIG}`, "write 0 1", `write ${2 * PAGE} 1`, "free"]);
    const child = readdirSync(place.folder).find((name) => /^t\.rht\.\d+$/.test(name));
    expect(eventsOfBlock(events(child ?? ""), BIG + 1)).toEqual([`malloc ${BIG + 1}`, `write ${3 * PAGE} 1`]);
    expect(events(child ?? "").some((line) => line.includes(` ${BIG}`))).toBe(false);
  });

  test("that is killed leaves all that it did until then", () => {
    expect(record("./program", "killed").status).toBe(128 + 9);
    expect(eventsOfBlock(events("t.rht"), BIG)).toHaveLength(51);
  });

  test("keeps its own handler of SIGSEGV, may block all signals and run on a stack in the heap", () => {
    expect(record("./program", "signals")).toMatchObject({ status: 0, stdout: "" });
    expect(eventsOfBlock(events("t.rht"), BIG)).toEqual([`malloc ${BIG}`, `write ${PAGE} 1`]);
  });

  test("that crashes ends by its signal", () => {
    expect(record("./program", "crashes").status).toBe(128 + 11);
    expect(eventsOfBlock(events("t.rht"), BIG)).toHaveLength(2);
  });

  test("may be a shell with pipes, subshells and an exec: a file a process, each whole", () => {
    const script = 'x=$(echo hello); (echo "$x"; ls / >/dev/null) | cat; exec sort -r sort.mtrace';
    const { status, stdout } = place.shell(
      `mkdir shell && "$NODE" "$MAIN" record --native -o shell/s.rht -- sh -c '${script}' | sed 1q`,
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "hello\n" });
    const files = readdirSync(place.path("shell"));
    expect(files).toContain("s.rht");
    expect(files.length).toBeGreaterThan(3);
    for (const name of files) {
      expect(place.refheap(["inspect", `shell/${name}`])).toMatchObject({ status: 0, stderr: "" });
    }
  });

  test("that cannot be seen is said to have made no allocation, and ends as it would", () => {
    execFileSync(compiler!, [
      "-static",
      "-o",
      place.path("static"),
      resolve("test/bench/lab/native/program.c"),
      "-pthread",
      "-w",
    ]);
    const { status, stderr } = record("./static", "touches");
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr:
        "refheap: nothing was recorded: ./static made no allocation that a preloaded library sees (is it static?)\n",
    });
  });

  test("leaves nothing else behind", () => {
    record("./program", "touches");
    expect(readdirSync(place.folder).filter((name) => name.includes(".raw"))).toEqual([]);
  });
});
