// A policy becomes a heap: kernel, process and Heap with the policy's options, and what the program itself does to large
// chunks where the heap has no option for it (large-treatment.ts). Everything is seeded, and time is simulated.

import { Heap, type HeapOptions } from "../../../allocator/index.ts";
import { configs, type HeapConfig } from "../../../allocator/options/config.ts";
import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { installUserfaultfd } from "../../../platform/kernel/userfaultfd.ts";
import { installRefpage } from "../../../refpage/install.ts";
import { GlibcSubject } from "./glibc-subject.ts";
import { type LargeTreatment, NO_TREATMENT, TagCounting, UserfaultfdTreatment } from "./large-treatment.ts";
import { hugePageOptions, isEmulated, LargerPages } from "./larger-pages.ts";
import { makeOwnHeap, makeOwnKernel, type OwnPolicy } from "./own-policy.ts";
import { type Policy, SIZE_CLASS_MAPS } from "./policy.ts";
import type { ReplaySubject } from "./subject.ts";

/** Simulated time between two events of a trace: what decides when freed memory is given back. */
const NANOSECONDS_PER_EVENT = 1000;
/** The pattern of pattern fills: Scudo's byte. */
export const PATTERN_BYTE = 0xab;
const SMALLEST_ALIGNMENT = 16;

export interface HeapSubjectOptions {
  readonly policy: Policy;
  readonly seed: number;
  readonly memoryBytes?: number;
  /** The module of a policy of the user's own. */
  readonly own?: OwnPolicy;
}

/** A fresh machine with a heap under the policy. @throws OptionError, RangeError for options that no heap has. */
export function createHeapSubject({ policy, seed, memoryBytes, own }: HeapSubjectOptions): ReplaySubject {
  const clock = { nanoseconds: 0 };
  if (own !== undefined) {
    const kernel = makeOwnKernel(own, { memoryBytes, seed, clock: () => clock.nanoseconds });
    return new HeapSubject(makeOwnHeap(own, kernel, seed), NO_TREATMENT, clock, null);
  }
  const kernel = new Kernel(
    { memoryBytes, mte: policy.tagging !== "off" },
    {
      initialisation: policy.initialisation,
      clock: () => clock.nanoseconds,
      seed,
      hugePages: hugePageOptions(policy.pages),
    },
  );
  if (policy.allocator === "glibc") return new GlibcSubject(kernel);
  if (policy.largeFill === "refpage") installRefpage(kernel, { hugeReferencePages: policy.hugeReferencePages });
  if (policy.largeFill === "userfaultfd") installUserfaultfd(kernel);
  const heap = new Heap({ ...heapOptions(policy), kernel, seed });
  const larger = isEmulated(policy.pages) ? new LargerPages(heap.process, policy.pages) : null;
  return new HeapSubject(heap, treatmentFor(policy, heap), clock, larger);
}

/** The heap's own share of a policy. */
export function heapOptions(policy: Policy): HeapOptions {
  const largeFills = { memset: "memset", refpage: "refpage", userfaultfd: "scudo", scudo: "scudo" } as const;
  const { quarantineKb } = policy;
  return {
    config: heapConfig(policy),
    fill: policy.fill,
    pattern: patternOf(policy),
    largeFill: largeFills[policy.largeFill],
    tagging: policy.tagging === "off" ? "off" : "sync",
    // Without reference pages a heap tags large chunks itself, or leaves them untagged.
    onTagFailure: policy.tagging === "stg" || policy.tagging === "gva" ? "user-tags" : "untagged",
    releaseToOSIntervalMs: policy.releaseIntervalMs,
    quarantine:
      quarantineKb === 0 ? {} : { sizeKb: quarantineKb, threadLocalSizeKb: quarantineKb, maxChunkSize: 2 ** 20 },
    write: () => {},
  };
}

/** The policy's pattern: 0xAB, 0xAC, … as many bytes as it says. */
function patternOf({ patternBytes }: Policy): Uint8Array {
  return Uint8Array.from({ length: Number(patternBytes) }, (_, index) => PATTERN_BYTE + index);
}

