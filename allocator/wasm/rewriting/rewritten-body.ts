// How a pass hands over the new body of a function: its length, the locals that it had and those that the pass added, its code.
// What the code is, is the pass's.

import type { BodyWalker } from "../binary/body-walker.ts";
import type { Module } from "../binary/module.ts";
import { Code } from "./code.ts";
import type { ScratchLocals } from "./scratch-locals.ts";

/** Told where the new code of an instruction begins and ends, so that offsets can be translated back. */
export interface OffsetObserver {
  /** The instruction at byte `from` of the module became the code from `start`, counted from the body's first instruction. */
  instruction(from: number, start: number): void;
  /** Bytes of the new body's locals, which stand before its first instruction. */
  head(length: number): void;
}

/** What a pass has when it is through with a body. */
export interface RewrittenBody {
  readonly module: Module;
  /** At the end of the old body. */
  readonly walker: BodyWalker;
  readonly scratch: ScratchLocals;
  readonly code: Code;
}

export function appendBody(out: Code, body: RewrittenBody, observer: OffsetObserver | null): void {
  const { module, walker, scratch, code } = body;
  const head = new Code(64);
  scratch.declare(head, walker.localGroups, module.bytes, walker.localGroupsStart, walker.codeStart);
  out.u32(head.length + code.length);
  out.append(head.bytes, 0, head.length);
  observer?.head(head.length);
  out.append(code.bytes, 0, code.length);
}
