// The one error that reading a trace throws: where in which file, what was expected, what stood there.

const SHOWN_CHARACTERS = 60;

/** A trace cannot be read: `file:line: expected …, found …`. */
export class TraceError extends Error {
  override readonly name = "TraceError";
  readonly file: string;
  /** From 1; 0 where the error is about the file as a whole. */
  readonly line: number;
  readonly expected: string;

  constructor(file: string, line: number, expected: string, found: string) {
    super(`${file}${line > 0 ? `:${line}` : ""}: expected ${expected}, found ${found}`);
    this.file = file;
    this.line = line;
    this.expected = expected;
  }
}

/** A line as an error shows it: quoted, control characters escaped, cut if long. */
export function showBytes(bytes: Uint8Array, start: number, end: number): string {
  if (start >= end) return "an empty line";
  const shownEnd = Math.min(end, start + SHOWN_CHARACTERS);
  const text = JSON.stringify(Buffer.from(bytes.buffer, bytes.byteOffset + start, shownEnd - start).toString("latin1"));
  return shownEnd < end ? `${text} and ${end - shownEnd} bytes more` : text;
}
