// The machine that the figures are from, in words and as data: a number without its machine says little.
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** What is printed above each table and kept in each JSON file. */
export interface HostMachine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly hugePages: string;
}

export function describeHost(): HostMachine {
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown processor",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    hugePages: hugePagePolicy(),
  };
}

export function formatHost(host: HostMachine): string {
  const memory = (host.memoryBytes / 2 ** 30).toFixed(0);
  return `${host.processor}, ${host.cores} cores, ${memory} GiB, ${host.system}, Node ${host.node}`;
}

/** Linux's transparent huge pages, which change what a native fault costs: always, madvise or never. */
function hugePagePolicy(): string {
  try {
    const text = readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "utf8");
    return /\[(\w+)\]/.exec(text)?.[1] ?? "unknown";
  } catch {
    return "unknown";
  }
}
