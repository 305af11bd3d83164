// What a calibration is held against: small programs that were timed whole, beside what their counted events add up to.
// The programs themselves are in calibration-source.ts, by the same names; constants and sums are cost-model.ts's.
import { COST_EVENTS, type CostCounts, type CostEvent, estimate, type MachineModel } from "./cost-model.ts";

const PAGE_BYTES = 4096;
const PAGES = 1000;

/** Nanoseconds, with a range. */
export interface Time {
  readonly ns: number;
  readonly low: number;
  readonly high: number;
}

export interface CalibrationCheck {
  readonly program: string;
  /** The sum of counts times constants, with their range. */
  readonly predicted: Time;
  /** Median and the 5th and 95th percentile. */
  readonly measured: Time;
}

/** Events of each program by its name in the C source. All map 1000 pages of 4 KiB and unmap them. */
const PROGRAMS: Readonly<Record<string, Partial<CostCounts>>> = {
  "a store to one page": touched(1),
  "a store to every fourth page": touched(PAGES / 4),
  "a store to every page": touched(PAGES),
  "memset of all": { ...touched(PAGES), userByte: PAGES * PAGE_BYTES },
  "a load of every page, a store to half": {
    mapCall: 2,
    readFault: PAGES,
    writeProtectFault: PAGES / 2,
    kernelByte: (PAGES / 2) * PAGE_BYTES,
    zappedPage: PAGES,
  },
};

function touched(pages: number): Partial<CostCounts> {
  return { mapCall: 2, writeFault: pages, kernelByte: pages * PAGE_BYTES, zappedPage: pages };
}

export const CHECK_PROGRAMS: readonly string[] = Object.keys(PROGRAMS);

/** @throws Error: a program that was not timed */
export function calibrationChecks(
  model: MachineModel,
  measured: ReadonlyMap<string, Time>,
): readonly CalibrationCheck[] {
  return Object.entries(PROGRAMS).map(([program, some]) => {
    const time = measured.get(program);
    if (time === undefined) throw new Error(`the calibration program did not time "${program}"`);
    const written = some.kernelByte ?? 0;
    const counts = Object.fromEntries(COST_EVENTS.map((event) => [event, some[event] ?? 0])) as Record<
      CostEvent,
      number
    >;
    counts.coldByte = written > model.cacheBytes ? written : 0;
    const { ns, low, high } = estimate(counts, model);
    return { program, predicted: { ns, low, high }, measured: time };
  });
}
