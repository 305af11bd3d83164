// Which heap is asked about a use of undefined bytes where several heaps of one process track them: the one whose memory it is.
// With one heap its own observer sits in the threads' memories, and nothing stands between.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { UseKind, ValidityObserver } from "../../platform/hardware/validity.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { keepClass, keepMaker, keepTable } from "../../platform/state/kept.ts";

/** How far from a heap's memory a fault is still said to be of that heap. */
const NEAR_PAGES = 16;

/** A heap's observer, and which addresses are that heap's. */
export interface ObservedHeap {
  readonly observer: ValidityObserver;
  owns(address: Address): boolean;
}

/** Passes each use on to the heap that it concerns. No memory is ever known to be addressable: either heap may change it. */
class SharedObserver implements ValidityObserver {
  readonly addressableFrom = 0;
  readonly addressableTo = 0;
  readonly heaps: ObservedHeap[] = [];

  undefinedUse(kind: UseKind, address: Address, size: ByteCount, firstUndefined: number): void {
    const owner = this.ownerOf(address) ?? this.heaps[0];
    owner.observer.undefinedUse(kind, address, size, firstUndefined);
  }

  mayAccess(kind: UseKind, address: Address, size: ByteCount): boolean {
    const owner = this.ownerOf(address);
    if (owner !== undefined) return owner.observer.mayAccess(kind, address, size);
    // Memory of no heap: any of them may hold that it is not to be accessed.
    return this.heaps.every(({ observer }) => observer.mayAccess(kind, address, size));
  }

  addressableRun(address: Address, end: number): number {
    const owner = this.ownerOf(address);
    const asked = owner === undefined ? this.heaps : [owner];
    // Refused by one is refused; else as far as all agree.
    const runs = asked.map(({ observer }) => observer.addressableRun?.(address, end) ?? end - address);
    const refused = runs.filter((run) => run < 0);
    return refused.length > 0 ? Math.max(...refused) : Math.min(...runs);
  }

  copied(to: Address, from: Address, size: ByteCount): void {
    (this.ownerOf(to) ?? this.heaps[0]).observer.copied?.(to, from, size);
  }

  faulted(kind: UseKind, address: Address, size: ByteCount, faultAddress: number): void {
    const owner = this.ownerOf(address) ?? this.ownerOf(faultAddress) ?? this.ownerNear(faultAddress);
    owner?.observer.faulted?.(kind, address, size, faultAddress);
  }

  /** Whose memory is nearest to an address that is no heap's: what is far from all of them is left to the program. */
  private ownerNear(address: Address): ObservedHeap | undefined {
    for (let distance = PAGE_SIZE; distance <= NEAR_PAGES * PAGE_SIZE; distance += PAGE_SIZE) {
      const owner = this.ownerOf(address - distance) ?? this.ownerOf(address + distance);
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  private ownerOf(address: Address): ObservedHeap | undefined {
    return this.heaps.find((heap) => heap.owns(address));
  }
}

const shared = keepTable("tracking.shared", new WeakMap<Process, SharedObserver>());

/** What a thread of the process that a heap works as is observed by; null if no heap observes. */
export function observerOf(process: Process): ValidityObserver | null {
  const all = shared.get(process);
  if (all === undefined || all.heaps.length === 0) return null;
  return all.heaps.length === 1 ? all.heaps[0].observer : all;
}

/** Watches the process's memory from now on. @returns what ends that */
export function watchProcess(process: Process, heap: ObservedHeap): () => void {
  const all = shared.get(process) ?? new SharedObserver();
  shared.set(process, all);
  all.heaps.push(heap);
  refresh(process);
  return stopWatching(process, all, heap);
}

const stopWatching = keepMaker(
  "tracking.stopWatching",
  (process: Process, all: SharedObserver, heap: ObservedHeap) => () => {
    all.heaps.splice(all.heaps.indexOf(heap), 1);
    refresh(process);
  },
);

/** Gives the threads that are observed the observer of now. */
function refresh(process: Process): void {
  const observer = observerOf(process);
  for (const { memory } of process.threads) if (memory.validityObserver !== null) memory.validityObserver = observer;
}

keepClass("SharedObserver", SharedObserver);
