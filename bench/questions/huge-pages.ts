// The question of huge pages on the thread's microbenchmark: memset against a reference page with each of its policies, small pages
// against huge ones, by how much is touched and how. The traces' part of the answer is printed by `refheap replay`.
import type { CounterSnapshot } from "../../platform/hardware/counters.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { HugeReferencePages } from "../../refpage/huge.ts";
import { createKernel, refpage_create2 } from "../../refpage/kernel.ts";
import { formatBytes } from "../harness/table.ts";
import { type CostCounts, costCounts, estimate, type MachineModel } from "../lab/cost/cost-model.ts";
import { BOARD, EPYC, ESTIMATES } from "./machines.ts";
import { formatEstimate, left, type Question, right, table, text } from "./question.ts";

const PAGE = 4096;
const MIB = 2 ** 20;
const HUGE = 2 * MIB;
const HUGE_PAGES = HUGE / PAGE;
const READ_WRITE = PROT_READ | PROT_WRITE;
const PATTERN = 0xaa;
/** The thread's mapping, and one of 32 huge pages. */
const SIZES = [4_096_000, 64 * MIB];

interface Way {
  readonly fill: "memset" | "refpage";
  /** `either`: the policy lets nothing become huge. */
  readonly enabled: "never" | "always" | "either";
  /** Of a reference page; memset has none. */
  readonly policy: HugeReferencePages;
}

const WAYS: readonly Way[] = [
  { fill: "memset", enabled: "never", policy: "small" },
  { fill: "memset", enabled: "always", policy: "small" },
  { fill: "refpage", enabled: "either", policy: "small" },
  { fill: "refpage", enabled: "always", policy: "duplicate" },
  { fill: "refpage", enabled: "always", policy: "huge-clean-small-dirty" },
];

interface Touches {
  readonly name: string;
  /** Every how many pages one is loaded, then one is stored to; 0: none. */
  readonly loadEvery: number;
  readonly storeEvery: number;
}

const TOUCHES: readonly Touches[] = [
  { name: "1 page in 100 stored", loadEvery: 0, storeEvery: 100 },
  { name: "half stored", loadEvery: 0, storeEvery: 2 },
  { name: "all stored", loadEvery: 0, storeEvery: 1 },
  { name: "all loaded", loadEvery: 1, storeEvery: 0 },
  { name: "all loaded, then 1 in 100 stored", loadEvery: 1, storeEvery: 100 },
];

/** What one iteration does once a reference page is there, with its huge form. */
interface Outcome {
  readonly counters: CounterSnapshot;
  readonly rssBytes: number;
  counts(machine: MachineModel): CostCounts;
}

function outcomeOf({ fill, enabled, policy }: Way, bytes: number, touches: Touches): Outcome {
  const kernel = createKernel(
    { memoryBytes: 2 ** Math.ceil(Math.log2(bytes + 8 * MIB)), mte: false },
    { hugePages: { enabled: enabled === "never" ? "never" : "always" }, hugeReferencePages: policy },
  );
  const process = kernel.createProcess();
  const fd = fill === "refpage" ? patternPage(process) : -1;
  // The first iteration makes the huge reference page, which all later ones share.
  iterate(process, fd, bytes, touches);
  const before = kernel.counters.snapshot();
  const rssBytes = iterate(process, fd, bytes, touches);
  const counters = kernel.counters.since(before);
  const extra = { tagGranules: 0, gvaBlocks: 0, faultMessages: 0, peakRssBytes: rssBytes };
  return { counters, rssBytes, counts: (machine) => costCounts(counters, extra, machine.cacheBytes) };
}

function patternPage(process: Process): number {
  const scratch = process.mmap(0, PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.memory.setUint8(scratch, PATTERN);
  const fd = refpage_create2(process, scratch, 1);
  process.munmap(scratch, PAGE);
  return fd;
}

/** @returns what was resident of the mapping before it went. */
function iterate(process: Process, fd: number, bytes: number, { loadEvery, storeEvery }: Touches): number {
  const { memory } = process;
  const rssBefore = process.rssBytes;
  const flags = fd === -1 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE;
  const area = process.mmap(0, bytes, READ_WRITE, flags, fd);
  if (fd === -1) memory.fill(area, PATTERN, bytes);
  const pages = bytes / PAGE;
  if (loadEvery > 0) for (let page = 0; page < pages; page += loadEvery) memory.getUint8(area + page * PAGE);
  if (storeEvery > 0) {
    const count = Math.ceil(pages / storeEvery - 1e-6);
    for (let i = 0; i < count; i++) memory.setUint8(area + Math.floor(i * storeEvery) * PAGE, 0);
  }
  const rss = process.rssBytes - rssBefore;
  process.munmap(area, bytes);
  return rss;
}

function rowsOf(bytes: number): string[][] {
  return TOUCHES.flatMap((touches) =>
    WAYS.map((way) => {
      const outcome = outcomeOf(way, bytes, touches);
      const { counters } = outcome;
      const initialised = counters.bytesZeroed + counters.bytesFilled + counters.bytesCopied + counters.userBytesFilled;
      return [
        touches.name,
        way.fill,
        way.enabled,
        way.fill === "memset" ? "" : way.policy,
        formatBytes(outcome.rssBytes),
        String(counters.minorFaults),
        formatBytes(initialised),
        formatEstimate(outcome.counts(BOARD), BOARD),
        formatEstimate(outcome.counts(EPYC), EPYC),
      ];
    }),
  );
}

/** The fewest of 512 pages stored to, evenly spread, from which on `way` takes less time than `other`; "never" if there are none. */
function fewestStores(way: Way, other: Way, machine: MachineModel): string {
  const estimated = (which: Way, stores: number): number =>
    estimate(
      outcomeOf(which, HUGE, { name: "", loadEvery: 0, storeEvery: HUGE_PAGES / stores }).counts(machine),
      machine,
    ).ns;
  let [low, high] = [1, HUGE_PAGES + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (middle > HUGE_PAGES || estimated(way, middle) < estimated(other, middle)) high = middle;
    else low = middle + 1;
  }
  return low > HUGE_PAGES ? "never" : String(low);
}

function crossings(): string[][] {
  const [, memset, small, duplicate] = WAYS;
  const pairs: readonly (readonly [string, Way, Way])[] = [
    ["refpage, duplicate, than refpage, small", duplicate, small],
    ["refpage, duplicate, than memset of huge pages", duplicate, memset],
    ["memset of huge pages, than refpage, small", memset, small],
  ];
  return pairs.map(([name, way, other]) => [
    name,
    ...[BOARD, EPYC].map((machine) => fewestStores(way, other, machine)),
  ]);
}

export const hugePages: Question = {
  name: "huge-pages",
  asks: "what is left of memset against a reference page where huge pages are on, under each policy",
  answer: () => {
    const columns = [
      left("touched"),
      left("fill"),
      left("huge pages"),
      left("policy"),
      right("RSS"),
      right("faults"),
      right("initialised"),
      right(`${BOARD.name}, estimate`),
      right(`${EPYC.name}, estimate`),
    ];
    const tables = SIZES.map((bytes) =>
      table(
        `One iteration: ${bytes.toLocaleString("en-US")} bytes mapped, filled, touched, unmapped`,
        columns,
        rowsOf(bytes),
      ),
    );
    const fewest = table(
      "Fewest pages stored to in each 2 MiB at which one takes less time than the other, by the estimates",
      [left("less time"), right(BOARD.name), right(EPYC.name)],
      crossings(),
    );
    return text(...tables, fewest, ESTIMATES);
  },
};
