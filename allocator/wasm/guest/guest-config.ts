// The heap's configuration for a guest: Scudo's default sizes, in an address space of 32 bits or less.

import type { ByteCount } from "../../../platform/hardware/integers.ts";
import type { CustomConfig } from "../../options/config.ts";
import { defaultSizeClassMap, SizeClassMap } from "../../options/size-class-map.ts";

/** A region of the primary is this part of the guest's memory; it is reserved when the class is first used. */
const REGION_SHARE_LOG = 5;

/**
 * The default sizes, with caches eight times as large: a module empties and fills its cache by itself, and asks the host only beyond.
 * What was carved in eight batches comes in one instead.
 */
const guestSizeClassMap = new SizeClassMap({
  name: "wasm32",
  sizes: [...defaultSizeClassMap.sizes.subarray(1)],
  maxCachedHint: 8 * defaultSizeClassMap.maxCachedHint,
  maxBytesCachedLog: 3 + defaultSizeClassMap.maxBytesCachedLog,
});

/** Scudo for a small address space: a region a class, each reserved when it is needed. */
export function guestConfig(limitBytes: ByteCount): CustomConfig {
  const regionSizeLog = Math.max(20, Math.floor(Math.log2(limitBytes)) - REGION_SHARE_LOG);
  return {
    name: "wasm32",
    primary: {
      sizeClassMap: guestSizeClassMap,
      maxBatches: 1,
      regionSizeLog,
      groupSizeLog: Math.min(20, regionSizeLog),
      contiguousRegions: false,
      mapIncrement: 2 ** 16,
      compactPointerBytes: 4,
    },
    secondaryCache: {
      entriesArraySize: 32,
      defaultMaxEntriesCount: 32,
      defaultMaxEntrySize: 2 ** 19,
    },
  };
}
