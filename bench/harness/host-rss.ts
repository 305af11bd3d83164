// How much memory of the host the running Node process occupies now.
import { readFileSync } from "node:fs";

/** Resident set size in KiB: exact from smaps_rollup where Linux has it, else what Node says. */
export function hostRssKib(): number {
  try {
    const rss = /^Rss:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8"));
    if (rss !== null) return Number(rss[1]);
  } catch {
    // No procfs here: the coarser figure below has to do.
  }
  return process.memoryUsage.rss() / 1024;
}
