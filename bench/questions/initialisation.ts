// Questions about what filling costs: initialising twice, the flag, userfaultfd, and where reference pages lose.
// The counts are those of the thread's microbenchmark, one iteration of it (iteration.ts).

import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { formatBytes } from "../harness/table.ts";
import { improvement } from "../lab/cost/cost-model.ts";
import {
  type Iteration,
  iterationOf,
  MAPPED_PAGES,
  MEMSET,
  REFPAGE,
  REFPAGE_DOUBLE,
  REFPAGE_NOZERO,
  USERFAULTFD,
  type Way,
} from "./iteration.ts";
import { BOARD, EPYC, ESTIMATES } from "./machines.ts";
import { formatEstimate, formatGain, left, type Question, right, table, text } from "./question.ts";
import { openWatcher } from "./userfaultfd-program.ts";

const PAGE = 4096;
const DENSITIES = [1, 500, MAPPED_PAGES];

function compared(
  title: string,
  ways: readonly Way[],
  count: (one: Iteration) => readonly string[],
  headings: string[],
) {
  const rows = DENSITIES.flatMap((touched) => {
    const base = iterationOf(MEMSET, touched);
    return ways.map((way) => {
      const one = iterationOf(way, touched);
      return [
        String(touched),
        way.name,
        ...count(one),
        formatEstimate(one.counts(BOARD), BOARD),
        way === MEMSET ? "" : formatGain(base.counts(BOARD), one.counts(BOARD), BOARD),
        way === MEMSET ? "" : formatGain(base.counts(EPYC), one.counts(EPYC), EPYC),
      ];
    });
  });
  const columns = [
    right("touched"),
    left("fill"),
    ...headings.map(right),
    right(`${BOARD.name}, estimate`),
    right("saved, estimate"),
    right(`saved on ${EPYC.name}, estimate`),
  ];
  return table(title, columns, rows);
}

export const doubleInitialisation: Question = {
  name: "double-initialisation",
  asks: "what it costs to zero each frame before it is filled, and what __GFP_NOZERO saves",
  answer: () =>
    text(
      compared(
        `One iteration of the microbenchmark: ${MAPPED_PAGES} pages mapped, some touched`,
        [MEMSET, REFPAGE_DOUBLE, REFPAGE, REFPAGE_NOZERO],
        ({ counters }) => [counters.bytesZeroed, counters.bytesFilled, counters.userBytesFilled].map(formatBytes),
        ["zeroed", "kernel fills", "program fills"],
      ),
      ESTIMATES,
    ),
};

export const userfaultfd: Question = {
  name: "userfaultfd",
  asks: "what the same program costs on a userfaultfd, and what a forked child reads",
  answer: () =>
    text(
      compared(
        `One iteration of the microbenchmark: ${MAPPED_PAGES} pages mapped, some touched`,
        [MEMSET, REFPAGE, USERFAULTFD],
        ({ counters, messages }) => [
          String(messages),
          String(Object.values(counters.systemCalls).reduce((sum, calls) => sum + calls, 0)),
          formatBytes(counters.bytesFilled + counters.bytesCopied + counters.bytesZeroed + counters.userBytesFilled),
        ],
        ["messages", "system calls", "bytes written"],
      ),
      table("An untouched page after fork()", [left("process"), right("reads")], afterFork()),
      ESTIMATES,
    ),
};

function afterFork(): string[][] {
  const process = createKernel({ memoryBytes: 2 ** 24 }).createProcess();
  const watcher = openWatcher(process);
  const area = process.mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  watcher.register(area, 2 * PAGE);
  const child = process.fork();
  const read = (of: typeof process): string => `0x${of.memory.getUint8(area).toString(16)}`;
  return [
    ["parent", read(process)],
    ["child", read(child)],
  ];
}

const LOSS_STEPS = [1, 100, 250, 500, 750, MAPPED_PAGES];

export const whenItLoses: Question = {
  name: "when-it-loses",
  asks: "at which density of touches a reference page saves nothing any more",
  answer: () => {
    const ways = [REFPAGE, REFPAGE_DOUBLE, USERFAULTFD];
    const rows = LOSS_STEPS.map((touched) => {
      const base = iterationOf(MEMSET, touched);
      const cells = ways.map((way) => formatGain(base.counts(BOARD), iterationOf(way, touched).counts(BOARD), BOARD));
      return [String(touched), ...cells];
    });
    const columns = [right(`touched of ${MAPPED_PAGES}`), ...ways.map(({ name }) => right(`${name}: saved, estimate`))];
    return text(
      table(`Estimated time saved over memset on ${BOARD.name}`, columns, rows),
      table(
        "Largest number of touched pages at which the estimate still saves something",
        [left("fill"), right(BOARD.name), right(EPYC.name)],
        ways.map((way) => [way.name, ...[BOARD, EPYC].map((machine) => String(lastGain(way, machine)))]),
      ),
      ESTIMATES,
    );
  },
};

/** Found by halving: what is saved falls with the density. */
function lastGain(way: Way, machine: typeof BOARD): number {
  const saves = (touched: number): boolean => {
    const base = iterationOf(MEMSET, touched).counts(machine);
    return improvement(base, iterationOf(way, touched).counts(machine), machine).value > 0;
  };
  let [low, high] = [0, MAPPED_PAGES];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (saves(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
