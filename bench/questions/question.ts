// What a question of docs/questions.md is to its command: a name, what it asks, and a text that is the same on every machine.
// Counts come from the simulated kernel, times from the cost model; nothing here looks at a clock.
import { type Column, formatNanoseconds, formatTable } from "../harness/table.ts";
import { type CostCounts, estimate, improvement, type MachineModel } from "../lab/cost/cost-model.ts";

export interface Question {
  readonly name: string;
  /** One line for the list of questions. */
  readonly asks: string;
  readonly answer: () => string | Promise<string>;
}

export const left = (heading: string): Column => ({ heading, align: "left" });
export const right = (heading: string): Column => ({ heading });

/** Tables and sentences, one below the other. */
export function text(...parts: readonly string[]): string {
  return parts.join("\n\n");
}

export function table(title: string, columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  return `${title}\n${formatTable(columns, rows)}`;
}

/** `3.96 ms (3.51 to 4.40 ms)`. */
export function formatEstimate(counts: CostCounts, machine: MachineModel): string {
  const { ns, low, high } = estimate(counts, machine);
  return `${formatNanoseconds(ns)} (${formatNanoseconds(low)} to ${formatNanoseconds(high)})`;
}

/** What `other` takes less than `base`: `+61.8 % [58.0, 63.1]`; negative where it takes more. */
export function formatGain(base: CostCounts, other: CostCounts, machine: MachineModel): string {
  const { value, low, high } = improvement(base, other, machine);
  return `${percent(value)} % [${percent(low)}, ${percent(high)}]`;
}

export function percent(value: number): string {
  const rounded = Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(1);
  if (Number(rounded) === 0) return "0.0";
  return value < 0 ? `−${rounded.slice(1)}` : rounded;
}
