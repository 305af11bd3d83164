// Runs fuzzers for a time or for a number of programs, and tells a failure with its seed and its shortest program. No command line in here.
import fc from "fast-check";
import type { Fuzzer } from "./fuzzer.ts";
import { silent, WrittenJournal } from "./journal.ts";

export interface Failure {
  readonly fuzzer: string;
  readonly seed: number;
  /** Where fast-check's shrinking ended; with the seed it gives the program again. */
  readonly path: string;
  readonly program: unknown;
  readonly error: Error;
  /** The program as calls, up to the one that failed. */
  readonly lines: readonly string[];
}

export interface Tally {
  programs: number;
  operations: number;
}

/** A batch is long enough that its beginning costs nothing, and short enough that the time limit is kept. */
const BATCH = 20;
/** Shrinking stops here where there is a clock: what it has found by then is short enough. */
const SHRINK_MS = 20_000;

/** Which programs: their seed, how many, the path of a single one; `isTimed`: an end of shrinking by the clock. */
export interface Batch {
  readonly seed: number;
  readonly count: number;
  readonly path?: string;
  readonly isTimed?: boolean;
}

/** Runs `count` programs from `seed` on. @returns the failure, if there is one */
export async function runBatch<T>(
  name: string,
  fuzzer: Fuzzer<T>,
  { seed, count, path, isTimed = false }: Batch,
  tally: Tally,
): Promise<Failure | undefined> {
  const property = fc.asyncProperty(fuzzer.program, async (program) => {
    tally.operations += await fuzzer.run(program, silent);
    tally.programs++;
  });
  const result = await fc.check(property, {
    seed,
    numRuns: count,
    ...(isTimed ? { interruptAfterTimeLimit: SHRINK_MS } : {}),
    ...(path === undefined ? {} : { path }),
  });
  if (!result.failed || result.counterexample === null) return undefined;
  const [program] = result.counterexample;
  const { error, lines } = await written(fuzzer, program);
  const told = error ?? (result.errorInstance as Error);
  return { fuzzer: name, seed, path: result.counterexamplePath ?? "", program, error: told, lines };
}

/** Runs one program with everything that it calls written down. */
export async function written<T>(
  fuzzer: Fuzzer<T>,
  program: T,
): Promise<{ readonly error: Error | undefined; readonly lines: readonly string[] }> {
  const journal = new WrittenJournal();
  try {
    await fuzzer.run(program, journal);
    return { error: undefined, lines: journal.lines };
  } catch (error) {
    return { error: error as Error, lines: journal.lines };
  }
}

/** Gives each fuzzer its turn until the time is over. Seeds go up by one a batch. @returns the seed after the last. */
export async function runFor(
  fuzzers: ReadonlyMap<string, Fuzzer<unknown>>,
  { seed, milliseconds }: { readonly seed: number; readonly milliseconds: number },
  tallies: Map<string, Tally>,
  onFailure: (failure: Failure) => void,
): Promise<number> {
  const end = performance.now() + milliseconds;
  // One program of a fuzzer may cost a hundred of another: each turn is as long as the others'.
  const turn = Math.max(200, Math.min(2000, milliseconds / (4 * fuzzers.size)));
  const failed = new Set<string>();
  let next = seed;
  while (performance.now() < end && failed.size < fuzzers.size) {
    for (const [name, fuzzer] of fuzzers) {
      if (failed.has(name)) continue;
      const tally = tallyOf(tallies, name);
      const until = Math.min(end, performance.now() + turn);
      while (performance.now() < until && !failed.has(name)) {
        const failure = await runBatch(name, fuzzer, { seed: next++, count: BATCH, isTimed: true }, tally);
        if (failure === undefined) continue;
        onFailure(failure);
        failed.add(name);
      }
    }
  }
  return next;
}

function tallyOf(tallies: Map<string, Tally>, name: string): Tally {
  const tally = tallies.get(name) ?? { programs: 0, operations: 0 };
  tallies.set(name, tally);
  return tally;
}

/** A failure as its finder reads it: what was wrong, the program, how to see it again. */
export function describeFailure({ fuzzer, seed, path, program, error, lines }: Failure): string[] {
  return [
    `${fuzzer}: ${error.message}`,
    ...lines.map((line) => `    ${line}`),
    ...(error.stack ?? "")
      .split("\n")
      .filter((line) => line.startsWith("    at "))
      .slice(0, 4),
    `  again:  npm run fuzz -- --only ${fuzzer} --seed ${seed} --path ${path}`,
    `  to keep (test/fuzz/regressions.jsonl):  ${JSON.stringify({ fuzzer, program })}`,
  ];
}
