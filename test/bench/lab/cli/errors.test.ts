// How the command fails: exit code 2 and a hint for wrong usage, 1 and one sentence for work that failed, no stack, no output.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SMALL, Workplace } from "./refheap.ts";

/** What Valgrind's DHAT writes of one call of malloc. */
const DHAT =
  '{"dhatFileVersion":2\n,"mode":"heap","cmd":"./app"\n' +
  ',"pps":[{"tb":4096,"tbk":1,"gb":4096,"gbk":1,"eb":0,"ebk":0,"rb":8,"wb":16,"fs":[1,2]}]\n' +
  ',"ftbl":["[root]","0x1: malloc (vg_replace_malloc.c:380)","0x2: make (app.c:12)"]}\n';

let place: Workplace;
beforeAll(() => {
  place = new Workplace();
  place.write("empty", "");
  place.write(
    "noise",
    Uint8Array.from({ length: 5000 }, (_, index) => (index * 167 + 13) & 255),
  );
  place.write("cut.gz", gzipSync(SMALL).subarray(0, 60));
  place.write("packed.zst", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0));
  place.write("bad.txt", SMALL.replace("1 malloc 1 100", "1 malloc one 100"));
  place.write("bad.json", '{"kind": "other"}');
  place.write("dhat.out", DHAT);
  mkdirSync(join(place.folder, "folder"));
});
afterAll(() => place.remove());

describe("wrong usage ends with code 2 and the nearest right name", () => {
  test.each([
    [["replya", "small.txt"], /unknown command 'replya'\n\(Did you mean replay\?\)/],
    [["replay", "small.txt", "--polcy", "none"], /unknown option '--polcy'\n\(Did you mean --policy\?\)/],
    [["replay", "small.txt", "--polcy=none"], /unknown option '--polcy=none'\n\(Did you mean --policy\?\)/],
    [["check", "--orgins=yes", "empty"], /unknown option '--orgins=yes'\n\(Did you mean --track-origins\?\)/],
    [["check", "--orgins", "yes", "empty"], /unknown option '--orgins'\n\(Did you mean --track-origins\?\)/],
    [["check", "--suppresions=a'b", "empty"], /\n\(Did you mean --suppressions\?\)\n\(--help says more\)/],
    [["check", "--json=yes", "empty"], /unknown option '--json=yes'\n\(Did you mean --json\?\)/],
    [["run", "--xyzzy=none", "empty"], /unknown option '--xyzzy=none'\n\(--help says more\)/],
    [["check", "--leak-check=sumary", "empty"], /Allowed choices are no, summary, full\. \(Did you mean summary\?\)/],
    [["replay", "small.txt", "-p", "none,pattern-refpag"], /Did you mean pattern-refpage\?/],
    [["replay", "small.txt", "-t", "fractoin=0.5"], /Did you mean fraction\?/],
    [["replay", "small.txt", "-t", "fraction=2"], /fractions from 0 to 1/],
    [["replay", "small.txt", "-m", "dragonbord-845c"], /Did you mean dragonboard-845c\?/],
    [["inspect", "small.txt", "-f", "mtarce"], /Allowed choices are android, .*Did you mean mtrace\?/],
    [["convert", "small.txt", "x", "--to", "txt"], /Allowed choices are binary, text\..*Did you mean text\?/],
    [["replay", "small.txt", "--shard", "3/2"], /"3\/2" is not i\/n with 1 ≤ i ≤ n/],
    [["replay", "small.txt", "--memory", "1"], /"1" is not a size from 16M to 16G/],
    [["replay", "small.txt", "--repeat", "0"], /"0" is not a whole number from 1 to 1000/],
    [["replay", "small.txt", "--json", "--csv"], /cannot be used with/],
    [["replay"], /missing required argument 'trace'/],
    [["merge", "out.json"], /missing required argument 'results'/],
    [["replay", "-"], /can be replayed once: choose one policy and one seed/],
  ])("%j", (programArguments, sentence) => {
    const { status, stdout, stderr } = place.refheap(programArguments);
    expect(stderr).toMatch(sentence);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });
});

