// The sequences of calls that every allocator of `npm run bench -- malloc` is given: made once from seeds, as pairs of 32-bit numbers.
// Who runs them is child.ts (JavaScript and WebAssembly) and driver.c (native).
import { existsSync, readdirSync } from "node:fs";
import { nextRandom } from "../../allocator/common/random.ts";
import { CALLOC, FREE, MALLOC, REALLOC } from "../../allocator/record/events.ts";
import { openTrace } from "../lab/traces/open.ts";

/**
 * `setup` is run once, `round` as often as there are rounds: it leaves as many chunks of the same sizes as it found. A pair is a
 * slot and a size: positive, malloc; 0, free; negative, realloc to its absolute value.
 */
export interface Workload {
  readonly name: string;
  readonly setup: Int32Array;
  readonly round: Int32Array;
  readonly slots: number;
  /** Chunks alive between rounds, and the bytes that were asked for them. */
  readonly live: number;
  readonly askedBytes: number;
  /** malloc is calloc here. */
  readonly zeroed: boolean;
  /** Threads of the simulated process that take turns, 64 calls each; a native process and other peers have one. */
  readonly threads: number;
}

/** The data stay where they are: seen from dist/bench/malloc, or from the sources. */
const DATA = ["../../../bench/data/", "../data/"]
  .map((folder) => new URL(folder, import.meta.url))
  .find((folder) => existsSync(folder))!;
const CALLS = 4000;

type Draw = (random: number) => number;

function workload(name: string, round: number[], more: Partial<Workload> = {}): Workload {
  const nothing = { setup: new Int32Array(0), slots: 1, live: 0, askedBytes: 0, zeroed: false, threads: 1 };
  return { ...nothing, name, round: Int32Array.from(round), ...more };
}

/** malloc and free of one size, again and again. */
export function pairs(name: string, bytes: number, zeroed = false): Workload {
  const calls = bytes > 100_000 ? 200 : CALLS;
  const round = Array.from({ length: calls }, (_, call) => [0, call % 2 === 0 ? bytes : 0]).flat();
  return workload(name, round, { zeroed });
}

/** A random one of the live chunks is freed, and another one of a random size takes its place. */
export function replacement(name: string, live: number, sizeFor: Draw, threads = 1): Workload {
  const sizes = new Int32Array(live);
  const setup: number[] = [];
  let state = 1;
  for (let slot = 0; slot < live; slot++) {
    state = nextRandom(state);
    sizes[slot] = sizeFor(state);
    setup.push(slot, sizes[slot]);
  }
  // A round ends with the sizes that it began with: its second half puts them back.
  const round: number[] = [];
  const changed: number[] = [];
  for (let call = 0; call < CALLS / 2; call += 2) {
    state = nextRandom(state);
    const slot = (state >>> 3) % live;
    state = nextRandom(state);
    changed.push(slot);
    round.push(slot, 0, slot, sizeFor(state));
  }
  for (const slot of changed.reverse()) round.push(slot, 0, slot, sizes[slot]);
  const askedBytes = sizes.reduce((sum, size) => sum + size, 0);
  return workload(name, round, { setup: Int32Array.from(setup), slots: live, live, askedBytes, threads });
}

/** One buffer that doubles from 16 bytes to 1 MiB. */
function doubling(): Workload {
  const round: number[] = [];
  for (let time = 0; time < 20; time++) {
    round.push(0, 16);
    for (let bytes = 32; bytes <= 2 ** 20; bytes *= 2) round.push(0, -bytes);
    round.push(0, 0);
  }
  return workload("realloc 16 B … 1 MiB", round);
}

/** Two buffers that double in turns, so that neither can grow where it is for long: the other one is behind it. */
function doublingInTurns(): Workload {
  const round: number[] = [];
  for (let time = 0; time < 10; time++) {
    round.push(0, 16, 1, 16);
    for (let bytes = 32; bytes <= 2 ** 20; bytes *= 2) round.push(0, -bytes, 1, -bytes);
    round.push(0, 0, 1, 0);
  }
  return workload("realloc of two in turns", round, { slots: 2 });
}

const uniform =
  (least: number, most: number): Draw =>
  (random) =>
    least + ((random >>> 4) % (most - least + 1));

/** Shares in percent, and the range of sizes that each has. */
function mix(shares: readonly (readonly [percent: number, least: number, most: number])[]): Draw {
  return (random) => {
    let percent = random % 100;
    for (const [share, least, most] of shares) {
      if (percent < share) return least + ((random >>> 8) % (most - least + 1));
      percent -= share;
    }
    return 16;
  };
}

/**
 * After the tables of Zorn and Grunwald, Empirical Measurements of Six Allocation-Intensive C Programs (1992): cfrac makes big
 * numbers of a few words, espresso cubes and sets with a tail of kilobytes. mstress after mimalloc-bench: sizes by powers of two,
 * each twice as rare as the one before.
 */
const cfrac = mix([
  [45, 8, 16],
  [50, 17, 32],
  [5, 33, 120],
]);
const espresso = mix([
  [60, 8, 32],
  [25, 33, 64],
  [12, 65, 400],
  [3, 401, 8000],
]);
const mstress: Draw = (random) => {
  const power = Math.clz32(random | 1);
  return (8 << Math.min(power, 12)) + ((random >>> 3) & 7);
};

/** The calls of a recorded program, those that its end would have freed included. */
async function traced(file: string): Promise<Workload> {
  const trace = await openTrace(new URL(file, DATA).pathname);
  const round: number[] = [];
  const alive = new Set<number>();
  let slots = 1;
  for await (const { count, kind, id, size, offset } of trace.batches) {
    for (let row = 0; row < count; row++) {
      const slot = id[row];
      const bytes = Math.max(1, kind[row] === CALLOC ? size[row] * offset[row] : size[row]);
      if (kind[row] === FREE) round.push(slot, 0);
      else if (kind[row] === MALLOC || kind[row] === CALLOC) round.push(slot, bytes);
      else if (kind[row] === REALLOC) round.push(slot, -bytes);
      else continue;
      slots = Math.max(slots, slot + 1);
      if (kind[row] === FREE) alive.delete(slot);
      else alive.add(slot);
    }
  }
  for (const slot of alive) round.push(slot, 0);
  return workload(`trace ${file.replace(".rht.gz", "")}`, round, { slots });
}

export async function makeWorkloads(isQuick: boolean): Promise<Workload[]> {
  const small = uniform(16, 512);
  const lives = isQuick ? [1e3, 1e5] : [1e3, 1e4, 1e5, 1e6];
  const files = readdirSync(DATA).filter((name) => name.endsWith(".rht.gz"));
  return [
    pairs("pair 64 B", 64),
    pairs("pair 1 KiB", 1024),
    pairs("pair 64 KiB", 65536),
    pairs("pair 1 MiB", 2 ** 20),
    pairs("calloc 4 KiB", 4096, true),
    ...lives.map((live) => replacement(`replace, ${live} live`, live, small)),
    replacement("exchange, 4 threads", 1000, small, 4),
    replacement("cfrac-like", 2000, cfrac),
    replacement("espresso-like", 5000, espresso),
    replacement("mstress-like", 5000, mstress),
    doubling(),
    doublingInTurns(),
    ...(await Promise.all((isQuick ? files.slice(0, 1) : files).map(traced))),
  ];
}
