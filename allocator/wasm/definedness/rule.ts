// What a rule of definedness is: what it is given, and what it asks for. The rules themselves are rules.ts and simd-rules.ts.

import type { Code } from "../rewriting/code.ts";

/** What a rule finds: where the operands' values and shadows are, by operand from the first (deepest) on. */
export interface RuleInput {
  readonly code: Code;
  readonly opcode: number;
  /** The instruction's own bytes, its immediates included: `bytes[start, end)`. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Locals of the operands' values; −1 where the rule did not ask for it. */
  readonly values: Int32Array;
  /** Locals of the operands' shadows; −1: defined. At least one operand has one. */
  readonly shadows: Int32Array;
  /** A scratch local of a type, by number; rules use 0 to 5. */
  temporary(type: number, number: number): number;
  /** Whether this sum or difference is exact, or undefined from the lowest undefined bit that carries up. */
  readonly exactArithmetic: boolean;
  /** Of a sum or difference: undefined bits below this one stay where they are, since nothing is added there. */
  readonly carriesFrom: number;
}

export interface Rule {
  /**
   * Which operands' values the rule reads, a bit each (1: the first), given which operands have shadows, likewise, and whether
   * arithmetic is exact.
   */
  values(shadows: number, exactArithmetic: boolean): number;
  write(input: RuleInput): void;
}
