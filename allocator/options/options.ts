// The options of a heap: what a user may give, and one table of how each is checked and what it is if it is not given.
// Putting them together with the option string and the environment is resolve-options.ts; single checks are option-checks.ts.

import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { Process } from "../../platform/kernel/process.ts";
import { keepPlaceOfGiven, keepValue } from "../../platform/state/kept.ts";
import type { HeapError } from "../common/heap-error.ts";
import type { MapPattern } from "../common/pattern-mapping.ts";
import type { CustomConfig, configs, HeapConfig } from "./config.ts";
import { DEFAULT_FLAGS, type Flags } from "./flags.ts";
import type { HeapHooks } from "./hooks.ts";
import {
  aFunction,
  anInstance,
  aText,
  flag,
  heapConfig,
  hookFunctions,
  int32,
  type OptionCheck,
  oneOf,
  patternBytes,
  quarantineSizes,
  stackSizes,
  variables,
  wholeNumber,
} from "./option-checks.ts";

/** S7's configurations. */
export type ConfigName = keyof typeof configs;

/** What fresh memory reads: Scudo's contents of the moment, zero, or a pattern (S14). */
export type Fill = (typeof FILLS)[number];
export const FILLS = ["none", "zero", "pattern"] as const;
/** What a heap says of huge pages to the kernel; the first is the default. */
export const HUGE_PAGE_ADVICE = ["scudo", "never", "madvise", "always"] as const;
export type HugePageAdvice = (typeof HUGE_PAGE_ADVICE)[number];
/**
 * How a large chunk gets its pattern. `"refpage"`: a mapping of a reference page, no pass over the bytes. `"memset"`: filled by
 * the program. `"scudo"`: its pattern-or-zero of S14.3: a fresh mapping reads 0, one from the cache is filled.
 */
export type LargeFill = "refpage" | "memset" | "scudo";
/** Whether chunks are tagged, and how a mismatch is reported. */
export type Tagging = (typeof TAGGINGS)[number];
export const TAGGINGS = ["off", "async", "asymm", "sync"] as const;
/** What a large chunk becomes when no tagged reference page can be had. */
export type TagFailure = "untagged" | "user-tags";
/** Whether reads of uninitialised memory are found, and how finely. */
export type Uninitialised = "off" | "page" | "byte";

/** Sizes of the global and the thread-local part in KiB, largest chunk that enters in bytes. */
export interface QuarantineSizes {
  readonly sizeKb?: number;
  readonly threadLocalSizeKb?: number;
  readonly maxChunkSize?: number;
}

/** How many chunks have their stacks kept, and how many frames of each. */
export interface StackSizes {
  readonly capacity?: number;
  readonly frames?: number;
}

/** Variables by name, such as process.env. */
export interface Environment {
  readonly [name: string]: string | undefined;
}

