// The review thread's microbenchmark and its table, as data, with the events of one iteration counted on paper.
// The cost model is fitted to these nine figures (machine-models.ts) and held against them (`refheap calibrate --residuals`).
import type { CostCounts, MachineModel } from "./cost-model.ts";
import { estimate } from "./cost-model.ts";

const PAGE_BYTES = 4096;
/** Pages that each of the 1000 iterations maps. */
export const MAPPED_PAGES = 1000;
export const ITERATIONS = 1000;

export interface ThreadRow {
  readonly touchedPages: number;
  /** Seconds for all iterations, medians of 10 runs. */
  readonly memsetSeconds: number;
  readonly refpageSeconds: number;
  /** The thread's own figure, which is not that of its medians (R: 98.80 % against 99.33 %). */
  readonly improvementPercent: number;
  readonly memsetRssKib: number;
  readonly refpageRssKib: number;
}

/** "[PATCH v4] mm: introduce reference pages", 19 June 2021, DragonBoard 845c, powersave governor. */
export const THREAD_ROWS: readonly ThreadRow[] = [
  {
    touchedPages: 1,
    memsetSeconds: 3.962194,
    refpageSeconds: 0.026726,
    improvementPercent: 98.8015,
    memsetRssKib: 6656,
    refpageRssKib: 3448,
  },
  {
    touchedPages: 500,
    memsetSeconds: 3.925309,
    refpageSeconds: 1.48081,
    improvementPercent: 61.8271,
    memsetRssKib: 6696,
    refpageRssKib: 4580,
  },
  {
    touchedPages: 1000,
    memsetSeconds: 3.986275,
    refpageSeconds: 3.385003,
    improvementPercent: 15.1205,
    memsetRssKib: 6716,
    refpageRssKib: 6684,
  },
];

/** Events of one iteration whose mapping gets `privatePages` private pages, `filledBytes` of it by the program. */
export function iterationCounts(privatePages: number, filledBytes: number, cacheBytes: number): CostCounts {
  const bytes = privatePages * PAGE_BYTES;
  return {
    systemCall: 0,
    mapCall: 2,
    writeFault: privatePages,
    writeProtectFault: 0,
    readFault: 0,
    kernelByte: bytes,
    copiedByte: 0,
    userByte: filledBytes,
    tagGranule: 0,
    gzvaBlock: 0,
    zappedPage: privatePages,
    messageRoundTrip: 0,
    coldByte: bytes > cacheBytes ? bytes : 0,
    hugeWriteFault: 0,
    hugeReadFault: 0,
    hugeByte: 0,
    zappedHugePage: 0,
  };
}

export interface Residual {
  readonly figure: string;
  readonly unit: "s" | "%";
  readonly thread: number;
  readonly model: number;
  /** (model − thread) / thread. */
  readonly relative: number;
}

/** The nine figures beside what the model says. */
export function residuals(machine: MachineModel): Residual[] {
  const seconds = (privatePages: number, filledBytes: number): number =>
    (estimate(iterationCounts(privatePages, filledBytes, machine.cacheBytes), machine).ns * ITERATIONS) / 1e9;
  const memset = seconds(MAPPED_PAGES, MAPPED_PAGES * PAGE_BYTES);
  return THREAD_ROWS.flatMap((row) => {
    const refpage = seconds(row.touchedPages, 0);
    const label = `${row.touchedPages * PAGE_BYTES}/${MAPPED_PAGES * PAGE_BYTES}`;
    return [
      residual(`${label} memset`, "s", row.memsetSeconds, memset),
      residual(`${label} refpage`, "s", row.refpageSeconds, refpage),
      residual(`${label} improvement`, "%", row.improvementPercent, 100 * (1 - refpage / memset)),
    ];
  });
}

function residual(figure: string, unit: "s" | "%", thread: number, model: number): Residual {
  return { figure, unit, thread, model, relative: (model - thread) / thread };
}
