// Making the parts of a combined allocator from a heap's options, and the sanity checks that come first (S1.6, S13.1, S15.5).
// How the parts work together is combined.ts.

import type { Process } from "../../platform/kernel/process.ts";
import type { Program } from "../common/program.ts";
import { type ReportContext, reportSanityCheckError } from "../common/report.ts";
import type { Flags } from "../options/flags.ts";
import type { ResolvedHeapOptions } from "../options/options.ts";
import type { SizeClassMap } from "../options/size-class-map.ts";
import { Primary } from "../primary/primary.ts";
import type { RegionTable } from "../primary/regions.ts";
import { ReferencePages } from "../secondary/large-fill.ts";
import type { Secondary, SecondaryOptions } from "../secondary/secondary.ts";
import { HEADER_SIZE } from "./chunk-header.ts";
import { BATCH_SIZE } from "./quarantine-cache.ts";

/** What a negative size flag means: C converts it to a huge unsigned number. */
const UNBOUNDED = 2 ** 40;

/** What all families are made of; see family.ts of combined/, tagging/ and tracking/. */
export interface FamilyOptions {
  readonly process: Process;
  readonly options: ResolvedHeapOptions;
  readonly reports: ReportContext;
  /** 32 random bits each. */
  readonly cookie: number;
  readonly seed: number;
  /** What print_stats writes, when a heap that may not return null runs out of memory (S3.1 step 9). */
  readonly printStatistics: () => void;
}

export interface AllocatorParts<P extends Program, S extends Secondary<P>> extends FamilyOptions {
  readonly program: P;
  readonly secondary: S;
}

/** @param regions those of the heap that was forked; without them address space is reserved */
export function createPrimary(given: FamilyOptions & { readonly program: Program }, regions?: RegionTable): Primary {
  const { program, options, seed, reports } = given;
  const config = options.config.primary;
  const primary = new Primary({ program, config, seed, reports, write: options.write }, regions);
  primary.setReleaseInterval(config.defaultReleaseIntervalMs ?? options.flags.release_to_os_interval_ms);
  return primary;
}

/** What every family's secondary is made with. */
export function secondaryOptions<P extends Program>(given: FamilyOptions, program: P): SecondaryOptions<P> {
  const { options, reports } = given;
  return {
    program,
    cache: options.config.secondaryCache,
    cachePolicy: options.secondaryCachePolicy,
    releaseIntervalMs: options.flags.release_to_os_interval_ms,
    largeFill: options.largeFill,
    referencePages: new ReferencePages(program, options.pattern, options.mapPattern),
    commitFailure: options.commitFailure,
    reports,
  };
}

/** In bytes; 0 for chunks: no quarantine. */
export interface QuarantineLimits {
  readonly maxBytes: number;
  readonly threadMaxBytes: number;
  readonly maxChunkBytes: number;
}

/** @throws RangeError: the quarantine is on, but its batches do not fit a block of the map */
export function quarantineLimits(flags: Flags, map: SizeClassMap): QuarantineLimits {
  const threadMaxBytes = unsigned(flags.thread_local_quarantine_size_kb) * 1024;
  const maxChunkBytes = threadMaxBytes === 0 ? 0 : unsigned(flags.quarantine_max_chunk_size);
  const needed = BATCH_SIZE + HEADER_SIZE;
  if (maxChunkBytes > 0 && map.maxSize < needed) {
    throw new RangeError(`a quarantine needs blocks of ${needed} bytes; this map's largest is ${map.maxSize}`);
  }
  return { maxBytes: unsigned(flags.quarantine_size_kb) * 1024, threadMaxBytes, maxChunkBytes };
}

function unsigned(value: number): number {
  return value < 0 ? UNBOUNDED : value;
}

/** S1.6: offset, size and class id of every chunk must fit the header. */
export function checkHeaderFits(map: SizeClassMap, context: ReportContext): void {
  const largestOffset = (2 ** Math.floor(Math.log2(map.maxSize - HEADER_SIZE)) - HEADER_SIZE) / 16;
  if (largestOffset >= 2 ** 16) reportSanityCheckError("offset", context);
  if (map.maxSize - 1 >= 2 ** 20) reportSanityCheckError("size (or unused bytes)", context);
  if (map.largestClass >= 2 ** 8) reportSanityCheckError("class ID", context);
}
