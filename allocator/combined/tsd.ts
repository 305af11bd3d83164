// Thread-specific data: which cache and quarantine the running thread uses, exclusive or shared, with contention modelled (S30).
// What is done with a TSD is combined.ts's; simulated threads are the kernel's.

import type { Thread } from "../../platform/kernel/thread.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { TsdConfig } from "../options/config.ts";
import { type CacheShape, LocalCache } from "../primary/local-cache.ts";
import type { DirectGate } from "./direct-gate.ts";
import { QuarantineCache } from "./quarantine-cache.ts";

/** A cache and a quarantine, with the lock that a shared one needs. */
export class Tsd {
  /** Position in a shared registry's array; of an exclusive registry, the order of creation. */
  readonly index: number;
  readonly cache: LocalCache;
  readonly quarantine = new QuarantineCache();
  /** Whether another thread is inside a heap call with this TSD (see {@link TsdRegistry.hold}). */
  isHeld = false;
  /** When the lock was first found taken since it was last found free, in nanoseconds; 0: it was free (S30.4). */
  precedence = 0;

  constructor(index: number, shape: CacheShape) {
    this.index = index;
    this.cache = new LocalCache(shape);
  }
}

/** What the registry knows of a thread. */
interface ThreadState {
  /** null: the thread has no TSD (yet, or no more). */
  tsd: Tsd | null;
  isTornDown: boolean;
  /** M_THREAD_DISABLE_MEM_INIT (S20). */
  isMemoryInitDisabled: boolean;
}

/** How the registry asks for what it does not have itself. */
export interface RegistryOptions {
  readonly config: TsdConfig;
  readonly shape: CacheShape;
  /** Nanoseconds of the monotonic clock, for the precedence. */
  readonly now: () => number;
  /** CPUs that threads may run on; 0 if unknown. */
  readonly cpuCount: number;
  /** Puts a TSD's blocks back to where other threads find them (S25.4). */
  readonly drain: (tsd: Tsd) => void;
  /** Reports a call between disable and enable. */
  readonly reportDeadlock: () => never;
  /** Closed when another cache is the running thread's, or none. */
  readonly gate: DirectGate;
}

/** A slow path visits this many TSDs (S30.4). */
const VISITS = 4;

/**
 * The registry of one heap. `current` is the TSD of the running thread if a call may use it immediately, else null: the fast
 * path is one load and one comparison, everything else is `acquire`.
 */
export class TsdRegistry {
  current: Tsd | null = null;
  /** Its cache: one hop less for the hot paths. */
  currentCache: LocalCache | null = null;
  /** Of the running thread. */
  isMemoryInitDisabled = false;
  readonly config: TsdConfig;
  private readonly options: RegistryOptions;
  private readonly threads = new Map<Thread, ThreadState>();
  private thread: Thread;
  private state: ThreadState;
  /** Exclusive: used when a thread has no TSD of its own. */
  readonly fallback: Tsd;
  /** Shared: the array. Exclusive: the TSDs of living threads. */
  private tsds: Tsd[] = [];
  private sharedCount: number;
  private coPrimes: number[] = [];
  /** Next number to be given to a thread (shared), or to a TSD (exclusive). */
  private counter = 0;
  private isDisabled = false;

  constructor(thread: Thread, options: RegistryOptions) {
    const { config, shape } = options;
    this.options = options;
    this.config = config;
    this.fallback = new Tsd(-1, shape);
    this.sharedCount = 0;
    if (config.model === "shared") {
      this.tsds = Array.from({ length: config.arraySize }, (_, index) => new Tsd(index, shape));
      this.useShared(Math.min(options.cpuCount || config.defaultCount, config.defaultCount));
    }
    this.thread = thread;
    this.state = this.stateOf(thread);
  }

  /** TSDs in use: of a shared registry its number, of an exclusive one the threads that have one. */
  get count(): number {
    return this.config.model === "shared" ? this.sharedCount : this.tsds.length;
  }

  /** Every TSD that may hold blocks, for statistics and invariants; the fallback comes last (exclusive only). */
  all(): Tsd[] {
    return this.config.model === "shared" ? [...this.tsds] : [...this.tsds, this.fallback];
  }

  /** Makes `thread` the one that runs. */
  switchTo(thread: Thread): void {
    this.thread = thread;
    this.state = this.stateOf(thread);
    this.isMemoryInitDisabled = this.state.isMemoryInitDisabled;
    this.refreshCurrent();
  }

  private stateOf(thread: Thread): ThreadState {
    let state = this.threads.get(thread);
    if (state === undefined) {
      state = { tsd: null, isTornDown: false, isMemoryInitDisabled: false };
      this.threads.set(thread, state);
    }
    return state;
  }

  private refreshCurrent(): void {
    const tsd = this.state.tsd;
    this.current = tsd === null || tsd.isHeld || this.isDisabled ? null : tsd;
    this.currentCache = this.current === null ? null : this.current.cache;
    this.options.gate.close();
  }

  /** The TSD for a call that initialises the thread: everything but free. */
  acquire(): Tsd {
    if (this.current !== null) return this.current;
    if (this.isDisabled) this.options.reportDeadlock();
    if (this.config.model === "exclusive") return this.initialiseExclusive();
    this.state.tsd ??= this.tsds[this.counter++ % this.sharedCount];
    const tsd = this.tryLock(this.state.tsd) ? this.state.tsd : this.acquireContended(this.state.tsd);
    this.state.tsd = tsd;
    this.refreshCurrent();
    return tsd;
  }

