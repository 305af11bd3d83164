// The list of what was found: each distinct finding once, suppressed ones counted only, and the program's handler told of new ones.

import type { Finding } from "./finding.ts";
import { isSuppressed, type Suppression } from "./suppressions.ts";

/** Told of each new finding while the access waits. What it throws goes to the program, which then has not made the access. */
export type FindingHandler = (finding: Finding) => void;

export class Findings {
  readonly list: Finding[] = [];
  suppressions: Suppression[] = [];
  handler: FindingHandler | null = null;
  /** Findings that a suppression kept out of the list. */
  suppressed = 0;
  /** Errors with their repetitions, as Memcheck's VALGRIND_COUNT_ERRORS. */
  total = 0;
  /** While above 0 nothing is recorded (VALGRIND_DISABLE_ERROR_REPORTING). */
  disabled = 0;
  private readonly byKey = new Map<string, Finding>();

  /** Records a finding, or counts it with an equal one. The same place in the program is the same error, whatever the address. */
  add(finding: Finding): void {
    if (this.disabled > 0) return;
    if (isSuppressed(finding, this.suppressions)) {
      this.suppressed++;
      return;
    }
    this.total++;
    const key = keyOf(finding);
    const known = this.byKey.get(key);
    if (known !== undefined) {
      known.count++;
      return;
    }
    this.byKey.set(key, finding);
    this.list.push(finding);
    this.handler?.(finding);
  }

  /** Takes findings off the list. */
  remove(findings: readonly Finding[]): void {
    for (const finding of findings) {
      const row = this.list.indexOf(finding);
      if (row >= 0) this.list.splice(row, 1);
      this.byKey.delete(keyOf(finding));
    }
  }

  /** Forgets what was found; a repetition is new again. */
  clear(): void {
    this.list.length = 0;
    this.byKey.clear();
    this.total = 0;
    this.suppressed = 0;
  }
}

function keyOf(finding: Finding): string {
  const stack = finding.stack.map(({ file, line, column }) => `${file}:${line}:${column}`).join("|");
  const where = finding.stack.length === 0 ? `${finding.address}` : "";
  return [finding.kind, finding.operation, finding.cause, finding.leakKind, finding.size, where, stack].join(" ");
}
