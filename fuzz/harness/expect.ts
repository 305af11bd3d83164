// Vitest's words for what must hold, as far as models use them, for programs that run outside Vitest as well as in it.
import { deepStrictEqual, strictEqual } from "node:assert/strict";

/** What a model says about a value; each call throws an AssertionError if it does not hold. */
export interface Expectation {
  toBe(want: unknown): void;
  toEqual(want: unknown): void;
  toMatchObject(want: object): void;
  toContain(want: unknown): void;
  toBeUndefined(): void;
  toBeGreaterThan(bound: number): void;
  toBeGreaterThanOrEqual(bound: number): void;
  toBeLessThan(bound: number): void;
  readonly not: { toBe(unwanted: unknown): void };
}

/** @param what is said in front of the difference. */
export function expect(value: unknown, what = ""): Expectation {
  const because = (text: string): string => (what === "" ? text : `${what}: ${text}`);
  const holds = (truth: boolean, text: string): void => {
    if (!truth) throw new Error(because(`${show(value)} ${text}`));
  };
  return {
    toBe: (want) => {
      if (Object.is(value, want)) return;
      if (what !== "") throw new Error(because(`${show(value)} is not ${show(want)}`));
      strictEqual(value, want);
    },
    toEqual: (want) => {
      if (what === "") deepStrictEqual(value, want);
      else deepStrictEqual({ [what]: value }, { [what]: want });
    },
    toMatchObject: (want) => {
      for (const [key, part] of Object.entries(want))
        deepStrictEqual({ [key]: (value as Record<string, unknown>)[key] }, { [key]: part });
    },
    toContain: (want) => holds((value as unknown[]).includes(want), `does not contain ${show(want)}`),
    toBeUndefined: () => holds(value === undefined, "is not undefined"),
    toBeGreaterThan: (bound) => holds((value as number) > bound, `is not greater than ${bound}`),
    toBeGreaterThanOrEqual: (bound) => holds((value as number) >= bound, `is less than ${bound}`),
    toBeLessThan: (bound) => holds((value as number) < bound, `is not less than ${bound}`),
    not: { toBe: (unwanted) => holds(!Object.is(value, unwanted), "is what it must not be") },
  };
}

function show(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