  /** The TSD for a free, which gives a new thread of an exclusive registry none of its own (S4.1, S30.2). */
  acquireMinimal(): Tsd {
    if (this.current !== null) return this.current;
    if (this.isDisabled) this.options.reportDeadlock();
    if (this.config.model === "exclusive" && this.state.tsd === null) return this.fallback;
    return this.acquire();
  }

  private initialiseExclusive(): Tsd {
    if (this.state.isTornDown) return this.fallback;
    const tsd = this.state.tsd ?? new Tsd(this.counter++, this.options.shape);
    if (this.state.tsd === null) this.tsds.push(tsd);
    this.state.tsd = tsd;
    this.refreshCurrent();
    return tsd;
  }

  private tryLock(tsd: Tsd): boolean {
    if (!tsd.isHeld) {
      tsd.precedence = 0;
      return true;
    }
    if (tsd.precedence === 0) tsd.precedence = Math.max(1, this.options.now());
    return false;
  }

  /**
   * S30.4: looks at up to four TSDs, in an order that the own one's precedence picks, for one that is free; else waits for
   * the one that has been contended longest. A wait ends when its holder leaves its call, which for a holder that does not
   * run is immediately.
   */
  private acquireContended(own: Tsd): Tsd {
    const chosen = this.chooseContended(own);
    chosen.isHeld = false;
    return chosen;
  }

  private chooseContended(own: Tsd): Tsd {
    if (this.sharedCount === 1) return own;
    const random = own.precedence % 2 ** 32;
    const step = this.coPrimes[random % this.coPrimes.length];
    let index = random % this.sharedCount;
    let lowest = Number.POSITIVE_INFINITY;
    let candidate: Tsd | null = null;
    for (let visit = 0; visit < Math.min(VISITS, this.sharedCount); visit++) {
      const tsd = this.tsds[index];
      if (this.tryLock(tsd)) return tsd;
      if (tsd.precedence !== 0 && tsd.precedence < lowest) {
        lowest = tsd.precedence;
        candidate = tsd;
      }
      index = (index + step) % this.sharedCount;
    }
    return candidate ?? own;
  }

  /** Models a thread that was interrupted inside a heap call: its TSD stays locked until {@link releaseHold}. */
  hold(thread: Thread): void {
    const running = this.thread;
    this.switchTo(thread);
    this.acquire().isHeld = this.config.model === "shared";
    this.switchTo(running);
  }

  releaseHold(thread: Thread): void {
    const tsd = this.stateOf(thread).tsd;
    if (tsd !== null) tsd.isHeld = false;
    this.refreshCurrent();
  }

  /** The TSD that a thread uses, for tests and statistics; null if it has none. */
  tsdOf(thread: Thread): Tsd | null {
    return this.stateOf(thread).tsd;
  }

  /** S30.5. @returns false below the number in use; more than the array has is the array's size */
  setCount(count: number): boolean {
    if (this.config.model === "exclusive" || count < this.sharedCount) return false;
    this.useShared(Math.min(count, this.config.arraySize));
    return true;
  }

  private useShared(count: number): void {
    this.sharedCount = count;
    this.coPrimes = [];
    for (let a = 1; a <= count; a++) if (greatestCommonDivisor(a, count) === 1) this.coPrimes.push(a);
  }

  /** M_THREAD_DISABLE_MEM_INIT, for the running thread. */
  setMemoryInitDisabled(isDisabled: boolean): void {
    this.state.isMemoryInitDisabled = isDisabled;
    this.isMemoryInitDisabled = isDisabled;
    this.options.gate.close();
  }

  /** TSDs that releaseToOS force-all drains: all shared ones in use, or the caller's and the fallback (S30.6). */
  drainable(): Tsd[] {
    if (this.config.model === "shared") return this.tsds.slice(0, this.sharedCount);
    return this.state.tsd === null ? [this.fallback] : [this.state.tsd, this.fallback];
  }

  /** The end of a thread: its blocks go back, and what it still frees goes through the fallback (S25.4). */
  endThread(thread: Thread): void {
    const state = this.stateOf(thread);
    if (this.config.model === "exclusive" && state.tsd !== null) {
      this.options.drain(state.tsd);
      this.tsds = this.tsds.filter((tsd) => tsd !== state.tsd);
    }
    state.tsd = null;
    state.isTornDown = true;
    this.refreshCurrent();
  }

  disable(): void {
    if (this.isDisabled) this.options.reportDeadlock();
    this.isDisabled = true;
    this.refreshCurrent();
  }

  enable(): void {
    this.isDisabled = false;
    this.refreshCurrent();
  }

  get disabled(): boolean {
    return this.isDisabled;
  }

  /** The forked process has one thread: the one that forked. Blocks in other threads' caches stay where they are (S25.2). */
  copyFrom(other: TsdRegistry): void {
    const copies = new Map<Tsd, Tsd>();
    const copyOf = (tsd: Tsd): Tsd => {
      const copy = tsd === other.fallback ? this.fallback : new Tsd(tsd.index, this.options.shape);
      copy.cache.copyFrom(tsd.cache);
      copy.quarantine.copyFrom(tsd.quarantine);
      copies.set(tsd, copy);
      return copy;
    };
    this.tsds = other.tsds.map(copyOf);
    copyOf(other.fallback);
    this.useShared(other.sharedCount);
    this.counter = other.counter;
    this.state.tsd = other.state.tsd === null ? null : (copies.get(other.state.tsd) ?? null);
    this.state.isTornDown = other.state.isTornDown;
    this.setMemoryInitDisabled(other.state.isMemoryInitDisabled);
    this.refreshCurrent();
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

keepClass("Tsd", Tsd);

keepClass("TsdRegistry", TsdRegistry);
