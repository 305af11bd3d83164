// A frame of the guest: where in a module's own source an instruction stands, and how that reads in a report.
// Frames of the host's JavaScript are allocator/checker's.

export interface GuestFrame {
  /** Readable name of the function; `wasm-function[12]` where the module does not tell. */
  readonly functionName: string;
  /** Index of the function whose code this is, in the module as it was given; an inlined function has its caller's. */
  readonly functionIndex: number;
  /** Byte offset of the instruction in the module as it was given. */
  readonly moduleOffset: number;
  /** Path or URL as the compiler wrote it; null where it is not known. */
  readonly file: string | null;
  /** 1-based; null where it is not known. */
  readonly line: number | null;
  /** 1-based; null where it is not known. */
  readonly column: number | null;
  /** The optimiser made this code for no line of its own, or for several: `line` is that of the code before it. */
  readonly isApproximate: boolean;
  /** Whether the compiler put this function's code into the next frame's function. */
  readonly isInlined: boolean;
}

/**
 * `at parse (src/codec.c:12:5)`, or `at parse (wasm-function[12]:0x1a3)` where the source is not known, as engines write it.
 * Stable, for texts that must survive edits elsewhere in the file: `at parse (codec.c)`, `at wasm-function[12]`.
 */
export function formatGuestFrame(
  frame: GuestFrame,
  { stable }: { readonly stable: boolean } = { stable: false },
): string {
  const own = nameOfIndex(frame.functionIndex);
  if (stable) {
    if (frame.file !== null) return `at ${frame.functionName} (${fileNameOf(frame.file)})`;
    return `at ${frame.functionName}`;
  }
  const place = placeOf(frame);
  const inlined = `${frame.isApproximate ? " [approximate line]" : ""}${frame.isInlined ? " [inlined]" : ""}`;
  if (place !== null) return `at ${frame.functionName} (${place})${inlined}`;
  const offset = `${own}:0x${frame.moduleOffset.toString(16)}`;
  return frame.functionName === own ? `at ${offset}` : `at ${frame.functionName} (${offset})${inlined}`;
}

/** The name of a function that has none, as V8 and SpiderMonkey write it. */
export function nameOfIndex(functionIndex: number): string {
  return `wasm-function[${functionIndex}]`;
}

function placeOf({ file, line, column }: GuestFrame): string | null {
  if (file === null) return null;
  if (line === null) return file;
  return column === null ? `${file}:${line}` : `${file}:${line}:${column}`;
}

function fileNameOf(file: string): string {
  return file.split(/[\\/]/).at(-1) ?? file;
}
