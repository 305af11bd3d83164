// Recordings of heaps after their programs have ended: which files there are, and the end of those whose process was killed.
// Writing them is the recorded process's own (record.preload.ts).
import { appendFileSync, closeSync, fstatSync, openSync, readdirSync, readSync, rmSync, truncateSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BLOCK_HEAD_BYTES, HEAD_BYTES } from "../../../allocator/record/binary-layout.ts";
import { encodeEnd } from "../../../allocator/record/binary-writer.ts";
import { payloadLength } from "../traces/binary-reader.ts";

/** FILE, FILE.2, FILE.3, … in this order, those that are there. */
export function recordingFiles(file: string): string[] {
  const name = basename(file);
  const numbers = readdirSync(dirname(file)).flatMap((entry) => {
    if (entry === name) return [1];
    const number = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : "";
    return /^[1-9]\d*$/.test(number) ? [Number(number)] : [];
  });
  return numbers.sort((a, b) => a - b).map((number) => join(dirname(file), number === 1 ? name : `${name}.${number}`));
}

export function removeRecordings(file: string): void {
  for (const one of recordingFiles(file)) rmSync(one, { force: true });
}

/** Cuts a recording behind its last whole block and adds the end, if its process could not. */
export function completeRecording(file: string): void {
  const { end, events, isWhole } = lastBlock(file);
  if (isWhole) return;
  truncateSync(file, end);
  appendFileSync(file, encodeEnd(events));
}

function lastBlock(file: string): { readonly end: number; readonly events: number; readonly isWhole: boolean } {
  const fd = openSync(file, "r");
  try {
    const { size } = fstatSync(fd);
    const head = Buffer.alloc(BLOCK_HEAD_BYTES);
    let [end, events] = [HEAD_BYTES, 0];
    while (readSync(fd, head, 0, BLOCK_HEAD_BYTES, end) === BLOCK_HEAD_BYTES) {
      const rows = head.readUInt32LE(0);
      const bytes = payloadLength(head, true);
      if (bytes < 0 || end + BLOCK_HEAD_BYTES + bytes > size) break;
      if (rows === 0) return { end, events, isWhole: true };
      events += rows;
      end += BLOCK_HEAD_BYTES + bytes;
    }
    return { end, events, isWhole: false };
  } finally {
    closeSync(fd);
  }
}
