// What was measured of each row, and how rows of one size are held against each other.
// Text and targets are made elsewhere.
import { type Improvement, pairedImprovement } from "../harness/statistics.ts";
import type { Measurement } from "./measurement.ts";
import type { NativeMeasurement } from "./native.ts";
import type { Row, ThreadFigures } from "./rows.ts";

export interface RowResult {
  readonly row: Row;
  readonly measurement: Measurement;
  /** Absent for rows that this machine's kernel cannot run, and where there is no compiler. */
  readonly native?: NativeMeasurement;
}

/** The memset row of the same size: what improvements are measured against. */
function memsetRowOf(results: readonly RowResult[], row: Row): RowResult | undefined {
  return results.find((other) => other.row.fill === "memset" && sameSize(other.row, row));
}

export function sameSize(a: Row | ThreadFigures, b: Row | ThreadFigures): boolean {
  return a.touchSize === b.touchSize && a.mmapSize === b.mmapSize;
}

export function improvementOf(results: readonly RowResult[], { row, measurement }: RowResult): Improvement | undefined {
  const memset = memsetRowOf(results, row);
  if (memset === undefined || row.fill === "memset" || row.fill === "anonymous") return undefined;
  return pairedImprovement(memset.measurement.seconds, measurement.seconds);
}
