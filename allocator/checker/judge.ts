// Judges each access to undefined bytes that the hardware tells of: fine, a use of uninitialised memory, or an access to memory that
// is not the program's. The only state is which memory is known to be addressable; everything else is read from the heap.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { hideFields, outline } from "../../platform/hardware/outline.ts";
import type { UseKind, ValidityObserver } from "../../platform/hardware/validity.ts";
import { USE_COMPARE, USE_COPY, USE_LOAD, USE_READ, USE_STORE, USE_STRING } from "../../platform/hardware/validity.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Trace, Traces } from "../common/traces.ts";
import type { NoAccess } from "../tracking/no-access.ts";
import type { Addressable } from "./addressable.ts";
import type { Blocks } from "./blocks.ts";
import { type Block, type Cause, type Finding, makeFinding, type Operation, type Origin } from "./finding.ts";
import type { Findings } from "./findings.ts";
import { framesOf } from "./frames.ts";
import type { Origins } from "./origins.ts";

/** What a report is of: an access, a value, or a free that was refused. */
interface Event {
  readonly what: string;
  readonly operation: Operation;
  readonly address: Address;
  readonly size: ByteCount;
  readonly bad: Address;
}

/** What the last report from a place was; null: it was suppressed. */
interface Seen extends Event {
  readonly epoch: number;
  finding: Finding | null;
}

/** A value has no address. */
const NOWHERE = 0;

export interface JudgeSources {
  readonly addressable: Addressable;
  readonly blocks: Blocks;
  readonly noAccess: NoAccess;
  readonly origins: Origins;
  readonly findings: Findings;
  readonly traces: Traces;
}

export class Judge implements ValidityObserver {
  addressableFrom = 0;
  addressableTo = 0;
  reportsLoads = true;
  private readonly sources: JudgeSources;
  /** A report is being made: what its handler does is not judged. */
  private isBusy = false;
  /** Counts what changes the heap, marks or suppressions: since then, what was the same may be another. */
  private epoch = 0;
  /** The last finding of each place in the program. */
  private readonly seen = new Map<Trace, Seen>();

  get isReporting(): boolean {
    return this.isBusy;
  }

  constructor(sources: JudgeSources) {
    this.sources = sources;
    hideFields(this);
  }

  undefinedUse(kind: UseKind, address: Address, size: ByteCount, firstUndefined: number): void {
    if (this.isBusy) return;
    const forbidden = this.firstForbidden(address, size);
    if (forbidden >= 0) {
      this.report("invalid-access", operationOf(kind), address, size, forbidden);
      return;
    }
    if (!this.reportsLoads && (kind === USE_LOAD || kind === USE_READ)) return;
    this.report("uninitialised", operationOf(kind), address, size, firstUndefined);
  }

  mayAccess(kind: UseKind, address: Address, size: ByteCount): boolean {
    if (this.isBusy) return true;
    const forbidden = this.firstForbidden(address, size);
    if (forbidden < 0) return true;
    this.report("invalid-access", operationOf(kind), address, size, forbidden);
    return false;
  }

  addressableRun(address: Address, end: number): number {
    return this.isBusy ? end - address : this.sources.addressable.run(address, end);
  }

  copied(to: Address, from: Address, size: ByteCount): void {
    this.sources.origins.noteCopy(to, from, size);
  }

  /** A fault in memory that the program was never given, or no longer has; faults in its own mappings are not judged. */
  faulted(kind: UseKind, address: Address, size: ByteCount, faultAddress: number): void {
    if (this.isBusy || this.sources.addressable.run(faultAddress, faultAddress + 1) > 0) return;
    const forbidden = this.firstForbidden(address, size);
    this.report("invalid-access", operationOf(kind), address, size, forbidden >= 0 ? forbidden : faultAddress);
  }

  /** The first byte of a range that is not the program's, or −1; the live chunk that it ends in becomes the addressable range. */
  private firstForbidden(address: Address, size: ByteCount): number {
    const { addressable, noAccess } = this.sources;
    const forbidden = addressable.firstForbidden(address, size);
    if (noAccess.isEmpty && addressable.chunkTo > 0) {
      this.addressableFrom = addressable.chunkFrom;
      this.addressableTo = addressable.chunkTo;
    }
    return forbidden;
  }

  /** Something is not as it was: chunks, marks, suppressions. */
  noteChange(): void {
    this.epoch++;
  }

  /** Forgets what is known to be addressable, after the program changed it. */
  forget(): void {
    this.epoch++;
    this.addressableFrom = 0;
    this.addressableTo = 0;
  }

