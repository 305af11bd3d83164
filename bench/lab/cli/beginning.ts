// The first bytes of a file, by which the command tells what it was given: a trace, results, a snapshot, a profile.
import { closeSync, openSync, readSync, statSync } from "node:fs";

/** At most `bytes` bytes as Latin-1; null for what is no file or can be read only once. */
export function beginningOf(file: string, bytes: number): string | null {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return null;
  const start = Buffer.alloc(bytes);
  const descriptor = openSync(file, "r");
  try {
    return start.toString("latin1", 0, readSync(descriptor, start, 0, bytes, 0));
  } finally {
    closeSync(descriptor);
  }
}
