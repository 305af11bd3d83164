// The child process of one row: makes a machine, looks at both RSS in one short run, warms up, then times one run for each
// message that it gets. Argument: JSON of {row, iterations}; messages out: a Footprint, then seconds. Nothing is printed here.
import { Bench } from "tinybench";
import type { MapPattern } from "../../allocator/index.ts";
import { createKernel, type Kernel, type Process } from "../../refpage/index.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import { loadOwnPolicy, makeOwnKernel } from "../lab/replay/own-policy.ts";
import type { Footprint } from "./measurement.ts";
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

/** Both RSS of one iteration, before the mapping goes, beside what they were before the program began. */
function measureFootprint(kernel: Kernel, row: Row, mapPattern?: MapPattern): Footprint {
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
  main(observed, { ...row, iterations: 1, mapPattern });
  observed.exit(0);
  return {
    simulatedRssKib: simulatedPeak,
    simulatedBaseRssKib: simulatedBase,
    hostRssKib: hostPeak,
    hostBaseRssKib: hostBase,
  };
}

async function serve({ row, iterations }: { row: Row; iterations: number }): Promise<void> {
  const own = row.module === undefined ? undefined : await loadOwnPolicy(row.module);
  const kernel = own === undefined ? createKernel({}, { initialisation: row.initialisation }) : makeOwnKernel(own, {});
  const mapPattern = own?.mapPattern;
  const footprint = measureFootprint(kernel, row, mapPattern);
  const program = kernel.createProcess({ name: "microbench" });
  const run = (): number => {
    // The caches are another row's: a few iterations first, untimed.
    main(program, { ...row, iterations: Math.ceil(iterations / 10), mapPattern });
    const bench = new Bench({ iterations: 1, time: 0, warmup: false });
    bench.add(row.name, () => main(program, { ...row, iterations, mapPattern }));
    const { result } = bench.runSync()[0];
    if (result.state !== "completed")
      throw new Error(`${row.name}: the run ended as ${result.state}`, { cause: result });
    // From milliseconds a run to seconds for 1000 iterations.
    return result.latency.mean / iterations;
  };
  // Until the engine has compiled what the sparse row does in a microsecond.
  const start = performance.now();
  do run();
  while (performance.now() - start < WARM_UP_MILLISECONDS);
  process.on("message", () => process.send?.(run()));
  process.send?.(footprint);
}

await serve(JSON.parse(process.argv[2]));