describe("work that fails ends with code 1 and one sentence that names the file", () => {
  test.each([
    [["replay", "nothing.txt"], "nothing.txt: no such file"],
    [["replay", "."], ".: is a folder, a file is needed"],
    [["compare", "."], ".: is a folder, a file is needed"],
    [["inspect", "cut.gz"], "cut.gz: expected packed data that can be unpacked, found unexpected end of file"],
    [["replay", "small.txt", "-o", "no/results.json"], "no/results.json: there is no folder no"],
    [["convert", "small.txt", "no/out.rht"], "no/out.rht: there is no folder no"],
    [["record", "--", "no-such-program"], "no-such-program: no such program"],
    [["replay", "small.txt", "-o", "folder"], "folder: is a folder, a file is needed"],
    [["report", "small.txt", "-o", "folder"], "folder: is a folder, a file is needed"],
    [["convert", "small.txt", "folder"], "folder: is a folder, a file is needed"],
    [["record", "-o", "folder", "--", "node", "-e", "1"], "folder: is a folder, a file is needed"],
    [["check", "folder"], "folder: is a folder, a file is needed"],
    [["check", "empty"], "empty: no module: fewer than 8 bytes (at byte 0 of the module)"],
    [["run", "empty"], "empty: no module: fewer than 8 bytes (at byte 0 of the module)"],
    [["check", "--suppressions", "folder", "empty"], "folder: is a folder, a file is needed"],
    [
      ["replay", "dhat.out"],
      "dhat.out: expected a trace, found a DHAT profile, which has no order of calls; refheap inspect shows its sums",
    ],
    [
      ["report", "dhat.out"],
      "dhat.out: expected a trace, found a DHAT profile, which has no order of calls; refheap inspect shows its sums",
    ],
  ])("%j", (programArguments, sentence) => {
    const { status, stdout, stderr } = place.refheap(programArguments);
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: "", stderr: `refheap: ${sentence}\n` });
  });

  test.each([
    [
      ["inspect", "noise"],
      /^refheap: noise:1: expected a trace \(android, mtrace, rep, lackey, binary, text, trace-malloc, heaptrack\), found "[^\n]*\n$/,
    ],
    [["compare", "small.txt"], /^refheap: small.txt: expected results as refheap replay --json writes them/],
    [["report", "bad.json"], /^refheap: bad.json: expected results .* \("kind": "refheap-results"\)\n$/],
  ])("%j", (programArguments, sentence) => {
    const { status, stdout, stderr } = place.refheap(programArguments);
    expect(stderr).toMatch(sentence);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  });

  test("a zstd trace where this Node cannot read it, or one that is broken where it can", () => {
    const { status, stderr } = place.refheap(["inspect", "packed.zst"]);
    expect(stderr).toMatch(/^refheap: packed\.zst: expected /);
    expect(status).toBe(1);
  });
});

describe("a bad line", () => {
  test("is named with its number, what was expected and found, and the way around it", () => {
    const { status, stderr } = place.refheap(["replay", "bad.txt", "-p", "none"]);
    expect(stderr).toBe(
      'refheap: bad.txt:4: expected "THREAD malloc ID SIZE", found "1 malloc one 100" (--skip-bad passes over bad lines)\n',
    );
    expect(status).toBe(1);
  });

  test("is the same error from a worker thread", () => {
    const { status, stderr } = place.refheap(["replay", "bad.txt", "-p", "none,zero", "-j", "2"]);
    expect(stderr).toMatch(/^refheap: bad\.txt:4: expected "THREAD malloc ID SIZE"/);
    expect(status).toBe(1);
  });

  test.each(["replay", "inspect"])("is counted by %s --skip-bad", (command) => {
    const more = command === "replay" ? ["-p", "none"] : [];
    const { status, stdout, stderr } = place.refheap([command, "bad.txt", "--skip-bad", ...more]);
    expect(stdout + stderr).toContain("1 bad line passed over; the first: bad.txt:4: expected");
    expect(status).toBe(0);
  });
});

test("an empty file is a trace without events, not an error", () => {
  expect(place.refheap(["inspect", "empty"])).toMatchObject({ status: 0, stderr: "" });
  expect(place.refheap(["replay", "empty", "-p", "none"])).toMatchObject({ status: 0, stderr: "" });
});

test("a DHAT profile, of which no replay can be made, is summed up by inspect", () => {
  const { status, stdout } = place.refheap(["inspect", "dhat.out"]);
  expect(status).toBe(0);
  expect(stdout).toBe(`dhat.out: DHAT's profile of ./app, 1 call site
  1 call, 4 KiB; live at most 1 block, 4 KiB; at the end 0 blocks, 0 B
  it holds no order of calls, so it cannot be replayed: refheap record --native makes a trace of the program
  at the peak  in all  calls  read  written  call site
  ───────────  ──────  ─────  ────  ───────  ───────────────
        4 KiB   4 KiB      1   8 B     16 B  make (app.c:12)
`);
});
