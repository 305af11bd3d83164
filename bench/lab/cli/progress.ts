// Progress of long work on standard error, only on a terminal: a line that is overwritten and taken away at the end.

import { formatBytes } from "../../harness/table.ts";
import type { OpenTraceOptions } from "../traces/open.ts";

const INTERVAL_MS = 100;
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

/** Shows how much of a file has been read. */
export function readingProgress(file: string, progress: Progress): Pick<OpenTraceOptions, "onProgress"> {
  return { onProgress: (bytes) => progress.show(`${file}: ${formatBytes(bytes)} read`) };
}