  /**
   * `bad`: the first undefined byte, or the first that is not the program's to access.
   * `originOf`: asked where undefined bits are from, if this is a new finding; absent: what copies of blocks are known
   */
  report(
    kind: "uninitialised" | "invalid-access",
    operation: Operation,
    address: Address,
    size: ByteCount,
    bad: Address,
    originOf: (() => Origin | null) | null = null,
  ): void {
    const { findings, traces, blocks, origins } = this.sources;
    if (findings.disabled > 0) return;
    this.isBusy = true;
    try {
      const trace = traces.here();
      const event: Event = { what: kind, operation, address, size, bad };
      if (this.isRepetition(trace, event)) return;
      const isUninitialised = kind === "uninitialised";
      const block = isUninitialised ? blocks.at(bad) : blocks.blamedFor(address, size, bad);
      const from = originOf?.() ?? null;
      const source = from?.block?.name === block?.name ? null : (from?.block ?? null);
      const seen = this.note(trace, event);
      seen.finding = findings.add(
        makeFinding({
          kind,
          operation,
          cause: isUninitialised ? null : causeOf(bad, block),
          address,
          size,
          firstUndefined: isUninitialised ? bad : null,
          offset: block === null ? null : address - block.pointer,
          block,
          origin: source ?? (isUninitialised ? origins.of(bad, block) : null),
          originFrame: from?.frame ?? null,
          stack: framesOf(trace),
        }),
      );
    } finally {
      this.isBusy = false;
    }
  }

  /**
   * A value that undefined bits decide is used.
   * @param originOf asked where the bits are from, if this is a new finding; null: that is not followed
   * @returns the finding; null: it is suppressed, or nothing is reported
   */
  reportValue(operation: Operation, originOf: (() => Origin | null) | null): Finding | null {
    const { findings, traces } = this.sources;
    if (findings.disabled > 0 || this.isBusy) return null;
    this.isBusy = true;
    try {
      const trace = traces.here();
      const event: Event = { what: "value", operation, address: NOWHERE, size: 0, bad: NOWHERE };
      const known = this.seen.get(trace);
      if (known !== undefined && isSame(known, event) && (known.finding !== null || known.epoch === this.epoch)) {
        if (this.isKnown(known)) return known.finding;
      }
      const origin = originOf?.() ?? null;
      const seen = this.note(trace, event);
      seen.finding = findings.add(
        makeFinding({
          kind: "uninitialised",
          operation,
          address: NOWHERE,
          size: 0,
          origin: origin?.block ?? null,
          originFrame: origin?.frame ?? null,
          stack: framesOf(trace),
        }),
      );
      return seen.finding;
    } finally {
      this.isBusy = false;
    }
  }

  /**
   * A free or realloc of `pointer` was refused with `error`, which is about `address`.
   * @param causeOf asked why, if it was not refused so before; null: not because of the chunk
   */
  reportRefusal(
    operation: "free" | "realloc",
    pointer: Address,
    address: Address,
    error: string,
    causeOf: () => Cause | null,
  ): void {
    const { findings, traces, blocks } = this.sources;
    if (findings.disabled > 0) return;
    const trace = traces.here();
    const event: Event = { what: error, operation, address, size: 0, bad: pointer };
    if (this.isRepetition(trace, event)) return;
    const cause = causeOf();
    if (cause === null) return;
    const block = blocks.at(address);
    const seen = this.note(trace, event);
    seen.finding = findings.add(
      makeFinding({
        kind: "invalid-free",
        operation,
        cause,
        address,
        size: 0,
        offset: block === null ? null : address - block.pointer,
        block,
        stack: framesOf(trace),
      }),
    );
  }

  /** A finding has happened again, as is known without its stack. @returns whether it was counted */
  repeat(finding: Finding): boolean {
    const { findings } = this.sources;
    if (findings.disabled > 0 || this.isBusy || !findings.has(finding)) return false;
    findings.repeat(finding);
    return true;
  }

  /** A loop that makes the same mistake again and again: the same place, the same bytes, and the heap has not changed. */
  private isRepetition(trace: Trace, event: Event): boolean {
    const seen = this.seen.get(trace);
    return seen !== undefined && seen.epoch === this.epoch && isSame(seen, event) && this.isKnown(seen);
  }

  private note(trace: Trace, event: Event): Seen {
    const seen: Seen = { ...event, epoch: this.epoch, finding: null };
    this.seen.set(trace, seen);
    return seen;
  }

  /** Counts a repetition, if what was found is still on the list. */
  private isKnown(seen: Seen): boolean {
    const { findings } = this.sources;
    if (seen.finding === null) findings.repeatSuppressed();
    else if (!findings.has(seen.finding)) return false;
    else findings.repeat(seen.finding);
    return true;
  }
}

function isSame(one: Event, other: Event): boolean {
  return (
    one.address === other.address &&
    one.bad === other.bad &&
    one.size === other.size &&
    one.operation === other.operation &&
    one.what === other.what
  );
}

function causeOf(bad: Address, block: Block | null): Cause {
  if (block?.state === "freed") return "use-after-free";
  const isOutside = block === null || bad < block.pointer || bad >= block.pointer + block.size;
  return isOutside ? "out-of-bounds" : "no-access";
}

function operationOf(kind: UseKind): Operation {
  if (kind === USE_LOAD) return "load";
  if (kind === USE_READ) return "read";
  if (kind === USE_COMPARE) return "compare";
  if (kind === USE_STRING) return "string";
  if (kind === USE_COPY) return "copy";
  return kind === USE_STORE ? "store" : "system call";
}

outline(Judge, ({ isReporting }) => ({ isReporting }));

keepClass("Judge", Judge, { atRest: () => ({ isBusy: false }) });
