// Stack frames of guests: V8's lines speak of the rewritten module's bytes; here they become lines about the module as it was given.
// Names, files and lines are what the module's debug information says (../debug/); without it, function and byte offset.

import {
  type FrameTranslator,
  removeFrameTranslator,
  setFrameTranslator,
  traceText,
} from "../../../platform/host/stack.ts";
import { findSection, type Module, SECTION_CODE, SECTION_CUSTOM } from "../binary/module.ts";
import { DebugInfo, type DebugInfoOptions } from "../debug/debug-info.ts";
import type { CustomSection } from "../debug/sections/custom-sections.ts";
import type { Rewritten } from "../rewriting/rewriter.ts";
import { originalOffset } from "./original-offset.ts";

const WASM_FRAME = /^\s*at (?:(.*?) \()?(wasm:\/\/wasm\/[^):]*):wasm-function\[(\d+)\]:0x([0-9a-f]+)\)?$/;

export interface FrameSources {
  readonly rewritten: Rewritten;
  readonly debugInfo: DebugInfo;
  /** What stands for the module's file where no source is known. */
  readonly fileName: string;
}

/** Files beside the module that tell of its source. */
export type DebugFiles = Pick<DebugInfoOptions, "externalDwarf" | "sourceMap">;

/** What the module, and files beside it, say of its source. */
export function debugInfoOf(module: Module, given: DebugFiles = {}): DebugInfo {
  const custom: CustomSection[] = [];
  for (const { id, name, start, end } of module.sections) {
    if (id !== SECTION_CUSTOM) continue;
    // The name comes first: its length and its bytes.
    let at = start;
    while (module.bytes[at] >= 0x80) at++;
    custom.push({ name, bytes: module.bytes.subarray(at + 1 + new TextEncoder().encode(name).length, end) });
  }
  const functionNames = new Map<number, string>();
  for (const { name, kind, index } of module.exports) if (kind === 0) functionNames.set(index, name);
  return DebugInfo.of(custom, findSection(module, SECTION_CODE)?.start ?? 0, {
    ...given,
    functionNames,
    bodyOffsets: byFunction(module, module.bodyStart),
    bodyEnds: byFunction(module, module.bodyEnd),
  });
}

/** Of imported functions, 0. */
function byFunction({ functionTypes, importedFunctions }: Module, ofBodies: Uint32Array): Uint32Array {
  const values = new Uint32Array(functionTypes.length);
  values.set(ofBodies, importedFunctions);
  return values;
}

/** Frames between a function of the host's and the guest's that called it. */
const PROBE_FRAMES = 16;

/** The engine's name for the module whose frame is next on the stack, or "". Programs may have changed how traces look. */
export function callersUrl(): string {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Object.assign(Error, { prepareStackTrace: undefined, stackTraceLimit: PROBE_FRAMES });
  try {
    const lines = (new Error("where").stack ?? "").split("\n");
    return lines.map((line) => WASM_FRAME.exec(line)?.[2] ?? "").find((url) => url !== "") ?? "";
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  }
}

const ends = new FinalizationRegistry<() => void>((end) => end());

/**
 * Translates frames of the module at `url` from now on, as long as `sources` are there: an error may be shown when its instance was
 * disposed of.
 */
export function translateFrames(url: string, sources: FrameSources): void {
  const known = new Map<string, string[]>();
  const held = new WeakRef(sources);
  const translator: FrameTranslator = (line) => {
    let lines = known.get(line);
    if (lines === undefined) {
      const living = held.deref();
      if (living === undefined) return [line];
      lines = translateLine(line, living);
      known.set(line, lines);
    }
    return lines;
  };
  setFrameTranslator(url, translator);
  ends.register(sources, () => removeFrameTranslator(url, translator));
}

/** Frames of a trap's stack that are shown. */
const TRAP_FRAMES = 50;

/**
 * The stack of an error that came out of a guest, such as a trap's `WebAssembly.RuntimeError`: its name and message, and a line a
 * frame, those of the guest by the module's own names, files and lines, where the error's `stack` has bytes of rewritten code.
 * The instance may have been disposed of, but must still be there, or its module.
 */
export function guestStack(error: Error): string {
  return [`${error.name}: ${error.message}`, traceText(error, TRAP_FRAMES)].filter((part) => part !== "").join("\n");
}

function translateLine(line: string, { rewritten, debugInfo, fileName }: FrameSources): string[] {
  const match = WASM_FRAME.exec(line);
  if (match === null) return [line];
  const index = Number(match[3]);
  const body = index - rewritten.module.importedFunctions;
  // Helpers, and functions that are the heap's now.
  if (body < 0 || body >= rewritten.bodyStart.length || rewritten.isHeapFunction(body)) return [];
  const offset = originalOffset(rewritten, body, Number.parseInt(match[4], 16));
  return debugInfo.lookup(index, offset).map((frame) => {
    const known = frame.file !== null && frame.line !== null;
    const place = known ? `${frame.file}:${frame.line}:${frame.column ?? 1}` : `${fileName}:1:${offset}`;
    return `    at ${frame.functionName} (${place})`;
  });
}
