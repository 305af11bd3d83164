// What a reader saw besides events: lines, bad lines, and oddities that traces of real programs have.
// Nothing here stops a reader; trace-error.ts does that.

/** Counts kept while a trace is read. All are final once the last batch was handed out. */
export interface TraceTally {
  /** Lines of a text format, blocks of the binary one. */
  lines: number;
  events: number;
  /** Bad lines (or blocks) passed over because of `skipBad`. */
  skipped: number;
  /** Message of the first one passed over. */
  firstSkipped: string;
  /** Frees and reallocs of blocks that the trace never allocated: from before its start, most often. */
  unknownBlocks: number;
  /** Blocks allocated at an address where one still lives: its free is missing, so it is freed first. */
  missingFrees: number;
  /** Calls that failed in the traced program; they are not replayed. */
  failedCalls: number;
  /** Lines that are right but no event: comments, banners, instruction fetches, reallocs begun and never ended. */
  ignoredLines: number;
}

export function newTally(): TraceTally {
  return {
    lines: 0,
    events: 0,
    skipped: 0,
    firstSkipped: "",
    unknownBlocks: 0,
    missingFrees: 0,
    failedCalls: 0,
    ignoredLines: 0,
  };
}
