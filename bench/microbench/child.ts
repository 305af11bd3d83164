// The child process of one row: makes a machine, looks at both RSS in one short run, then times the runs.
// Argument: JSON of {row, effort}; output: JSON of a Measurement. Nothing is printed for people here.
import { Bench } from "tinybench";
import { createKernel, type Process } from "../../refpage/index.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import type { Effort, Measurement } from "./measurement.ts";
import { main } from "./program.ts";
import type { Row } from "./rows.ts";

const WARM_UP_MILLISECONDS = 200;

function simulatedRssKib(process: Process): number {
  return Number(/^Rss:\s+(\d+) kB$/m.exec(process.procfs("smaps_rollup"))?.[1] ?? 0);
}

/** Calls `look` before each munmap of `lengthBytes`, as a preloaded library would. */
function beforeMunmap(process: Process, lengthBytes: number, look: () => void): void {
  const munmap = process.munmap;
  process.munmap = (address, length) => {
    if (length === lengthBytes) look();
    return munmap.call(process, address, length);
  };
}

function measure({ row, effort }: { row: Row; effort: Effort }): Measurement {
  const kernel = createKernel({}, { initialisation: row.initialisation });
  const observed = kernel.createProcess({ name: "microbench" });
  globalThis.gc?.();
  const hostBase = hostRssKib();
  const simulatedBase = simulatedRssKib(observed);
  let hostPeak = 0;
  let simulatedPeak = 0;
  beforeMunmap(observed, row.mmapSize, () => {
    simulatedPeak = Math.max(simulatedPeak, simulatedRssKib(observed));
    globalThis.gc?.();
    hostPeak = hostRssKib();
  });
  main(observed, { ...row, iterations: 1 });
  observed.exit(0);

  const program = kernel.createProcess({ name: "microbench" });
  const bench = new Bench({
    iterations: effort.runs,
    time: 0,
    warmupIterations: 1,
    warmupTime: 0,
    retainSamples: true,
  });
  bench.add(row.name, () => main(program, { ...row, iterations: effort.iterations }));
  const [task] = bench.runSync();
  const { result } = task;
  if (result.state !== "completed")
    throw new Error(`${row.name}: the runs ended as ${result.state}`, { cause: result });
  return {
    seconds: (result.latency.samples ?? []).map((milliseconds) => milliseconds / effort.iterations),
    simulatedRssKib: simulatedPeak,
    simulatedBaseRssKib: simulatedBase,
    hostRssKib: hostPeak,
    hostBaseRssKib: hostBase,
    hostMaxRssKib: process.resourceUsage().maxRSS,
  };
}

process.stdout.write(JSON.stringify(measure(JSON.parse(process.argv[2]))));