/** Each option may be left out, or undefined. */
export interface HeapOptions {
  // Machine and process
  /** Which of Scudo's configurations, or one of your own. Default `"default"`. */
  config?: ConfigName | CustomConfig | HeapConfig;
  /** RAM of the machine that the heap makes for itself. Default 1 GiB. Not with `kernel` or `process`. */
  memoryBytes?: number;
  /** A kernel of your own: the heap makes itself a process on it. Not with `process`. */
  kernel?: Kernel;
  /** A process of your own. */
  process?: Process;
  /** Makes every random choice repeatable: 32 bits. Default: taken from the host's randomness. */
  seed?: number;
  // Fill
  /** Default `"none"`. */
  fill?: Fill;
  /** The pattern: 1, 2, 4, 8 or 16 bytes, repeated from each block's begin. Default one byte 0xAB, as Scudo's. */
  pattern?: number | readonly number[] | Uint8Array;
  /** Default `"refpage"`. */
  largeFill?: LargeFill;
  /**
   * How large chunks map their pattern with largeFill `"refpage"`, if not by a reference page: a kernel interface of your own
   * (docs/own-interface.md). Not with tagging or a check of uninitialised reads.
   */
  mapPattern?: MapPattern;
  /** How a large chunk moves in realloc: its pages by mremap, or Scudo's copy to a fresh chunk. Default `"mremap"`. */
  largeRealloc?: "mremap" | "copy";
  /**
   * Huge pages. `"scudo"`: no advice, as Scudo gives none. `"never"`: MADV_NOHUGEPAGE for all memory. `"madvise"`: MADV_HUGEPAGE for
   * large chunks that may hold a huge page, whose mappings then begin on 2 MiB. `"always"`: for small chunks' regions too, which grow
   * in steps and so become huge only when khugepaged collapses them; pages that may be part of a huge page are given back
   * with all of it, or stay. Default `"scudo"`.
   */
  hugePages?: HugePageAdvice;
  /** Fill chunks again when they are freed, with the fill's bytes (zero for fill `"none"`). Default false. */
  fillOnFree?: boolean;
  // Tagging
  /** Default `"off"`. */
  tagging?: Tagging;
  /** Default `"untagged"`. */
  onTagFailure?: TagFailure;
  // Checker
  /** Default `"off"`. */
  uninitialised?: Uninitialised;
  /** Keep host stack traces of allocations and frees for the reports. Default false; true is 4096 chunks, 16 frames each. */
  stacks?: boolean | StackSizes;
  // Reports
  /** Called around allocations and frees (S26.1). */
  hooks?: HeapHooks;
  /** Where text for file descriptor 2 goes: statistics, warnings. Default: the host's standard error. */
  write?: (text: string) => void;
  /** Called with each report before it is thrown. */
  onReport?: (error: HeapError) => void;
  // Scudo's flags, and where they are taken from
  /** Scudo's quarantine (S13); all three sizes are needed for one that works. */
  quarantine?: QuarantineSizes;
  /** Whether a free by another function than the allocation's kind allows is reported (Scudo's `dealloc_type_mismatch`). */
  deallocTypeMismatch?: boolean;
  /** Whether a sized delete with another size is reported (Scudo's `delete_size_mismatch`). */
  deleteSizeMismatch?: boolean;
  /** Whether an allocation that is too large gives null, or is reported (Scudo's `may_return_null`). */
  mayReturnNull?: boolean;
  /** Milliseconds; negative: never release. */
  releaseToOSIntervalMs?: number;
  /** Entries of Scudo's own allocation ring buffer (S24). 0 or less: none. */
  allocationRingBufferSize?: number;
  /** A Scudo option string; beats the typed options. */
  scudoOptions?: string;
  /** An environment to take SCUDO_OPTIONS and SCUDO_ALLOCATION_RING_BUFFER_SIZE from, e.g. process.env; beats both. */
  environment?: Environment;
  /** Unknown names in an option string: an OptionError, or Scudo's warning. Default `"throw"`. */
  unknownOptions?: "throw" | "warn";
  // Which version of Scudo
  /** `"crc32c"` (the hardware form) or `"bsd"` (the software form). Default `"crc32c"` (S2). */
  checksum?: "crc32c" | "bsd";
  /** `"later"`: R-corrupt's second half of later versions (S31). Default `"reference"`. */
  headerReport?: "reference" | "later";
  /** false: usable size is all the room in the block, a switch of later versions (S31). Default true. */
  exactUsableSize?: boolean;
  /** `"lru"`: the secondary cache of later versions (S31). Default `"array"`. */
  secondaryCachePolicy?: "array" | "lru";
  /** What a large mapping that cannot be committed does: answer null, or Scudo's fatal R-map (S11.3). Default `"null"`. */
  commitFailure?: "null" | "fatal";
  /** malloc answers null while the process's RSS is above this many bytes; 0: no limit. Default 0. */
  softRssLimitBytes?: number;
  /** The next malloc is a report once the process's RSS is above this many bytes; 0: no limit. Default 0. */
  hardRssLimitBytes?: number;
}

interface Option<Given, Checked> {
  /** As a user would give it; null: nothing. */
  readonly default: Given | null;
  readonly check: OptionCheck<Given, Checked>;
}

function option<Given, Checked>(value: Given, check: OptionCheck<Given, Checked>): Option<Given, Checked> {
  return { default: value, check };
}

/** An option that is null if it is not given. */
function optional<Given, Checked>(check: OptionCheck<Given, Checked>): Option<Given, Checked | null> {
  return { default: null, check };
}

/** One of a few words; the first is the default. */
function word<const Words extends readonly string[]>(...words: Words): Option<Words[number], Words[number]> {
  return option(words[0] as Words[number], (name, value) => oneOf(name, value, words));
}

const GIB = 2 ** 30;

