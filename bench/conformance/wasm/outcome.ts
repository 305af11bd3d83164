// What became of one command of a script in one way of running it, and which errors mean what.
import { ModuleError } from "../../../allocator/wasm/binary/module-error.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { engine } from "../../../platform/host/engine.ts";
import { NotAssembled } from "./assemble.ts";

/**
 * `held`: as the script says; `detail` is how, where there are several ways to (a trap's message). `failed`: not so. `skipped`:
 * this engine, its JavaScript interface or the assembler cannot have it. `refused`: a ModuleError says that it is not supported.
 */
export interface Outcome {
  readonly verdict: "held" | "failed" | "skipped" | "refused";
  readonly detail: string;
}

export const HELD: Outcome = { verdict: "held", detail: "" };

export function skipped(detail: string): Outcome {
  return { verdict: "skipped", detail };
}

export function failed(detail: string): Outcome {
  return { verdict: "failed", detail };
}

/** What stands in for a result where there is none to be had. */
export class NoAnswer extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome.detail);
    this.outcome = outcome;
  }
}

/** Of an error that no command expects. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof NoAnswer) return error.outcome;
  if (error instanceof NotAssembled) return skipped("text that wabt does not read");
  if (error instanceof ModuleError && (error.code === "unsupported" || error.code === "memory"))
    return { verdict: "refused", detail: error.message.replace(/ \(at byte.*/, "") };
  return failed(`got ${describe(error)}`);
}

export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** V8's words for an access that here is a SegmentationFault. */
const OUT_OF_BOUNDS = "memory access out of bounds";

/** A trap's message, in the engine's words; null: the error is no trap. */
export function trapOf(error: unknown): string | null {
  if (error instanceof SegmentationFault) return OUT_OF_BOUNDS;
  if (!(error instanceof engine.RuntimeError)) return null;
  // Engines differ in the numbers that they add to what they say of segments.
  return error.message.replace(/ \(.*/, "").replace(/(?<=segment) \d+/, "");
}

export function exhaustionOf(error: unknown): string | null {
  return error instanceof RangeError ? "stack" : null;
}

/** A missing host module is a TypeError of the engine's. */
export function linkErrorOf(error: unknown): string | null {
  return error instanceof engine.LinkError || error instanceof TypeError ? error.name : null;
}

export function invalidityOf(error: unknown): string | null {
  return error instanceof engine.CompileError || error instanceof ModuleError ? "invalid" : null;
}
