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

const FRAME = /^\s*at (?:async )?(?:(.*?) \()?(.*?):(\d+):(\d+)\)?$/;

/** The frames of a trace's text; other lines (native code) are left out. */
export function parseFrames(trace: string | null): Frame[] {
  const frames: Frame[] = [];
  for (const line of (trace ?? "").split("\n")) {
    const match = FRAME.exec(line);
    if (match === null) continue;
    frames.push({ functionName: match[1] ?? "", file: match[2], line: Number(match[3]), column: Number(match[4]) });
  }
  return frames;
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
