// One iteration of the thread's microbenchmark under each way to fill memory, counted by running it on the simulated kernel.
// The program for userfaultfd is userfaultfd-program.ts; the others are those of `npm run bench`.
import type { CounterSnapshot } from "../../platform/hardware/counters.ts";
import type { InitialisationPolicy } from "../../platform/kernel/mm/frames.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { type CostCounts, costCounts, type MachineModel } from "../lab/cost/cost-model.ts";
import { type Fill, main } from "../microbench/program.ts";
import { userfaultfdMain } from "./userfaultfd-program.ts";

const PAGE_BYTES = 4096;
/** Pages that an iteration maps, as the thread's. */
export const MAPPED_PAGES = 1000;
const MEMORY_BYTES = 2 ** 24;

export interface Way {
  readonly name: string;
  readonly fill: Fill | "userfaultfd";
  readonly initialisation: InitialisationPolicy;
}

export const MEMSET: Way = { name: "memset", fill: "memset", initialisation: "plumbed" };
export const REFPAGE: Way = { name: "refpage, written once", fill: "refpage-v5", initialisation: "plumbed" };
export const REFPAGE_NOZERO: Way = { name: "refpage, __GFP_NOZERO", fill: "refpage-v4", initialisation: "nozero" };
export const REFPAGE_DOUBLE: Way = { name: "refpage, zeroed first", fill: "refpage-v5", initialisation: "double" };
export const USERFAULTFD: Way = { name: "userfaultfd", fill: "userfaultfd", initialisation: "plumbed" };

export interface Iteration {
  readonly counters: CounterSnapshot;
  readonly messages: number;
  readonly peakRssBytes: number;
  counts(machine: MachineModel): CostCounts;
}

const known = new Map<string, Iteration>();

/** The difference of two iterations and one: what a single one does, without the program's start. */
export function iterationOf(way: Way, touchedPages: number): Iteration {
  // Memset does the same for every later touch: all pages are private by then.
  const key = way.fill === "memset" ? way.name : `${way.name} ${touchedPages}`;
  const iteration = known.get(key) ?? countIteration(way, touchedPages);
  known.set(key, iteration);
  return iteration;
}

function countIteration({ fill, initialisation }: Way, touchedPages: number): Iteration {
  const kernel = createKernel({ memoryBytes: MEMORY_BYTES }, { initialisation });
  const program = kernel.createProcess();
  const sizes = { mmapSize: MAPPED_PAGES * PAGE_BYTES, touchSize: touchedPages * PAGE_BYTES };
  const run = (iterations: number): { counters: CounterSnapshot; messages: number } => {
    const before = kernel.counters.snapshot();
    let messages = 0;
    if (fill === "userfaultfd") messages = userfaultfdMain(program, { ...sizes, iterations });
    else main(program, { fill, ...sizes, iterations });
    return { counters: kernel.counters.since(before), messages };
  };
  const [one, two] = [run(1), run(2)];
  const messages = two.messages - one.messages;
  const counters = difference(two.counters, one.counters);
  const peakRssBytes = (fill === "memset" ? MAPPED_PAGES : touchedPages) * PAGE_BYTES;
  const extra = { tagGranules: 0, gvaBlocks: 0, faultMessages: messages, peakRssBytes };
  return {
    counters,
    messages,
    peakRssBytes,
    counts: (machine) => costCounts(counters, extra, machine.cacheBytes),
  };
}

function difference(more: CounterSnapshot, less: CounterSnapshot): CounterSnapshot {
  const numbers = Object.entries(more)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => [name, (value as number) - (less[name as keyof CounterSnapshot] as number)]);
  const systemCalls = Object.entries(more.systemCalls)
    .map(([name, count]) => [name, count - (less.systemCalls[name] ?? 0)] as const)
    .filter(([, count]) => count > 0);
  return { ...Object.fromEntries(numbers), systemCalls: Object.fromEntries(systemCalls) };
}
