// A line on stderr that says how far a benchmark is: only on a terminal, so that a pipe or a log never sees it.

/** Shows the current step, and takes the line away at the end. */
export interface Progress {
  step(what: string): void;
  done(): void;
}

const silent: Progress = { step() {}, done() {} };

/** @param total steps that will come, for the count in front. */
export function startProgress(total: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return silent;
  let steps = 0;
  return {
    step(what) {
      steps++;
      stream.write(`\r\u001b[2K[${steps}/${total}] ${what}`.slice(0, (stream.columns ?? 80) + 5));
    },
    done() {
      stream.write("\r\u001b[2K");
    },
  };
}
