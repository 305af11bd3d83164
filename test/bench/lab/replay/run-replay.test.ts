// Replays on the project's own heap: every policy keeps its promise, results repeat to the bit, and limits are results.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createHeapSubject, PATTERN_BYTE } from "../../../../bench/lab/replay/heap-subject.ts";
import { POLICIES, parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import type { ReplayResult } from "../../../../bench/lab/replay/result.ts";
import { type ReplayOptions, replayTrace, runReplay } from "../../../../bench/lab/replay/run-replay.ts";
import { traceOf } from "../traces/events-of.ts";

const LARGE = 600_000;
const perl = readFileSync(new URL("../traces/fixtures/perl-words-head.mtrace.gz", import.meta.url));

function options(policy: string, more: Partial<ReplayOptions> = {}): ReplayOptions {
  return { policy: parsePolicy(policy), seed: 1, memoryBytes: 2 ** 28, ...more };
}

async function replay(
  source: string | Uint8Array,
  policy: string,
  more: Partial<ReplayOptions> = {},
): Promise<ReplayResult> {
  return replayTrace(await traceOf(source, { skipBad: true }), options(policy, more));
}

const grow = `refheap-trace 1
0 malloc 0 ${LARGE}
0 write 0 100000 1
0 malloc 1 100
0 realloc 1 ${LARGE}
0 realloc 0 ${2 * LARGE}
0 calloc 2 ${LARGE} 1
0 realloc 1 50
0 free 2
0 calloc 3 1 ${LARGE}
0 free 0
0 malloc 4 ${LARGE}
0 aligned 5 8192 ${LARGE}
0 free 4
`;

describe.each(Object.keys(POLICIES).filter((name) => !name.startsWith("tag-")))("under %s", (policy) => {
  test("large blocks made, grown, shrunk, zeroed and reused keep their contents", async () => {
    const result = await replay(grow, policy, { verify: true });
    expect(result.stopped).toBe("");
    expect(result.replayed).toMatchObject({ operations: 13, failedAllocations: 0, clippedTouches: 0 });
  });

  test("a real trace replays, its names those of the trace's tally", async () => {
    const result = await replay(perl, policy, { touches: "all" });
    expect(result.replayed.operations).toBe(result.read.events);
    expect(result.touches).toBe("all");
  });
});

describe.each(["pattern-memset", "pattern-refpage", "pattern-refpage-double", "pattern-userfaultfd"])(
  "%s",
  (policy) => {
    test("hands out large blocks that read the pattern everywhere, fresh, reused and grown; calloc's read 0", () => {
      const target = createHeapSubject(options(policy));
      const reads = (address: number, from: number, to: number): Set<number> =>
        new Set(target.memory.read(address + from, to - from));
      const fresh = target.malloc(LARGE);
      expect(reads(fresh, 0, LARGE)).toEqual(new Set([PATTERN_BYTE]));
      target.memory.fill(fresh, 1, LARGE);
      const grown = target.realloc(fresh, 2 * LARGE, LARGE);
      expect(reads(grown, 0, LARGE)).toEqual(new Set([1]));
      target.free(grown);
      const reused = target.malloc(2 * LARGE - 5000);
      expect(reads(reused, 0, 2 * LARGE - 5000)).toEqual(new Set([PATTERN_BYTE]));
      target.free(reused);
      const zeroed = target.calloc(2, LARGE - 3000);
      expect(reads(zeroed, 0, 2 * (LARGE - 3000))).toEqual(new Set([0]));
      target.process.kernel.checkInvariants();
    });
  },
);

test("a large block that is hardly touched costs a page under refpage and userfaultfd, all of it under memset", async () => {
  const sparse = `refheap-trace 1\n0 malloc 0 ${100 * LARGE}\n0 write 0 ${LARGE} 1\n`;
  const [memset, refpage, userfaultfd] = await Promise.all(
    ["pattern-memset", "pattern-refpage", "pattern-userfaultfd"].map((policy) => replay(sparse, policy)),
  );
  expect(memset.peaks.rssBytes).toBeGreaterThan(100 * LARGE);
  expect(refpage.peaks.rssBytes).toBeLessThan(64 * 1024);
  expect(userfaultfd.peaks.rssBytes).toBeLessThan(64 * 1024);
  expect(userfaultfd.program.faultMessages).toBe(1);
  expect(refpage.pageMap.pages.flat().some((count) => count > 400)).toBe(true);
});

test("double initialisation writes each reference page's frame twice", async () => {
  const dense = `refheap-trace 1\n0 malloc 0 ${LARGE}\n0 write 0 0 ${LARGE}\n`;
  const [plumbed, double, nozero] = await Promise.all(
    ["", "-double", "-nozero"].map(async (suffix) => (await replay(dense, `pattern-refpage${suffix}`)).counters),
  );
  expect(double.bytesZeroed - plumbed.bytesZeroed).toBe(plumbed.bytesFilled);
  expect(plumbed.bytesFilled).toBeGreaterThanOrEqual(LARGE);
  expect(nozero).toEqual(plumbed);
});

test("a result is the same to the bit for the same seed, and another for another", async () => {
  const run = async (seed: number): Promise<string> =>
    JSON.stringify(await replay(perl, "pattern-refpage", { seed, touches: "fraction=0.4" }));
  expect(await run(3)).toBe(await run(3));
  expect(await run(3)).not.toBe(await run(4));
});

test("the touches of a trace count unless a model is asked for", async () => {
  const trace = "refheap-trace 1\n0 malloc 0 8192\n0 write 0 0 1\n";
  expect(await replay(trace, "none")).toMatchObject({ touches: "of the trace", replayed: { touchedPages: 1 } });
  expect(await replay(trace, "none", { touches: "all" })).toMatchObject({ touches: "all" });
  expect(await replay("= Start\n+ 0x10 0x8\n", "none")).toMatchObject({ touches: "first-page" });
});

test("a trace of our formats without touches gets the default model; a stream of one says that it had none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "refheap-touches-"));
  const file = join(folder, "trace.txt");
  const run = async (text: string): Promise<string> => {
    writeFileSync(file, text);
    return (await runReplay(file, options("none"))).touches;
  };
  const silent = "refheap-trace 1\n0 malloc 0 8192\n";
  expect(await run(silent)).toBe("first-page");
  expect(await run(`${silent}0 read 0 0 1\n`)).toBe("of the trace");
  expect((await replay(silent, "none")).touches).toBe("none");
  await expect(run(`${silent}0 read 0 0 1\n0 nonsense\n`)).rejects.toThrow("trace.txt");
  await expect(run(`${silent}0 nonsense\n`)).rejects.toThrow("trace.txt");
  rmSync(folder, { recursive: true });
});

