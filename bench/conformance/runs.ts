// Run-length coding as the recorded files use it: characters (`3A2.` is `AAA..`) and bytes (`[[7, 3], [0, 2]]`).
import type { Run } from "./script.ts";

/** `AAA..` as `3A2.`; a count of one is left out. */
export function encodeCharacters(text: string): string {
  let coded = "";
  for (let from = 0; from < text.length; ) {
    let to = from + 1;
    while (to < text.length && text[to] === text[from]) to++;
    coded += to - from === 1 ? text[from] : `${to - from}${text[from]}`;
    from = to;
  }
  return coded;
}

/** Appends `count` times `value` to runs that are being built. */
export function appendRun(runs: [number, number][], value: number, count: number): void {
  if (count === 0) return;
  const last = runs.at(-1);
  if (last?.[0] === value) last[1] += count;
  else runs.push([value, count]);
}

/** Appends bytes to runs that are being built. */
export function appendBytes(runs: [number, number][], bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; ) {
    let to = from + 1;
    while (to < bytes.length && bytes[to] === bytes[from]) to++;
    appendRun(runs, bytes[from], to - from);
    from = to;
  }
}

export function runsOf(bytes: Uint8Array): Run[] {
  const runs: [number, number][] = [];
  appendBytes(runs, bytes);
  return runs;
}