/** The host's file descriptor 2 where there is one. */
const writeToStandardError = keepValue("heap.writeToStandardError", (text: string): void => {
  if (typeof process === "undefined") console.error(text.trimEnd());
  else process.stderr.write(text);
});
const ignoreReport = keepValue("heap.ignoreReport", (_error: HeapError): void => {});
const givenWrite = keepPlaceOfGiven<(text: string) => void>("heap.write", writeToStandardError);
const givenReport = keepPlaceOfGiven<(error: HeapError) => void>("heap.onReport", ignoreReport);

/** Name, default and check of every option, in the groups of docs/options.md. */
export const OPTIONS = {
  // Machine and process
  config: option("default" as ConfigName | CustomConfig | HeapConfig, heapConfig),
  memoryBytes: option(GIB, (name, value) => wholeNumber(name, value, { min: 2 ** 24, max: 2 ** 34, unit: PAGE_SIZE })),
  kernel: optional(anInstance(Kernel, "a Kernel")),
  process: optional(anInstance(Process, "a Process")),
  seed: optional((name, value: number) => wholeNumber(name, value, { min: 0, max: 2 ** 32 - 1 })),
  // Fill
  fill: word(...FILLS),
  pattern: option(0xab as number | readonly number[] | Uint8Array, patternBytes),
  largeFill: word("refpage", "memset", "scudo"),
  mapPattern: optional((name, value: MapPattern) => aFunction(name, value)),
  largeRealloc: word("mremap", "copy"),
  hugePages: word(...HUGE_PAGE_ADVICE),
  fillOnFree: option(false as boolean, flag),
  // Tagging
  tagging: word(...TAGGINGS),
  onTagFailure: word("untagged", "user-tags"),
  // Checker
  uninitialised: word("off", "page", "byte"),
  stacks: option(false as boolean | StackSizes, stackSizes),
  // Reports
  hooks: option({} as HeapHooks, hookFunctions),
  write: option(writeToStandardError, (name, value) => givenWrite(aFunction(name, value))),
  onReport: option(ignoreReport, (name, value) => givenReport(aFunction(name, value))),
  // Scudo's flags, and where they are taken from
  quarantine: option({} as QuarantineSizes, quarantineSizes),
  deallocTypeMismatch: option(DEFAULT_FLAGS.dealloc_type_mismatch, flag),
  deleteSizeMismatch: option(DEFAULT_FLAGS.delete_size_mismatch, flag),
  mayReturnNull: option(DEFAULT_FLAGS.may_return_null, flag),
  releaseToOSIntervalMs: option(DEFAULT_FLAGS.release_to_os_interval_ms, int32),
  allocationRingBufferSize: option(DEFAULT_FLAGS.allocation_ring_buffer_size, int32),
  scudoOptions: optional(aText),
  environment: option({} as Environment, variables),
  unknownOptions: word("throw", "warn"),
  // Which version of Scudo
  checksum: word("crc32c", "bsd"),
  headerReport: word("reference", "later"),
  exactUsableSize: option(true as boolean, flag),
  secondaryCachePolicy: word("array", "lru"),
  commitFailure: word("null", "fatal"),
  softRssLimitBytes: option(0, (name, value) => wholeNumber(name, value, { min: 0, max: 2 ** 38 })),
  hardRssLimitBytes: option(0, (name, value) => wholeNumber(name, value, { min: 0, max: 2 ** 38 })),
} satisfies { readonly [Name in keyof Required<HeapOptions>]: Option<Required<HeapOptions>[Name], unknown> };

/** Every option of the typed object. */
export const OPTION_NAMES = Object.keys(OPTIONS) as (keyof HeapOptions)[];

/** Each option as its check answered it. */
export type CheckedOptions = {
  readonly [Name in keyof typeof OPTIONS]: ReturnType<(typeof OPTIONS)[Name]["check"]>;
};

/** What only says which flags there are. */
type FlagOption =
  | "quarantine"
  | "deallocTypeMismatch"
  | "deleteSizeMismatch"
  | "mayReturnNull"
  | "releaseToOSIntervalMs"
  | "allocationRingBufferSize"
  | "scudoOptions"
  | "environment"
  | "unknownOptions";

/** The options of a heap, checked and with every default filled in. Flags are under Scudo's own names. */
export interface ResolvedHeapOptions extends Omit<CheckedOptions, FlagOption> {
  /** Scudo's flags under Scudo's names. */
  readonly flags: Flags;
}
