// Host stack traces as frames: parsed, shortened for reading, and free of line numbers where a text must stay stable.
// Traces are captured and kept by traces.ts and stacks.ts.

import { isLibraryFile, pathOfUrl } from "../../platform/host/stack.ts";
import type { Trace } from "../common/traces.ts";

/** A place in a stack. */
export interface Frame {
  /** Function name as V8 gives it, or "" for module code and anonymous functions. */
  readonly functionName: string;
  /** Path or URL as the host gives it. */
  readonly file: string;
  /** From 1; 0 if it is not known. */
  readonly line: number;
  /** From 1; 0 if it is not known. */
  readonly column: number;
}

const FRAME = /^\s*at (?:async )?(.*)$/;
const PLACE = /^(.*):(\d+):(\d+)$/;

/** The frames of a trace's text; other lines (native code) are left out. */
export function parseFrames(trace: string | null): Frame[] {
  const frames: Frame[] = [];
  for (const line of (trace ?? "").split("\n")) {
    const text = FRAME.exec(line)?.[1];
    if (text === undefined) continue;
    const open = openOfPlace(text);
    const place = PLACE.exec(open < 0 ? text : text.slice(open + 2, -1));
    if (place === null) continue;
    const functionName = open < 0 ? "" : text.slice(0, open);
    frames.push({ functionName, file: place[1], line: Number(place[2]), column: Number(place[3]) });
  }
  return frames;
}

/**
 * Where ` (` stands before the place that a frame ends with in brackets, or −1. Names of C++ have such brackets too,
 * `int (anonymous namespace)::parse<int>(int)`, and what V8 says of eval has them in the place: the last one's own partner it is.
 */
function openOfPlace(text: string): number {
  if (!text.endsWith(")")) return -1;
  let depth = 0;
  for (let i = text.length - 1; i > 0; i--) {
    if (text[i] === ")") depth++;
    else if (text[i] === "(" && --depth === 0) return text[i - 1] === " " ? i - 1 : text.indexOf(" (");
  }
  return text.indexOf(" (");
}

const parsed = new WeakMap<Trace, readonly Frame[]>();

/** The frames of a trace, the same array each time. */
export function framesOf(trace: Trace): readonly Frame[] {
  let frames = parsed.get(trace);
  if (frames === undefined) {
    frames = parseFrames(trace.toString());
    parsed.set(trace, frames);
  }
  return frames;
}

/** The file as a path, from any form that hosts write; queries that a module runner adds are left out. */
export function pathOfFrame({ file }: Frame): string {
  return pathOfUrl(file.split("?")[0]);
}

/** The path, without the folder that the host's program runs in. */
function shortPath(frame: Frame): string {
  const path = pathOfFrame(frame);
  const folder = `${globalThis.process?.cwd() ?? ""}/`;
  return path.startsWith(folder) ? path.slice(folder.length) : path;
}

export function fileNameOf(frame: Frame): string {
  return pathOfFrame(frame).split("/").at(-1) ?? "";
}

/** `at parse (src/codec.ts:12:5)`; stable: `at parse (codec.ts)`, which survives edits elsewhere in the file. */
export function formatFrame(frame: Frame, { stable }: { readonly stable: boolean }): string {
  const place = stable ? fileNameOf(frame) : `${shortPath(frame)}:${frame.line}:${frame.column}`;
  return frame.functionName === "" ? `at ${place}` : `at ${frame.functionName} (${place})`;
}

/** Frames of the library itself, of runners and of the host say nothing of the program. */
export function isProgramFrame(frame: Frame): boolean {
  if (frame.file.startsWith("node:") || frame.file.includes("/node_modules/")) return false;
  return !isLibraryFile(frame.file);
}
