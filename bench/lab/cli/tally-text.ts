// What reading a trace left to say, in sentences: bad lines passed over, unknown blocks, failed calls.
import type { TraceTally } from "../traces/tally.ts";

/** One sentence for each count that is not zero. */
export function describeTally(tally: TraceTally): string[] {
  const lines: string[] = [];
  if (tally.skipped > 0)
    lines.push(`${plural(tally.skipped, "bad line")} passed over; the first: ${tally.firstSkipped}`);
  if (tally.unknownBlocks > 0) {
    lines.push(`${plural(tally.unknownBlocks, "call")} for blocks from before the trace's start, left out`);
  }
  if (tally.missingFrees > 0) {
    lines.push(`${plural(tally.missingFrees, "block")} freed because its address was given out again`);
  }
  if (tally.failedCalls > 0) lines.push(`${plural(tally.failedCalls, "call")} that failed in the program, left out`);
  return lines;
}

export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`;
}