describe("settings of the heap", () => {
  const reuse = `refheap-trace 1\n${`0 malloc 0 ${LARGE - 100_000}\n0 write 0 0 ${LARGE - 100_000}\n0 free 0\n`.repeat(9)}`;
  const calls = async (policy: string): Promise<Record<string, number>> =>
    (await replay(reuse, policy)).counters.systemCalls;

  test("without entries, or with smaller ones, each large block is a mapping of its own", async () => {
    const cached = await calls("none");
    for (const field of ["cacheEntries=0", "cacheEntryKb=64"]) {
      expect((await calls(`none+${field}`)).munmap).toBe((cached.munmap ?? 0) + 9);
    }
  });

  test("a size-class map decides what is large", async () => {
    const trace = `refheap-trace 1\n0 malloc 0 ${20 * 1024}\n`;
    const filled = async (policy: string): Promise<number> => (await replay(trace, policy)).counters.userBytesFilled;
    expect(await filled("pattern-refpage")).toBeGreaterThanOrEqual(20 * 1024);
    // Only the page that the reference page is made from.
    expect(await filled("pattern-refpage+sizeClasses=svelte")).toBe(4096);
  });

  test.each(["default", "android", "fuchsia", "trusty"])("configuration %s replays a real trace", async (config) => {
    const result = await replay(perl, `pattern-refpage+config=${config}`, { verify: true });
    expect(result.replayed.failedAllocations).toBe(0);
  });

  test.each(["android", "android32", "fuchsia", "svelte", "trusty"])("size classes %s replay one", async (map) => {
    const result = await replay(perl, `pattern-refpage+sizeClasses=${map}`, { verify: true });
    expect(result.replayed.failedAllocations).toBe(0);
  });

  test.each(["pattern-memset", "pattern-refpage", "pattern-userfaultfd"])(
    "%s has wide patterns too",
    async (policy) => {
      const target = createHeapSubject(options(`${policy}+patternBytes=16`));
      const wide = Array.from({ length: 16 }, (_, index) => PATTERN_BYTE + index);
      const address = target.malloc(LARGE + 7);
      for (const at of [0, 4096 * 3, LARGE - 16 - (LARGE % 16)]) {
        expect([...target.memory.read(address + at, 16)]).toEqual(wide);
      }
      expect([...target.memory.read(address + LARGE, 7)]).toEqual(wide.slice(LARGE % 16).slice(0, 7));
      const grown = target.realloc(address, 2 * LARGE, LARGE + 7);
      const last = Math.floor((2 * LARGE) / 16) * 16 - 16;
      expect([...target.memory.read(grown + last, 16)]).toEqual(wide);
    },
  );

  test("the account of larger pages never shows less than what was resident", async () => {
    const { peaks } = await replay(perl, "pattern-refpage", { touches: "all" });
    for (const bytes of Object.values(peaks.groupRssBytes)) expect(bytes).toBeGreaterThanOrEqual(peaks.rssBytes);
  });

  test("larger pages take fewer faults for the same touches", async () => {
    const dense = `refheap-trace 1\n0 malloc 0 ${4 * LARGE}\n0 write 0 0 ${4 * LARGE}\n`;
    const faults = async (pages: string): Promise<number> =>
      (await replay(dense, `pattern-refpage+pages=${pages}`)).counters.minorFaults;
    const plain = await faults("4K");
    expect(plain).toBeGreaterThan(580);
    expect(await faults("16K")).toBeLessThan(plain / 3.8);
    expect(await faults("64K")).toBeLessThan(plain / 14);
    expect(await faults("64K-folios+largeFill=memset")).toBeLessThan(plain / 9);
  });

  test("huge pages take fewer faults where a block holds a whole one, reference pages too if the policy lets them", async () => {
    const dense = `refheap-trace 1\n0 malloc 0 ${16 * LARGE}\n0 write 0 0 ${16 * LARGE}\n`;
    const faults = async (changes: string): Promise<number> =>
      (await replay(dense, `pattern-refpage${changes}`)).counters.minorFaults;
    const plain = await faults("");
    expect(await faults("+pages=huge")).toBeGreaterThan(plain * 0.9);
    expect(await faults("+pages=huge+largeFill=memset")).toBeLessThan(plain / 2);
    expect(await faults("+pages=huge+hugeReferencePages=duplicate")).toBeLessThan(plain / 2);
  });

  test("reference pages are small pages where the policy says so, huge pages or not", async () => {
    const dense = `refheap-trace 1\n0 malloc 0 ${4 * LARGE}\n0 write 0 0 ${4 * LARGE}\n`;
    const { counters } = await replay(dense, "pattern-refpage+pages=huge");
    expect(counters.bytesFilled).toBeLessThan(4 * LARGE + 2 ** 14);
  });
});

test("an empty trace gives a result of nothing", async () => {
  const result = await replay("", "none");
  expect(result).toMatchObject({ format: "empty", stopped: "", replayed: { operations: 0 } });
  expect(result.samples.operation).toEqual([0]);
});

test("memory that runs out stops the replay and says where", async () => {
  const greedy = `refheap-trace 1\n0 malloc 0 ${2 ** 27}\n0 write 0 0 ${2 ** 27}\n0 free 0\n`;
  const result = await replay(greedy, "none", { memoryBytes: 2 ** 25 });
  expect(result.stopped).toBe("out of memory at operation 2");
});

test("sizes beyond all memory fail as malloc does", async () => {
  const huge = "refheap-trace 1\n0 malloc 0 9007199254740991\n0 calloc 1 9007199254740991 9007199254740991\n0 free 0\n";
  expect(await replay(huge, "pattern-refpage")).toMatchObject({ stopped: "", replayed: { failedAllocations: 2 } });
});

test("marks are kept with their place", async () => {
  const result = await replay('refheap-trace 1\n0 malloc 0 8\n0 mark "half"\n0 free 0\n', "none");
  expect(result.marks).toEqual([{ operation: 2, label: "half" }]);
});
