// What a fuzzer is: programs that fast-check draws and shrinks, and a run of one against what must hold. Which there are is in
// fuzzers.ts; how long they run is decided in run.ts.
import type fc from "fast-check";
import type { Journal } from "./journal.ts";

export interface Fuzzer<T> {
  /** Programs as plain data, so that one that failed can be kept as a line of JSON. */
  readonly program: fc.Arbitrary<T>;
  /**
   * Runs one program in a world of its own and throws at the first thing that must not be.
   * @returns how many operations were compared with what must hold
   */
  readonly run: (program: T, journal: Journal) => number | Promise<number>;
  /** Programs that continuous integration runs: a number and no time, so that it runs the same on every machine. */
  readonly inTests: number;
}
