// Recordings of the real Scudo, in the format of golden/scudo: every line, or group of lines of one process, is a case.
// Lines are told apart by their fields, never by the name of their file. What a kind replays is in scudo/.
import { basename } from "node:path";
import { readLines, UnreadableFile } from "../lines.ts";
import type { RunOptions, Tally } from "../runner.ts";
import { replayMallinfo, replayMallocInfo, replayPrintStats, replayRss } from "./accounting.ts";
import { replayChecksum, replayErrno, replayMallopt } from "./answers.ts";
import { replayFill, replayQuarantine, replaySecondaryCache, replaySetters } from "./contents.ts";
import type { Difference } from "./difference.ts";
import { replayMisuse } from "./misuse.ts";
import { type Case, CaseGatherer, type Kind, type Observation } from "./record.ts";
import { replayRelease } from "./release.ts";
import { replayAlign, replayOrigins, replayRealloc, replaySizes, replayWindows } from "./shapes.ts";

type Replay = (recorded: readonly Observation[]) => Difference | undefined;

const replays: Readonly<Record<Kind, Replay>> = {
  align: replayAlign,
  checksum: replayChecksum,
  errno: replayErrno,
  fill: replayFill,
  mallinfo: replayMallinfo,
  malloc_info: replayMallocInfo,
  mallopt: replayMallopt,
  misuse: replayMisuse,
  origins: replayOrigins,
  print_stats: replayPrintStats,
  quarantine: replayQuarantine,
  realloc: replayRealloc,
  release: replayRelease,
  rss: replayRss,
  secondary_cache: replaySecondaryCache,
  setters: replaySetters,
  sizes: replaySizes,
  windows: replayWindows,
};

/** Replays every case of `files`; `only` chooses by a case's name, as `--verbose` shows it, or by its kind. */
export async function runScudo(files: readonly string[], options: RunOptions = {}): Promise<Tally> {
  const { verbose = false, only, print = console.log } = options;
  const tally: Tally = { passed: 0, failed: 0 };
  for (const file of files) {
    const gatherer = new CaseGatherer();
    try {
      for await (const line of readLines(file)) gatherer.add(line);
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      print(error.message);
      tally.failed++;
    }
    for (const one of gatherer.cases) {
      const name = nameOf(one);
      if (only !== undefined && name !== only && one.kind !== only) continue;
      const difference = replay(one);
      if (difference === undefined) {
        tally.passed++;
        if (verbose) print(`${name}: passed`);
        continue;
      }
      tally.failed++;
      for (const text of describeFailure(name, one, difference, verbose)) print(text);
    }
  }
  return tally;
}

/** `misuse: free twice`, or the file's name and the line's number where a line has no name. */
function nameOf({ kind, place, observations }: Case): string {
  const [first] = observations;
  const words = first?.case ?? first?.call ?? first?.what;
  const options = first?.options === undefined || first.options === "" ? "" : ` [${first.options}]`;
  if (words !== undefined) return `${kind}: ${words}${options}`;
  return `${kind ?? "line"}: ${basename(place.file)}:${place.number}`;
}

function replay(one: Case): Difference | undefined {
  if (one.kind === undefined) {
    const got = "a line of no known kind";
    return { field: "line", expected: "a JSON object with the fields of a recording", got };
  }
  try {
    return replays[one.kind](one.observations);
  } catch (error) {
    return { field: "exception", expected: "none", got: (error as Error).stack ?? String(error) };
  }
}

function describeFailure(
  name: string,
  { place, observations }: Case,
  difference: Difference,
  verbose: boolean,
): string[] {
  return [
    `${name} (${place.file}:${place.number})`,
    ...(verbose ? observations.map((observation) => `  recorded  ${JSON.stringify(observation)}`) : []),
    `  ${difference.field}`,
    `    expected  ${show(difference.expected)}`,
    `    got       ${show(difference.got)}`,
  ];
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
