// Limits on the resident set of the heap's process: beyond the soft one malloc answers null, beyond the hard one it reports.
// Scudo had such limits until before the reference version (S15.1, S21.3); here they are options of the heap.

import type { Process } from "../../platform/kernel/process.ts";
import { type ReportContext, reportRssLimit } from "../common/report.ts";

export interface RssLimits {
  /** Bytes; 0: none. */
  readonly softRssLimitBytes: number;
  readonly hardRssLimitBytes: number;
}

/**
 * Whether an allocation may go on. The kernel's count is exact and costs a few additions, so no interval is needed between
 * two looks, as the real one had.
 * @returns false above the soft limit
 * @throws HeapError rss-limit above the hard limit
 */
export function isBelowRssLimit(process: Process, limits: RssLimits, context: ReportContext): boolean {
  const { rssBytes } = process;
  const { softRssLimitBytes: soft, hardRssLimitBytes: hard } = limits;
  if (hard > 0 && rssBytes > hard) reportRssLimit(rssBytes, hard, context);
  return soft === 0 || rssBytes <= soft;
}
