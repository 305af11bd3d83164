// Cost constants of named machines. One is built in: the DragonBoard 845c, fitted to the thread's table.
// Which part of a constant was measured and which assumed is said in its `how`, and in docs/cost-model.md.
import { readFileSync } from "node:fs";
import { COST_EVENTS, type Constant, type MachineModel } from "./cost-model.ts";
import { ITERATIONS, MAPPED_PAGES, THREAD_ROWS } from "./thread-table.ts";

const PAGE_BYTES = 4096;
const NS_PER_SECOND = 1e9;
/** The share of a warm page's cost without its bytes that is the unmapping of it. Assumed: the table cannot tell. */
const ZAP_SHARE = 0.2;

/** @see docs/cost-model.md: what each step takes from the table. */
function fitDragonBoard(): MachineModel {
  const [one, half, all] = THREAD_ROWS as [(typeof THREAD_ROWS)[0], (typeof THREAD_ROWS)[0], (typeof THREAD_ROWS)[0]];
  const perIteration = (seconds: number): number => (seconds * NS_PER_SECOND) / ITERATIONS;
  const memsetMean = (one.memsetSeconds + half.memsetSeconds + all.memsetSeconds) / THREAD_ROWS.length;
  const filledBytes = MAPPED_PAGES * PAGE_BYTES;

  const userByte = perIteration(memsetMean - all.refpageSeconds) / filledBytes;
  const warmPage = perIteration(half.refpageSeconds - one.refpageSeconds) / (half.touchedPages - one.touchedPages);
  const calls = perIteration(one.refpageSeconds) - warmPage;
  const coldByte = (perIteration(all.refpageSeconds) - calls - MAPPED_PAGES * warmPage) / filledBytes;
  const pageWithoutBytes = warmPage - PAGE_BYTES * userByte;
  const fault = pageWithoutBytes * (1 - ZAP_SHARE);
  const zap = pageWithoutBytes * ZAP_SHARE;
  return {
    name: "dragonboard-845c",
    description: "DragonBoard 845c, powersave governor, as measured in the review thread (June 2021)",
    cacheBytes: 2 * 2 ** 20,
    constants: {
      systemCall: constant(calls / 8, 0.4, 4, "assumed: a quarter of a mapping call"),
      mapCall: constant(calls / 2, 0.3, 1.02, "table: refpage row 1 less one page; the program's start is in it"),
      writeFault: constant(fault, 0.95, 1.2, "table: refpage rows 1 and 2, less the bytes; split from zap assumed 4:1"),
      writeProtectFault: constant(fault, 0.8, 1.4, "assumed: as a write fault; its copy is counted in bytes"),
      readFault: constant(fault * 0.6, 0.5, 1.6, "assumed: no page to allocate"),
      kernelByte: constant(userByte, 0.95, 1.5, "assumed: as a byte by memset"),
      copiedByte: constant(userByte * 1.5, 0.9, 2, "assumed: a load more than a fill"),
      userByte: constant(userByte, 0.93, 1.07, "table: memset rows less refpage row 3"),
      tagGranule: constant(userByte * 8, 0.25, 4, "assumed: the board has no MTE; two granules an STG pair"),
      gzvaBlock: constant(userByte * 64, 0.8, 2, "assumed: the board has no MTE; as 64 bytes of memset"),
      zappedPage: constant(zap, 0.8, 1.25, "table with an assumed split, see writeFault"),
      messageRoundTrip: constant(
        calls,
        0.3,
        3,
        "assumed: two context switches and a read; the thread never measured it",
      ),
      coldByte: constant(coldByte, 0, 1, "table: refpage row 3 beyond row 2's price, the larger set leaves the cache"),
      // The thread measured no huge page. A fault is a fault; what clears 2 MiB is the same store instructions, a page less to look up.
      hugeWriteFault: constant(fault, 0.8, 4, "assumed: as a write fault"),
      hugeReadFault: constant(fault * 0.6, 0.5, 4, "assumed: as a read fault"),
      hugeByte: constant(userByte, 0.5, 1.5, "assumed: as a byte by memset"),
      zappedHugePage: constant(zap, 0.8, 8, "assumed: as a small page, or some of them"),
    },
  };
}

/** `low` and `high` as factors of the value. */
function constant(ns: number, low: number, high: number, how: string): Constant {
  return { ns, low: ns * low, high: ns * high, how };
}

export const DRAGONBOARD = fitDragonBoard();
/** Models that a name stands for. */
export const MACHINE_NAMES: readonly string[] = [DRAGONBOARD.name];

/**
 * A machine by name, or from a file that `refheap calibrate` wrote.
 * @throws Error naming the file and what it lacks; Node's error if it cannot be read.
 */
export function machineModel(nameOrFile: string): MachineModel {
  if (nameOrFile === DRAGONBOARD.name) return DRAGONBOARD;
  return checkedModel(JSON.parse(readFileSync(nameOrFile, "utf8")), nameOrFile);
}

function checkedModel(value: unknown, file: string): MachineModel {
  const model = value as Partial<MachineModel> | null;
  if (typeof model?.name !== "string" || typeof model.cacheBytes !== "number") {
    throw new Error(`${file}: expected a machine's "name" and "cacheBytes", as refheap calibrate writes them`);
  }
  for (const event of COST_EVENTS) {
    const { ns, low, high } = (model.constants?.[event] ?? {}) as Partial<Constant>;
    const right = [ns, low, high].every((number) => typeof number === "number" && number >= 0);
    if (!right || low! > ns! || ns! > high!) {
      throw new Error(`${file}: expected constants.${event} with 0 ≤ low ≤ ns ≤ high`);
    }
  }
  return model as MachineModel;
}
