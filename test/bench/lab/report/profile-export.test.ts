// The exports for speedscope and the Firefox profiler, against the structure that each one's loader asks for, and against the result.
import { Ajv } from "ajv";
import { beforeAll, describe, expect, test } from "vitest";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import type { ReplayResult } from "../../../../bench/lab/replay/result.ts";
import { replayTrace } from "../../../../bench/lab/replay/run-replay.ts";
import { firefoxProfile, speedscopeFile } from "../../../../bench/lab/report/profile-export.ts";
import { openTraceStream } from "../../../../bench/lab/traces/open.ts";

const MTRACE = `= Start
@ ./app:(load+0x1a)[0x401100] + 0x1000 0xf4240
@ ./app:(parse+0x8)[0x401200] + 0x200000 0x1e8480
@ /lib/libc.so:[0x7f01] + 0x500000 0x64
= End
`;

async function replayed(text: string): Promise<ReplayResult> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }
  const trace = await openTraceStream(chunks(), "app", {});
  return replayTrace(trace, { policy: parsePolicy("pattern-memset"), seed: 1, memoryBytes: 2 ** 26, touches: "none" });
}

let withSites: ReplayResult;
let without: ReplayResult;
beforeAll(async () => {
  withSites = await replayed(MTRACE);
  without = await replayed("refheap-trace 1\n0 malloc 0 1000000\n0 malloc 1 10\n");
});

/** Rules of https://www.speedscope.app/file-format-schema.json that concern sampled profiles. */
const SPEEDSCOPE = {
  type: "object",
  required: ["$schema", "shared", "profiles"],
  additionalProperties: false,
  properties: {
    $schema: { const: "https://www.speedscope.app/file-format-schema.json" },
    name: { type: "string" },
    exporter: { type: "string" },
    activeProfileIndex: { type: "number" },
    shared: {
      type: "object",
      required: ["frames"],
      properties: {
        frames: {
          type: "array",
          items: {
            type: "object",
            required: ["name"],
            additionalProperties: false,
            properties: {
              name: { type: "string" },
              file: { type: "string" },
              line: { type: "number" },
              col: { type: "number" },
            },
          },
        },
      },
    },
    profiles: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
        properties: {
          type: { const: "sampled" },
          name: { type: "string" },
          unit: { enum: ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"] },
          startValue: { type: "number" },
          endValue: { type: "number" },
          samples: { type: "array", items: { type: "array", items: { type: "integer", minimum: 0 } } },
          weights: { type: "array", items: { type: "number" } },
        },
      },
    },
  },
};

interface Speedscope {
  readonly shared: { readonly frames: readonly { readonly name: string }[] };
  readonly profiles: readonly {
    readonly name: string;
    readonly endValue: number;
    readonly samples: readonly (readonly number[])[];
    readonly weights: readonly number[];
  }[];
}

describe("the file for speedscope", () => {
  test("keeps its schema, has a weight a stack, and only frames that there are", () => {
    for (const result of [withSites, without]) {
      const file = speedscopeFile([result]) as Speedscope;
      const validate = new Ajv().compile(SPEEDSCOPE);
      expect(validate(file), JSON.stringify(validate.errors)).toBe(true);
      for (const { samples, weights, endValue } of file.profiles) {
        expect(samples).toHaveLength(weights.length);
        expect(weights.reduce((sum, one) => sum + one, 0)).toBe(endValue);
        for (const frame of samples.flat()) expect(file.shared.frames[frame]).toBeDefined();
      }
    }
  });

  test("says of each call site what the report says, the file as caller of the function", () => {
    const { shared, profiles } = speedscopeFile([withSites]) as Speedscope;
    const { atPeak } = withSites;
    const stacks = profiles[1].samples.map((stack) => stack.map((frame) => shared.frames[frame].name).join(" > "));
    expect(Object.fromEntries(stacks.map((stack, index) => [stack, profiles[1].weights[index]]))).toEqual({
      "./app > load+0x1a": 1_000_000,
      "./app > parse+0x8": 2_000_000,
      "/lib/libc.so > [0x7f01]": 100,
    });
    expect(profiles[1].endValue).toBe(atPeak?.total.bytes);
    expect(profiles[0].endValue).toBe(atPeak?.total.untouchedBytes);
    expect(profiles[0].name).toBe("untouched bytes: app, touches none, at the peak of pattern-memset");
  });

  test("has sizes where no call sites are known, and what the report's table leaves out in one stack", () => {
    const sizes = speedscopeFile([without]) as Speedscope;
    expect(sizes.shared.frames.map(({ name }) => name)).toEqual(["blocks of ≤ 1 MiB", "blocks of ≤ 256 B"]);
    const cut = { ...withSites, atPeak: { ...withSites.atPeak!, sites: withSites.atPeak!.sites.slice(0, 1) } };
    const { shared, profiles } = speedscopeFile([cut]) as Speedscope;
    expect(shared.frames.map(({ name }) => name)).toContain("other call sites");
    expect(profiles[1].endValue).toBe(3_000_100);
  });
});