/** Scudo's configuration with the policy's own size classes and cache. */
function heapConfig({ config, sizeClasses, cacheEntries, cacheEntryKb }: Policy): HeapConfig {
  const given: HeapConfig = configs[config];
  const { primary, secondaryCache } = given;
  const entries = cacheEntries < 0 ? secondaryCache?.defaultMaxEntriesCount : cacheEntries;
  const entrySize = cacheEntryKb < 0 ? secondaryCache?.defaultMaxEntrySize : cacheEntryKb * 1024;
  return {
    ...given,
    primary: sizeClasses === "of-config" ? primary : { ...primary, sizeClassMap: SIZE_CLASS_MAPS[sizeClasses] },
    secondaryCache: secondaryCache && {
      ...secondaryCache,
      entriesArraySize: Math.max(secondaryCache.entriesArraySize, entries ?? 0),
      defaultMaxEntriesCount: entries ?? 0,
      defaultMaxEntrySize: entrySize ?? 0,
    },
  };
}

function treatmentFor(policy: Policy, heap: Heap): LargeTreatment {
  if (policy.largeFill === "userfaultfd") return new UserfaultfdTreatment(heap, patternOf(policy));
  if (policy.tagging === "stg" || policy.tagging === "gva") return new TagCounting(policy.tagging);
  return NO_TREATMENT;
}

class HeapSubject implements ReplaySubject {
  readonly memory;
  readonly process;
  private readonly heap: Heap;
  private readonly treatment: LargeTreatment;
  private readonly isTreated: boolean;
  private readonly clock: { nanoseconds: number };
  /** A chunk that needs more than this comes from the secondary (S3.1 step 7). */
  readonly largestSmall: number;

  private readonly larger: LargerPages | null;

  constructor(heap: Heap, treatment: LargeTreatment, clock: { nanoseconds: number }, larger: LargerPages | null) {
    this.larger = larger;
    this.heap = heap;
    this.treatment = treatment;
    this.isTreated = treatment !== NO_TREATMENT;
    this.clock = clock;
    this.memory = heap.memory;
    this.process = heap.process;
    this.largestSmall = heap.options.config.primary.sizeClassMap.maxSize;
  }

  get taggedGranules(): number {
    return this.treatment.taggedGranules;
  }

  get gvaBlocks(): number {
    return this.treatment.gvaBlocks;
  }

  get faultMessages(): number {
    return this.treatment.faultMessages;
  }

  counters(): CounterSnapshot {
    const counters = this.process.kernel.counters.snapshot();
    return this.larger === null ? counters : this.larger.settled(counters);
  }

  tick(): void {
    this.clock.nanoseconds += NANOSECONDS_PER_EVENT;
  }

  malloc(size: number): number {
    if (!this.isTreated || !this.isLarge(size)) return this.heap.malloc(size);
    return this.treatment.made(
      this.treatment.unfilled(() => this.heap.malloc(size)),
      size,
      { zeroed: false },
    );
  }

  calloc(count: number, size: number): number {
    const bytes = count * size;
    const address = this.heap.calloc(count, size);
    if (!this.isTreated || !this.isLarge(bytes)) return address;
    return this.treatment.made(address, bytes, { zeroed: true });
  }

  memalign(alignment: number, size: number): number {
    if (!this.isTreated || !this.isLarge(size, alignment)) return this.heap.memalign(alignment, size);
    const address = this.treatment.unfilled(() => this.heap.memalign(alignment, size));
    return this.treatment.made(address, size, { zeroed: false });
  }

  realloc(address: number, size: number, oldSize: number): number {
    if (!this.isTreated) return this.heap.realloc(address, size);
    const treatedSize = this.treatment.before(address);
    const reallocate = (): number => this.heap.realloc(address, size);
    const moved = this.isLarge(size) ? this.treatment.unfilled(reallocate) : reallocate();
    if (moved === 0 && treatedSize > 0) this.treatment.after(address, treatedSize, treatedSize);
    if (moved !== 0 && this.isLarge(size)) this.treatment.after(moved, size, Math.min(oldSize, size));
    return moved;
  }

  free(address: number): void {
    if (this.isTreated) this.treatment.before(address);
    this.heap.free(address);
  }

  private isLarge(size: number, alignment = SMALLEST_ALIGNMENT): boolean {
    const needed = Math.ceil(size / SMALLEST_ALIGNMENT) * SMALLEST_ALIGNMENT + Math.max(alignment, SMALLEST_ALIGNMENT);
    return needed > this.largestSmall;
  }
}
