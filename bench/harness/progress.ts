// A line on stderr that says how far a benchmark is: only on a terminal, so that a pipe or a log never sees it.

/** Shows the current step, and takes the line away at the end. */
export interface Progress {
  step(what: string): void;
  done(): void;
}

const CLEAR_LINE = "\r\u001b[2K";

const silent: Progress = { step() {}, done() {} };

/** @param total steps that will come, for the count in front. */
export function startProgress(total: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return silent;
  let steps = 0;
  return {
    step(what) {
      steps++;
      // The last column stays free: many terminals go to the next line once it is written, and that could not be taken away.
      stream.write(CLEAR_LINE + `[${steps}/${total}] ${what}`.slice(0, (stream.columns ?? 80) - 1));
    },
    done() {
      stream.write(CLEAR_LINE);
    },
  };
}