interface Table {
  readonly length: number;
  readonly [column: string]: unknown;
}
interface FirefoxThread {
  readonly samples: Table & { readonly stack: number[]; readonly weight: number[]; readonly weightType: string };
  readonly stackTable: Table & { readonly frame: number[]; readonly prefix: (number | null)[] };
  readonly frameTable: Table & { readonly func: number[] };
  readonly funcTable: Table & { readonly name: number[] };
  readonly stringArray: readonly string[];
  readonly tid: number;
}

describe("the file for the Firefox profiler", () => {
  test("has columns of one length in each table, and indices that exist; a stack's prefix comes before it", () => {
    const { meta, threads } = firefoxProfile([withSites, without]) as {
      meta: { preprocessedProfileVersion: number; categories: unknown[] };
      threads: FirefoxThread[];
    };
    expect(meta.preprocessedProfileVersion).toBe(48);
    expect(threads.map(({ tid }) => tid)).toEqual([0, 1, 2, 3]);
    for (const thread of threads) {
      for (const table of Object.values(thread)) {
        if (typeof table !== "object" || table === null || Array.isArray(table)) continue;
        const { length, ...columns } = table as Table;
        for (const column of Object.values(columns)) if (Array.isArray(column)) expect(column).toHaveLength(length);
      }
      const { samples, stackTable, frameTable, funcTable, stringArray } = thread;
      expect(samples.weightType).toBe("bytes");
      for (const stack of samples.stack) expect(stack).toBeLessThan(stackTable.length);
      for (const [stack, prefix] of stackTable.prefix.entries()) expect(prefix ?? -1).toBeLessThan(stack);
      for (const frame of stackTable.frame) expect(frame).toBeLessThan(frameTable.length);
      for (const func of frameTable.func) expect(func).toBeLessThan(funcTable.length);
      for (const name of funcTable.name) expect(typeof stringArray[name]).toBe("string");
    }
  });

  test("has the same stacks as the file for speedscope, with shared callers once", () => {
    const { threads } = firefoxProfile([withSites]) as { threads: FirefoxThread[] };
    const { samples, stackTable, frameTable, funcTable, stringArray } = threads[1];
    const path = (stack: number | null): string[] =>
      stack === null
        ? []
        : [...path(stackTable.prefix[stack]), stringArray[funcTable.name[frameTable.func[stackTable.frame[stack]]]]];
    expect(samples.stack.map((stack) => path(stack).join(" > ")).sort()).toEqual([
      "./app > load+0x1a",
      "./app > parse+0x8",
      "/lib/libc.so > [0x7f01]",
    ]);
    expect(stackTable.length).toBe(5);
    expect(samples.weight.reduce((sum, one) => sum + one, 0)).toBe(3_000_100);
  });
});

test("results that do not know their peak are said, not written as nothing", () => {
  const old = { ...withSites, atPeak: undefined };
  for (const make of [speedscopeFile, firefoxProfile]) expect(() => make([old])).toThrow("no result knows");
});
