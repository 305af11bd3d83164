// Which format a trace has, by its first bytes alone: names of files say nothing.
// Packing (gzip, zstd, zip) is undone before, in unpack.ts.
import { MAGIC } from "../../../allocator/record/binary-layout.ts";
import { EVENT_WORDS } from "../../../allocator/record/events.ts";

/** The formats, T1 to T8 in that order, by the names that messages and options use. */
export const TRACE_FORMATS = [
  "android",
  "mtrace",
  "rep",
  "lackey",
  "binary",
  "text",
  "trace-malloc",
  "heaptrack",
] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

/** Bytes of the beginning that detection looks at. */
export const DETECT_BYTES = 65536;

const ANDROID = /^\d+: *(malloc|calloc|realloc|memalign|free|thread_done)\b/;
const MTRACE = /^(= (Start|End)\b|@ |[-<] (0x[0-9a-f]+|\(nil\))$|[+>!] (0x[0-9a-f]+|\(nil\)) (0x)?[0-9a-f]+$)/i;
/** cachelab's traces have Lackey's lines with the blank in front or without. */
const LACKEY = /^\s*[ILSM] +[0-9a-f]+,\d+$/;
/** Lines of any Valgrind tool; which one it was is in the first of them. */
const VALGRIND = /^(==|--|\*\*)(\d[\d:.]* )?\d+\1/;
const LACKEY_BANNER = /^==.*== Lackey\b/;
const TEXT = new RegExp(`^(refheap-trace \\d|\\d+ (${EVENT_WORDS.join("|")})\\b)`);
const HEAPTRACK = /^v [0-9a-f]+( [0-9a-f]+)?$/;
const REP_HEAD = /^\s*\d+(\s+\d+){0,3}\s*$/;

/**
 * The format that the first line says that says anything; "empty" for a file without one; null if no format begins so.
 * A T3 head looks like numbers alone.
 */
export function detectFormat(beginning: Uint8Array): TraceFormat | "empty" | null {
  if (MAGIC.every((byte, index) => beginning[index] === byte)) return "binary";
  const text = Buffer.from(beginning.buffer, beginning.byteOffset, beginning.byteLength).toString("latin1");
  let log: TraceFormat | null = null;
  for (const raw of text.split("\n")) {
    const line = raw.trimEnd();
    if (line.trim() === "" || line.startsWith("#")) continue;
    if (ANDROID.test(line.trimStart())) return "android";
    if (VALGRIND.test(line)) {
      log ??= LACKEY_BANNER.test(line) ? "lackey" : "trace-malloc";
      continue;
    }
    if (LACKEY.test(line)) return "lackey";
    if (log !== null) return log;
    if (MTRACE.test(line)) return "mtrace";
    if (HEAPTRACK.test(line)) return "heaptrack";
    if (TEXT.test(line.trimStart())) return "text";
    if (REP_HEAD.test(line)) return "rep";
    return null;
  }
  return log ?? "empty";
}
