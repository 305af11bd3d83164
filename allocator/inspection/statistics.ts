// The figures of a heap as plain data: what heap.stats() answers and what every text about a heap is made from.
// Gathering them from the components is in gather-statistics.ts, texts in print-stats.ts; nothing here touches memory.

/** Figures of a whole heap, a snapshot. Bytes unless a name says otherwise. */
export interface HeapStatistics {
  /** Scudo's three counters (S19.1): class sizes and committed sizes with the user, free and mapped. */
  readonly allocatedBytes: number;
  readonly freeBytes: number;
  readonly mappedBytes: number;
  /** Anonymous and file pages of the heap's process that are resident now, its own and all others. */
  readonly rssBytes: number;
  readonly primary: PrimaryStatistics;
  readonly secondary: SecondaryStatistics;
  readonly quarantine: QuarantineStatistics;
  readonly threads: ThreadStatistics;
  readonly fills: FillStatistics;
}

export interface PrimaryStatistics {
  readonly mappedBytes: number;
  /** Blocks taken from the free lists into caches, and given back, since the heap began; class 0 included. */
  readonly poppedBlocks: number;
  readonly pushedBlocks: number;
  readonly releaseIntervalMs: number;
  /** Classes with mapped memory, ascending; class 0 holds the primary's own batches. */
  readonly classes: readonly ClassStatistics[];
}

export interface ClassStatistics {
  readonly classId: number;
  readonly blockSize: number;
  readonly mappedBytes: number;
  readonly poppedBlocks: number;
  readonly pushedBlocks: number;
  /** Popped and not pushed back: in caches, in quarantine, or with the user. */
  readonly inUseBlocks: number;
  readonly totalBlocks: number;
  readonly releasedRanges: number;
  readonly lastReleasedBytes: number;
  /** Free bytes gained since the last release (Scudo: latest pushed bytes). */
  readonly latestPushedBytes: number;
  readonly isExhausted: boolean;
  readonly usableBegin: number;
  readonly regionBegin: number;
}

export interface SecondaryStatistics {
  readonly allocations: number;
  readonly allocatedBytes: number;
  readonly frees: number;
  readonly freedBytes: number;
  readonly largestBytes: number;
  readonly fragmentedBytes: number;
  /** null: this configuration caches nothing. */
  readonly cache: CacheStatistics | null;
}

export interface CacheStatistics {
  /** The reference version's, or that of later ones. */
  readonly policy: "array" | "lru";
  readonly maxEntries: number;
  readonly maxEntryBytes: number;
  readonly releaseIntervalMs: number;
  readonly lookups: number;
  readonly hits: number;
  /** The newest first, of policy "lru". */
  readonly entries: readonly CacheEntryStatistics[];
}

export interface CacheEntryStatistics {
  readonly begin: number;
  readonly end: number;
  /** Whether its pages were given back to the kernel. */
  readonly isReleased: boolean;
}

/** The global quarantine (S13); what threads still hold is not in it. */
export interface QuarantineStatistics {
  readonly batches: number;
  /** With the batches' own bytes. */
  readonly bytes: number;
  /** Without them. */
  readonly userBytes: number;
  readonly chunks: number;
  readonly capacityChunks: number;
  readonly globalLimitBytes: number;
  readonly threadLocalLimitBytes: number;
}

export interface ThreadStatistics {
  readonly model: "exclusive" | "shared";
  /** TSDs in use and TSDs that there may be; of an exclusive registry, threads with a cache of their own. */
  readonly inUse: number;
  readonly total: number;
  /** Non-empty cache stacks of each TSD. */
  readonly caches: readonly (readonly CachedClassStatistics[])[];
}

export interface CachedClassStatistics {
  readonly classId: number;
  readonly blockSize: number;
  readonly cachedBlocks: number;
  readonly maxBlocks: number;
}

/** How large chunks got their contents. */
export interface FillStatistics {
  /** Large mappings that came from a reference page, and the pages (file descriptors) they came from. */
  readonly refpageMappings: number;
  readonly refpages: number;
  /** Times that no reference page could be had, so that a large chunk was filled by memset instead. */
  readonly refpageFallbacks: number;
  /** Freed chunks that `fillOnFree` left as they were, wholly or in part, for lack of a frame. The frees themselves succeeded. */
  readonly unfilledFrees: number;
}

/** Pages of one class that hold a block in use, against all that were carved (S19.5). */
export interface FragmentationStatistics {
  readonly classId: number;
  readonly blockSize: number;
  readonly inUseBlocks: number;
  readonly totalBlocks: number;
  readonly inUsePages: number;
  readonly totalPages: number;
}
