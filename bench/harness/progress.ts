// Progress of long work on standard error, only on a terminal, so that a pipe or a log never sees it: a line that is overwritten, and
// taken away at the end. By steps for benchmarks; by what was done and what remains for the command.
import { formatBytes } from "./table.ts";

const CLEAR_LINE = "\r\u001b[2K";
/** What is shown more often than this cannot be read. */
const INTERVAL_MS = 100;
const SHORTEST_KNOWN_MS = 2000;

/** A line that says how far something is. */
export interface ProgressLine {
  /** Shows a text, unless the last one is not yet 100 ms old. */
  show(text: string): void;
  done(): void;
}

/** Shows the current step, and takes the line away at the end. */
export interface Progress {
  step(what: string): void;
  done(): void;
}

export function startLine(
  stream: NodeJS.WriteStream = process.stderr,
  intervalMilliseconds: number = INTERVAL_MS,
): ProgressLine {
  if (!stream.isTTY) return { show() {}, done() {} };
  let last = Number.NEGATIVE_INFINITY;
  return {
    show(text) {
      const now = performance.now();
      if (now - last < intervalMilliseconds) return;
      last = now;
      // The last column stays free: many terminals go to the next line once it is written, and that could not be taken away.
      // One that does not know its width says 0.
      stream.write(CLEAR_LINE + text.slice(0, (stream.columns || 80) - 1));
    },
    done() {
      stream.write(CLEAR_LINE);
    },
  };
}

/** @param total steps that will come, for the count in front; each is shown. */
export function startProgress(total: number, stream?: NodeJS.WriteStream): Progress {
  const line = startLine(stream, 0);
  let steps = 0;
  return {
    step(what) {
      steps++;
      line.show(`[${steps}/${total}] ${what}`);
    },
    done: line.done,
  };
}

/** `, about 12 s left`: what the rest takes if it goes on like this; "" while too little is known. */
export function remaining(start: number, done: number, total: number, now = performance.now()): string {
  const elapsed = now - start;
  if (done === 0 || elapsed < SHORTEST_KNOWN_MS) return "";
  const seconds = Math.round(((elapsed / done) * (total - done)) / 1000);
  return seconds < 60 ? `, about ${seconds} s left` : `, about ${Math.round(seconds / 60)} min left`;
}

/** `34 %`, of what was done. */
export function share(done: number, total: number): string {
  return `${Math.floor((100 * done) / total)} %`;
}

/** An option for what reads a file: shows how much of it has been read, and what remains if its length is known (0: it is not). */
export function readingProgress(
  file: string,
  totalBytes: number,
  line: ProgressLine,
): { readonly onProgress: (bytes: number) => void } {
  const start = performance.now();
  const rest = (bytes: number): string =>
    totalBytes === 0 ? "" : `, ${share(bytes, totalBytes)}${remaining(start, bytes, totalBytes)}`;
  return { onProgress: (bytes) => line.show(`${file}: ${formatBytes(bytes)} read${rest(bytes)}`) };
}
