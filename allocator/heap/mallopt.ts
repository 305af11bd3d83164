// mallopt: Scudo's codes and what each does (S20), over the few switches that a heap has for it.

import type { ByteCount } from "../../platform/hardware/integers.ts";
import { format } from "../combined/arguments.ts";

/** mallopt: 0 gives freed pages back as soon as can be, 1 after the interval, -1 never. */
export const M_DECAY_TIME = -100;
/** mallopt: gives freed pages back now. */
export const M_PURGE = -101;
/** mallopt: which bugs tagging is to find. */
export const M_MEMTAG_TUNING = -102;
/** mallopt: whether this thread's chunks are filled. */
export const M_THREAD_DISABLE_MEM_INIT = -103;
/** mallopt: gives freed pages back now, and empties caches and quarantines first. */
export const M_PURGE_ALL = -104;
/** mallopt: how many freed large blocks are cached at most. */
export const M_CACHE_COUNT_MAX = -200;
/** mallopt: the largest freed block that is cached, in bytes. */
export const M_CACHE_SIZE_MAX = -201;
/** mallopt: how many thread caches there are at most, with a shared registry. */
export const M_TSDS_COUNT_MAX = -202;
/** mallopt: writes the statistics. */
export const M_LOG_STATS = -205;

/** M_MEMTAG_TUNING's values. */
export const M_MEMTAG_TUNING_BUFFER_OVERFLOW = 0;
/** The value of M_MEMTAG_TUNING for finding uses after free: tags are random. */
export const M_MEMTAG_TUNING_UAF = 1;

/** What mallopt switches; a switch answers whether every component took the value (S20.1). */
export interface MalloptTarget {
  setReleaseInterval(milliseconds: number): boolean;
  purge(options: { readonly all: boolean }): void;
  setOddEvenTags(options: { readonly on: boolean }): void;
  setThreadMemInit(options: { readonly disabled: boolean }): void;
  setCacheMaxEntries(count: number): boolean;
  setCacheMaxEntryBytes(bytes: ByteCount): boolean;
  setThreadCaches(count: number): boolean;
  logStatistics(): void;
}

/**
 * Performs one mallopt call.
 * @throws TypeError, RangeError: a number that is no C int
 * @returns 1 if it was done, 0 for an unknown code or a value that was refused; errno is not touched
 */
export function mallopt(target: MalloptTarget, code: number, value: number): 0 | 1 {
  checkInt("code", code);
  checkInt("value", value);
  switch (code) {
    case M_DECAY_TIME:
      return done(target.setReleaseInterval(value));
    case M_PURGE:
      target.purge({ all: false });
      return 1;
    case M_PURGE_ALL:
      target.purge({ all: true });
      return 1;
    case M_MEMTAG_TUNING:
      // Other values are accepted and ignored, as recorded.
      if (value === M_MEMTAG_TUNING_BUFFER_OVERFLOW) target.setOddEvenTags({ on: true });
      else if (value === M_MEMTAG_TUNING_UAF) target.setOddEvenTags({ on: false });
      return 1;
    case M_THREAD_DISABLE_MEM_INIT:
      target.setThreadMemInit({ disabled: value !== 0 });
      return 1;
    case M_CACHE_COUNT_MAX:
      return done(target.setCacheMaxEntries(value));
    case M_CACHE_SIZE_MAX:
      return done(target.setCacheMaxEntryBytes(value));
    case M_TSDS_COUNT_MAX:
      return done(target.setThreadCaches(value));
    case M_LOG_STATS:
      target.logStatistics();
      return 1;
  }
  return 0;
}

function checkInt(name: string, value: number): void {
  if (typeof value !== "number") throw new TypeError(`mallopt: ${name} ${format(value)} is not a number`);
  if ((value | 0) !== value)
    throw new RangeError(`mallopt: ${name} ${value} is not a whole number of 32 bits with sign`);
}

function done(isTaken: boolean): 0 | 1 {
  return isTaken ? 1 : 0;
}
