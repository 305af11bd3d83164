// The memory at the peak by who asked for it, as profiles for speedscope and for the Firefox profiler: bytes in the place of time.
// The figures are made while replaying (bench/lab/replay/attribution.ts); the report shows the same as tables (peak-shares.ts).
import { formatBytes } from "../../harness/table.ts";
import type { PeakShares, Share } from "../replay/attribution.ts";
import type { ReplayResult } from "../replay/result.ts";

/** A weighed stack, outermost frame first. */
interface Stack {
  readonly frames: readonly string[];
  readonly bytes: number;
}

/** One measure of one trace under one policy. */
interface MemoryProfile {
  readonly name: string;
  readonly stacks: readonly Stack[];
}

/**
 * Two profiles for each result that knows its peak: bytes asked for, and of these the bytes that were never stored to, which a memset
 * makes resident. Without call sites, sizes stand in their place.
 */
function profilesOf(results: readonly ReplayResult[]): MemoryProfile[] {
  return results.flatMap(({ trace, touches, policy, atPeak }) => {
    if (atPeak === undefined || atPeak.total.blocks === 0) return [];
    const of = `${trace}, touches ${touches}, at the peak of ${policy.name}`;
    return [
      { name: `untouched bytes: ${of}`, stacks: stacksOf(atPeak, ({ untouchedBytes }) => untouchedBytes) },
      { name: `bytes asked for: ${of}`, stacks: stacksOf(atPeak, ({ bytes }) => bytes) },
    ];
  });
}

function stacksOf({ total, sites, sizes }: PeakShares, measure: (share: Share) => number): Stack[] {
  const known = sites.length > 0;
  const stacks = known
    ? sites.map((share) => ({ frames: framesOf(share.site), bytes: measure(share) }))
    : sizes.map((share) => ({
        frames: [share.atMost === null ? "larger blocks" : `blocks of ≤ ${formatBytes(share.atMost)}`],
        bytes: measure(share),
      }));
  // The table of call sites has the largest only.
  const rest = measure(total) - stacks.reduce((sum, { bytes }) => sum + bytes, 0);
  return [...stacks, { frames: ["other call sites"], bytes: rest }].filter(({ bytes }) => bytes > 0);
}

/** glibc writes `FILE:(FUNCTION+OFFSET)[ADDRESS]` or `FILE:[ADDRESS]`: the file calls the function. */
function framesOf(site: string): string[] {
  const [, file, place, address] = /^(.+?):?(?:\(([^)]*)\))?(\[0x[0-9a-f]+\])$/.exec(site) ?? [];
  if (file === undefined) return [site];
  return [file, place === undefined || place === "" ? address : place];
}

/** Names by number. */
class Names {
  readonly all: string[] = [];
  private readonly numbers = new Map<string, number>();

  of(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    this.numbers.set(name, this.all.length);
    return this.all.push(name) - 1;
  }
}

/** A file for https://www.speedscope.app. @throws RangeError: no result knows what was live at its peak */
export function speedscopeFile(results: readonly ReplayResult[]): object {
  const frames = new Names();
  const profiles = required(profilesOf(results)).map(({ name, stacks }) => {
    const weights = stacks.map(({ bytes }) => bytes);
    return {
      type: "sampled",
      name,
      unit: "bytes",
      startValue: 0,
      endValue: sum(weights),
      samples: stacks.map((stack) => stack.frames.map((frame) => frames.of(frame))),
      weights,
    };
  });
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    name: "refheap report",
    exporter: "refheap",
    activeProfileIndex: 0,
    shared: { frames: frames.all.map((name) => ({ name })) },
    profiles,
  };
}

/** The version of the processed profile format that is written; the profiler upgrades older ones as it loads them. */
const FIREFOX_VERSION = 48;

/** A file for https://profiler.firefox.com, a thread a profile. @throws RangeError: no result knows what was live at its peak */
export function firefoxProfile(results: readonly ReplayResult[]): object {
  return {
    meta: {
      interval: 1,
      startTime: 0,
      processType: 0,
      product: "refheap report",
      stackwalk: 1,
      version: 27,
      preprocessedProfileVersion: FIREFOX_VERSION,
      symbolicated: true,
      categories: [{ name: "Memory", color: "orange", subcategories: ["Other"] }],
      markerSchema: [],
      extensions: { id: [], name: [], baseURL: [], length: 0 },
    },
    libs: [],
    pages: [],
    threads: required(profilesOf(results)).map(firefoxThread),
  };
}

function firefoxThread({ name, stacks }: MemoryProfile, index: number): object {
  const names = new Names();
  /** One frame and one function a name, one stack a path. */
  const functions = new Names();
  const paths = new Names();
  const table: { frame: number; prefix: number | null }[] = [];
  const stackOf = (frames: readonly string[]): number =>
    frames.reduce<number>((prefix, frame, depth) => {
      const stack = paths.of(JSON.stringify(frames.slice(0, depth + 1)));
      if (stack === table.length) table.push({ frame: functions.of(frame), prefix: depth === 0 ? null : prefix });
      return stack;
    }, 0);
  const samples = stacks.map(({ frames }) => stackOf(frames));
  const count = functions.all.length;
  const column = <T>(length: number, value: T): T[] => new Array<T>(length).fill(value);
  return {
    processType: "default",
    processName: "refheap",
    processStartupTime: 0,
    processShutdownTime: null,
    registerTime: 0,
    unregisterTime: null,
    pausedRanges: [],
    name,
    isMainThread: index === 0,
    pid: "0",
    tid: index,
    samples: {
      weightType: "bytes",
      weight: stacks.map(({ bytes }) => bytes),
      stack: samples,
      time: samples.map((_, at) => at),
      length: samples.length,
    },
    markers: { data: [], name: [], startTime: [], endTime: [], phase: [], category: [], length: 0 },
    stackTable: {
      frame: table.map(({ frame }) => frame),
      prefix: table.map(({ prefix }) => prefix),
      category: column(table.length, 0),
      subcategory: column(table.length, 0),
      length: table.length,
    },
    frameTable: {
      address: column(count, -1),
      inlineDepth: column(count, 0),
      category: column(count, 0),
      subcategory: column(count, 0),
      func: functions.all.map((_, at) => at),
      nativeSymbol: column(count, null),
      innerWindowID: column(count, 0),
      implementation: column(count, null),
      line: column(count, null),
      column: column(count, null),
      length: count,
    },
    funcTable: {
      isJS: column(count, false),
      relevantForJS: column(count, false),
      name: functions.all.map((function_) => names.of(function_)),
      resource: column(count, -1),
      fileName: column(count, null),
      lineNumber: column(count, null),
      columnNumber: column(count, null),
      length: count,
    },
    resourceTable: { lib: [], name: [], host: [], type: [], length: 0 },
    nativeSymbols: { libIndex: [], address: [], name: [], functionSize: [], length: 0 },
    stringArray: names.all,
  };
}

function required(profiles: readonly MemoryProfile[]): readonly MemoryProfile[] {
  if (profiles.length === 0) throw new RangeError("no result knows what was live at its peak");
  return profiles;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
