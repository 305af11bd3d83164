// The figures of a heap as plain data: what heap.stats() answers and what every text about a heap is made from.
// Gathering them from the components is in gather-statistics.ts, texts in print-stats.ts; nothing here touches memory.

import type { ByteCount } from "../../platform/hardware/integers.ts";
import type { ClassId } from "../common/integers.ts";

/** Figures of a whole heap, a snapshot. Bytes unless a name says otherwise. */
export interface HeapStatistics {
  /** Scudo's three counters (S19.1): class sizes and committed sizes with the user, free and mapped. */
  readonly allocatedBytes: number;
  /** Bytes of blocks on free lists. */
  readonly freeBytes: number;
  /** Bytes that are mapped. */
  readonly mappedBytes: number;
  /** Anonymous and file pages of the heap's process that are resident now, its own and all others. */
  readonly rssBytes: number;
  /** The part for chunks below the largest size class. */
  readonly primary: PrimaryStatistics;
  /** The part for chunks above it, each with a mapping of its own. */
  readonly secondary: SecondaryStatistics;
  /** Freed chunks that wait before their memory is used again. */
  readonly quarantine: QuarantineStatistics;
  /** The caches of threads. */
  readonly threads: ThreadStatistics;
  /** How large chunks got their contents. */
  readonly fills: FillStatistics;
}

/** Figures of the primary (S8). */
export interface PrimaryStatistics {
  /** Bytes that are mapped. */
  readonly mappedBytes: number;
  /** Blocks taken from the free lists into caches, and given back, since the heap began; class 0 included. */
  readonly poppedBlocks: number;
  /** Blocks given back to the free lists. */
  readonly pushedBlocks: number;
  /** Milliseconds between two releases of free pages; negative: never. */
  readonly releaseIntervalMs: number;
  /** Classes with mapped memory, ascending; class 0 holds the primary's own batches. */
  readonly classes: readonly ClassStatistics[];
}

/** Figures of one size class. */
export interface ClassStatistics {
  /** Number of the size class. */
  readonly classId: ClassId;
  /** Bytes of a block of the class. */
  readonly blockSize: ByteCount;
  /** Bytes that are mapped. */
  readonly mappedBytes: number;
  /** Blocks taken from the free list. */
  readonly poppedBlocks: number;
  /** Blocks given back to the free lists. */
  readonly pushedBlocks: number;
  /** Popped and not pushed back: in caches, in quarantine, or with the user. */
  readonly inUseBlocks: number;
  /** Blocks that were carved. */
  readonly totalBlocks: number;
  /** Ranges of pages that were given back to the kernel. */
  readonly releasedRanges: number;
  /** Bytes that the last release gave back. */
  readonly lastReleasedBytes: number;
  /** Free bytes gained since the last release (Scudo: latest pushed bytes). */
  readonly latestPushedBytes: number;
  /** Whether the class's region was full when a block was wanted. */
  readonly isExhausted: boolean;
  /** Address where its blocks begin. */
  readonly usableBegin: number;
  /** Address where its region begins. */
  readonly regionBegin: number;
}

/** Figures of the secondary (S12). */
export interface SecondaryStatistics {
  /** Large chunks that were allocated. */
  readonly allocations: number;
  /** Their committed bytes. */
  readonly allocatedBytes: number;
  /** Large chunks that were freed. */
  readonly frees: number;
  /** Their committed bytes. */
  readonly freedBytes: ByteCount;
  /** The largest committed size there was. */
  readonly largestBytes: number;
  /** Bytes that cached mappings are larger than what was asked for. */
  readonly fragmentedBytes: number;
  /** null: this configuration caches nothing. */
  readonly cache: CacheStatistics | null;
}

/** Figures of the secondary's cache (S12.4). */
export interface CacheStatistics {
  /** The reference version's, or that of later ones. */
  readonly policy: "array" | "lru";
  /** Mappings that it holds at most. */
  readonly maxEntries: number;
  /** The largest mapping that it takes. */
  readonly maxEntryBytes: number;
  /** Milliseconds between two releases of free pages; negative: never. */
  readonly releaseIntervalMs: number;
  /** Times that a mapping was looked for. */
  readonly lookups: number;
  /** Times that one was found. */
  readonly hits: number;
  /** The newest first, of policy "lru". */
  readonly entries: readonly CacheEntryStatistics[];
}

/** A mapping in the cache. */
export interface CacheEntryStatistics {
  /** Address of its first byte. */
  readonly begin: number;
  /** Address behind its last byte. */
  readonly end: number;
  /** Whether its pages were given back to the kernel. */
  readonly isReleased: boolean;
}

/** The global quarantine (S13); what threads still hold is not in it. */
export interface QuarantineStatistics {
  /** The quarantine's own blocks. */
  readonly batches: number;
  /** With the batches' own bytes. */
  readonly bytes: ByteCount;
  /** Without them. */
  readonly userBytes: number;
  /** Freed chunks. */
  readonly chunks: number;
  /** Chunks that the batches have room for. */
  readonly capacityChunks: number;
  /** Bytes that the quarantine of all threads may hold. */
  readonly globalLimitBytes: number;
  /** Bytes that a thread's own may hold. */
  readonly threadLocalLimitBytes: number;
}

/** How threads come by caches, and what those hold (S30). */
export interface ThreadStatistics {
  /** A cache for each thread, or a few for all. */
  readonly model: "exclusive" | "shared";
  /** TSDs in use and TSDs that there may be; of an exclusive registry, threads with a cache of their own. */
  readonly inUse: number;
  /** Caches that there may be. */
  readonly total: number;
  /** Non-empty cache stacks of each TSD. */
  readonly caches: readonly (readonly CachedClassStatistics[])[];
}

/** What a thread's cache holds of one class. */
export interface CachedClassStatistics {
  /** Number of the size class. */
  readonly classId: ClassId;
  /** Bytes of a block of the class. */
  readonly blockSize: ByteCount;
  /** Blocks that the cache holds now. */
  readonly cachedBlocks: number;
  /** Blocks that it holds at most. */
  readonly maxBlocks: number;
}

/** How large chunks got their contents. */
export interface FillStatistics {
  /** Large mappings that came from a reference page, and the pages (file descriptors) they came from. */
  readonly refpageMappings: number;
  /** Reference pages that are open, one for each content. */
  readonly refpages: number;
  /** Times that no reference page could be had, so that a large chunk was filled by memset instead. */
  readonly refpageFallbacks: number;
  /** Freed chunks that `fillOnFree` left as they were, wholly or in part, for lack of a frame. The frees themselves succeeded. */
  readonly unfilledFrees: number;
}

/** Pages of one class that hold a block in use, against all that were carved (S19.5). */
export interface FragmentationStatistics {
  /** Number of the size class. */
  readonly classId: ClassId;
  /** Bytes of a block of the class. */
  readonly blockSize: ByteCount;
  /** Blocks with the user, in caches or in quarantine. */
  readonly inUseBlocks: number;
  /** Blocks that were carved. */
  readonly totalBlocks: number;
  /** Pages that hold a block in use. */
  readonly inUsePages: number;
  /** Pages that hold a block. */
  readonly totalPages: number;
}
