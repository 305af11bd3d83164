// T6: our own text format, the twin of the binary one: writing it, a line an event.
// Grammar in docs/traces.md; reading is the laboratory's (bench/lab/traces/text.ts).
import { EVENT_WORDS, type EventBatch, FREE, MALLOC, MARK, REALLOC, THREAD_END, THREAD_START } from "./events.ts";

export const TEXT_HEAD = "refheap-trace 1";

/** A batch as lines of T6, a newline after each. The head is not among them. */
export function formatBatch(batch: EventBatch): string {
  const lines: string[] = [];
  for (let row = 0; row < batch.count; row++) lines.push(formatRow(batch, row));
  return lines.join("");
}

function formatRow(batch: EventBatch, row: number): string {
  const kind = batch.kind[row];
  const size = batch.size[row];
  const start = `${batch.thread[row]} ${EVENT_WORDS[kind]}`;
  if (kind === MARK) return `${start} ${JSON.stringify(batch.labels[size])}\n`;
  if (kind === THREAD_START || kind === THREAD_END) return `${start}\n`;
  const id = batch.id[row];
  if (kind === FREE) return `${start} ${id}\n`;
  if (kind === MALLOC || kind === REALLOC) return `${start} ${id} ${size}\n`;
  return `${start} ${id} ${batch.offset[row]} ${size}\n`;
}
