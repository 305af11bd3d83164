// Progress of long work on standard error, only on a terminal: a line that is overwritten and taken away at the end.

import { formatBytes } from "../../harness/table.ts";
import type { OpenTraceOptions } from "../traces/open.ts";

const INTERVAL_MS = 100;
const SHORTEST_KNOWN_MS = 2000;
const CLEAR_LINE = "\r\u001b[2K";

export interface Progress {
  show(text: string): void;
  done(): void;
}

export function startProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show() {}, done() {} };
  let last = 0;
  return {
    show(text) {
      const now = performance.now();
      if (now - last < INTERVAL_MS) return;
      last = now;
      stream.write(CLEAR_LINE + text.slice(0, (stream.columns ?? 80) - 1));
    },
    done() {
      stream.write(CLEAR_LINE);
    },
  };
}

/** `, about 12 s left`: what the rest takes if it goes on like this; "" while too little is known. */
export function remaining(start: number, done: number, total: number, now = performance.now()): string {
  const elapsed = now - start;
  if (done === 0 || elapsed < SHORTEST_KNOWN_MS) return "";
  const seconds = Math.round(((elapsed / done) * (total - done)) / 1000);
  return seconds < 60 ? `, about ${seconds} s left` : `, about ${Math.round(seconds / 60)} min left`;
}

/** Shows how much of a file has been read. */
export function readingProgress(file: string, progress: Progress): Pick<OpenTraceOptions, "onProgress"> {
  return { onProgress: (bytes) => progress.show(`${file}: ${formatBytes(bytes)} read`) };
}
