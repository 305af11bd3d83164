// The list of what was found: each distinct finding once, suppressed ones counted only. It calls the program's handler with each new one.
// What makes two findings the same is here; what a finding says is finding.ts.

import { hideFields, outline } from "../../platform/hardware/outline.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Finding } from "./finding.ts";
import type { Frame } from "./frames.ts";
import { isSuppressed, type Suppression } from "./suppressions.ts";

/** Called with each new finding while the access waits. What it throws goes to the program, which then has not made the access. */
export type FindingHandler = (finding: Finding) => void;

export class Findings {
  readonly list: Finding[] = [];
  suppressions: Suppression[] = [];
  handler: FindingHandler | null = null;
  /** Called with the listed finding each time that it happens: for those who want to know when, as matchers do. */
  readonly handlers = new Set<(finding: Finding) => void>();
  /** Findings that a suppression kept out of the list. */
  suppressed = 0;
  /** Errors with their repetitions, as Memcheck's VALGRIND_COUNT_ERRORS. */
  total = 0;
  /** While above 0 nothing is recorded (VALGRIND_DISABLE_ERROR_REPORTING). */
  disabled = 0;
  private readonly byKey = new Map<string, Finding>();
  private readonly listed = new Set<Finding>();
  /** Of the process that this one was forked from: what a child does wrong is found in its parent, too. */
  private readonly parent: Findings | null;

  /** A forked process's findings begin with its parent's suppressions. */
  constructor(parent: Findings | null = null) {
    this.parent = parent;
    hideFields(this);
    if (parent === null) return;
    this.suppressions = [...parent.suppressions];
    this.disabled = parent.disabled;
  }

  /**
   * Records a finding, or counts it with an equal one. The same place in the program is the same error at any address.
   * @returns the finding in the list; null if it is suppressed, or nothing is recorded
   */
  add(finding: Finding): Finding | null {
    if (this.disabled > 0) return null;
    if (isSuppressed(finding, this.suppressions)) {
      this.suppressed++;
      return null;
    }
    const key = keyOf(finding);
    const known = this.byKey.get(key);
    if (known !== undefined && finding.kind !== "leak") {
      this.repeat(known);
      return known;
    }
    this.total++;
    // A later leak check knows better how many blocks of a place are lost.
    if (known !== undefined) this.delete(key, known);
    finding.count += known?.count ?? 0;
    this.byKey.set(key, finding);
    this.list.push(finding);
    this.listed.add(finding);
    this.tell(finding);
    if (known === undefined) this.handler?.(finding);
    return finding;
  }

  /** A finding of the list has happened once more. */
  repeat(finding: Finding): void {
    this.total++;
    finding.count++;
    this.tell(finding);
  }

  /** A suppressed finding has happened once more. */
  repeatSuppressed(): void {
    this.suppressed++;
  }

  private tell(finding: Finding): void {
    for (const handler of this.handlers) handler(finding);
    if (finding.kind !== "leak") this.parent?.add({ ...finding, count: 1 });
  }

  has(finding: Finding): boolean {
    return this.listed.has(finding);
  }

  /** Takes findings off the list. */
  remove(findings: readonly Finding[]): void {
    for (const finding of findings) {
      const key = keyOf(finding);
      const known = this.byKey.get(key);
      if (known !== undefined) this.delete(key, known);
    }
  }

  /** Takes back `times` of how often a finding happened; the last one takes it off the list. */
  take(finding: Finding, times: number): void {
    if (!this.listed.has(finding)) return;
    if (finding.count <= times) this.delete(keyOf(finding), finding);
    else finding.count -= times;
  }

  private delete(key: string, finding: Finding): void {
    this.byKey.delete(key);
    this.listed.delete(finding);
    const row = this.list.indexOf(finding);
    if (row >= 0) this.list.splice(row, 1);
  }

  /** Forgets what was found; a repetition is new again. */
  clear(): void {
    this.list.length = 0;
    this.listed.clear();
    this.byKey.clear();
    this.total = 0;
    this.suppressed = 0;
  }
}

function keyOf(finding: Finding): string {
  const stack = keyOfStack(finding.stack);
  const size = finding.kind === "leak" ? "" : finding.size;
  const where = finding.stack.length === 0 && finding.kind !== "leak" ? finding.address : "";
  return [finding.kind, finding.operation, finding.cause, finding.leakKind, size, where, stack].join(" ");
}

/** Findings of one place share their frames. */
const stackKeys = new WeakMap<readonly Frame[], string>();

function keyOfStack(stack: readonly Frame[]): string {
  let key = stackKeys.get(stack);
  if (key === undefined) {
    key = stack.map(({ file, line, column }) => `${file}:${line}:${column}`).join("|");
    stackKeys.set(stack, key);
  }
  return key;
}

outline(Findings, ({ list }) => ({ findings: list.length }));

keepClass("Findings", Findings, {
  isOfHost: true,
  // Who looks on is no part of the state.
  atRest: () => ({ handlers: new Set() }),
});
