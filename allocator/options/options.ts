// The options of a heap: the typed object, Scudo's option string and the environment, resolved into one checked record.
// The string's grammar is in flags.ts; checks of single values are in option-checks.ts; nothing here touches a kernel.

import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { HeapError } from "../common/heap-error.ts";
import { PLAIN_REPORTS, reportCheckFailed } from "../common/report.ts";
import { type CustomConfig, configs, customConfig, type HeapConfig } from "./config.ts";
import {
  DEFAULT_FLAGS,
  type Flags,
  type FlagTable,
  formatUnknownFlags,
  parseFlags,
  setFlag,
  type UnknownFlag,
} from "./flags.ts";
import type { HeapHooks } from "./hooks.ts";
import { checkNames, flag, int32, oneOf, patternBytes, wholeNumber } from "./option-checks.ts";
import { nearestName, OptionError } from "./option-error.ts";

/** S7's configurations. */
export type ConfigName = keyof typeof configs;

/** What fresh memory reads: Scudo's contents of the moment, zero, or a pattern (S14). */
export type Fill = "none" | "zero" | "pattern";
/**
 * How a large chunk gets its pattern. `"refpage"`: a mapping of a reference page, no pass over the bytes. `"memset"`: filled by
 * the program. `"none"`: Scudo's pattern-or-zero of S14.3: a fresh mapping reads 0, one from the cache is filled.
 */
export type LargeFill = "refpage" | "memset" | "none";
export type Tagging = "off" | "async" | "asymm" | "sync";
/** What a large chunk becomes when no tagged reference page can be had. */
export type TagFailure = "untagged" | "user-tags";
export type Uninitialised = "off" | "page" | "byte";

export const FILLS = ["none", "zero", "pattern"] as const;
export const TAGGINGS = ["off", "async", "asymm", "sync"] as const;

export interface HeapOptions {
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
  /** Default `"none"`. */
  fill?: Fill;
  /** The pattern: 1, 2, 4, 8 or 16 bytes, repeated from each block's begin. Default one byte 0xAB, as Scudo's. */
  pattern?: number | readonly number[] | Uint8Array;
  /** Default `"refpage"`. */
  largeFill?: LargeFill;
  /** How a large chunk moves in realloc: its pages by mremap, or Scudo's copy to a fresh chunk. Default `"mremap"`. */
  largeRealloc?: "mremap" | "copy";
  /** Fill chunks again when they are freed, with the fill's bytes (zero for fill `"none"`). Default false. */
  fillOnFree?: boolean;
  /** Default `"off"`. */
  tagging?: Tagging;
  /** Default `"untagged"`. */
  onTagFailure?: TagFailure;
  /** Default `"off"`. */
  uninitialised?: Uninitialised;
  /** Keep host stack traces of allocations and frees for the reports. Default false; true is 4096 chunks, 16 frames each. */
  stacks?: boolean | { readonly capacity?: number; readonly frames?: number };
  /** Scudo's quarantine (S13); sizes of the global and thread-local part in KiB, largest chunk that enters in bytes. */
  quarantine?: { readonly sizeKb?: number; readonly threadLocalSizeKb?: number; readonly maxChunkSize?: number };
  deallocTypeMismatch?: boolean;
  deleteSizeMismatch?: boolean;
  mayReturnNull?: boolean;
  /** Milliseconds; negative: never release. */
  releaseToOsIntervalMs?: number;
  /** Entries of Scudo's own allocation ring buffer (S24). 0 or less: none. */
  allocationRingBufferSize?: number;
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
  /** Called around allocations and frees (S26.1). */
  hooks?: HeapHooks;
  /** Where text for file descriptor 2 goes: statistics, warnings. Default: the host's standard error. */
  write?: (text: string) => void;
  /** Told of each report before it is thrown. */
  onReport?: (error: HeapError) => void;
  /** A Scudo option string; beats the typed options. */
  scudoOptions?: string;
  /** An environment to take SCUDO_OPTIONS and SCUDO_ALLOCATION_RING_BUFFER_SIZE from, e.g. process.env; beats both. */
  environment?: { readonly [name: string]: string | undefined };
  /** Unknown names in an option string: an OptionError, or Scudo's warning. Default `"throw"`. */
  unknownOptions?: "throw" | "warn";
}

/** The same, checked and with every default filled in. Flags are under Scudo's own names. */
export interface ResolvedHeapOptions {
  readonly flags: Flags;
  readonly config: HeapConfig;
  readonly memoryBytes: number;
  readonly kernel: Kernel | null;
  readonly process: Process | null;
  /** null: take one from the host's randomness. */
  readonly seed: number | null;
  readonly fill: Fill;
  readonly pattern: Uint8Array;
  readonly largeFill: LargeFill;
  readonly largeRealloc: "mremap" | "copy";
  readonly fillOnFree: boolean;
  readonly tagging: Tagging;
  readonly onTagFailure: TagFailure;
  readonly uninitialised: Uninitialised;
  readonly stacks: { readonly capacity: number; readonly frames: number } | null;
  readonly checksum: "crc32c" | "bsd";
  readonly headerReport: "reference" | "later";
  readonly exactUsableSize: boolean;
  readonly secondaryCachePolicy: "array" | "lru";
  readonly commitFailure: "null" | "fatal";
  readonly softRssLimitBytes: number;
  readonly hardRssLimitBytes: number;
  readonly hooks: HeapHooks;
  readonly write: (text: string) => void;
  readonly onReport: (error: HeapError) => void;
}

/** Every option of the typed object. */
export const OPTION_NAMES: readonly (keyof HeapOptions)[] = [
  ...(["config", "memoryBytes", "kernel", "process", "seed", "fill", "pattern", "largeFill", "largeRealloc"] as const),
  ...([
    "fillOnFree",
    "tagging",
    "onTagFailure",
    "uninitialised",
    "stacks",
    "quarantine",
    "deallocTypeMismatch",
  ] as const),
  ...(["deleteSizeMismatch", "mayReturnNull", "releaseToOsIntervalMs", "allocationRingBufferSize"] as const),
  ...(["checksum", "headerReport", "exactUsableSize", "secondaryCachePolicy", "commitFailure"] as const),
  ...(["softRssLimitBytes", "hardRssLimitBytes", "hooks", "write", "onReport", "scudoOptions"] as const),
  ...(["environment", "unknownOptions"] as const),
];

const GIB = 2 ** 30;

/**
 * Checks and completes the options of a heap. A string is Scudo's option string.
 * @throws OptionError: an unknown or malformed option; the error names it, its value and the nearest right one.
 * HeapError check-failed: a global quarantine without a thread-local one (S13.1).
 */
export function resolveOptions(given: HeapOptions | string = {}): ResolvedHeapOptions {
  const options: HeapOptions = typeof given === "string" ? { scudoOptions: given } : given;
  checkNames(options, OPTION_NAMES);
  for (const [option, names] of Object.entries(PARTS)) {
    const given = options[option as keyof typeof PARTS];
    if (given !== null && typeof given === "object") checkNames(given, names, `${option}.`);
  }
  if (options.process !== undefined && options.kernel !== undefined) conflict("kernel", "process");
  if (options.memoryBytes !== undefined && (options.process ?? options.kernel) !== undefined) {
    conflict("memoryBytes", options.process === undefined ? "kernel" : "process");
  }
  if ((options.tagging ?? "off") !== "off" && (options.uninitialised ?? "off") !== "off") {
    conflict("tagging", "uninitialised");
  }
  const write = options.write ?? writeToStandardError;
  const flags = resolveFlags(options, write);
  return {
    flags,
    config: resolveConfig(options.config),
    memoryBytes: wholeNumber("memoryBytes", options.memoryBytes ?? GIB, { min: 2 ** 24, max: 2 ** 34 }),
    kernel: options.kernel ?? null,
    process: options.process ?? null,
    seed: options.seed === undefined ? null : wholeNumber("seed", options.seed, { min: 0, max: 2 ** 32 - 1 }),
    fill: flags.zero_contents ? "zero" : flags.pattern_fill_contents ? "pattern" : "none",
    pattern: patternBytes(options.pattern ?? 0xab),
    largeFill: oneOf("largeFill", options.largeFill ?? "refpage", ["refpage", "memset", "none"]),
    largeRealloc: oneOf("largeRealloc", options.largeRealloc ?? "mremap", ["mremap", "copy"]),
    fillOnFree: flag("fillOnFree", options.fillOnFree ?? false),
    tagging: oneOf("tagging", options.tagging ?? "off", ["off", "async", "asymm", "sync"]),
    onTagFailure: oneOf("onTagFailure", options.onTagFailure ?? "untagged", ["untagged", "user-tags"]),
    uninitialised: oneOf("uninitialised", options.uninitialised ?? "off", ["off", "page", "byte"]),
    stacks: resolveStacks(options.stacks),
    checksum: oneOf("checksum", options.checksum ?? "crc32c", ["crc32c", "bsd"]),
    headerReport: oneOf("headerReport", options.headerReport ?? "reference", ["reference", "later"]),
    exactUsableSize: flag("exactUsableSize", options.exactUsableSize ?? true),
    secondaryCachePolicy: oneOf("secondaryCachePolicy", options.secondaryCachePolicy ?? "array", ["array", "lru"]),
    commitFailure: oneOf("commitFailure", options.commitFailure ?? "null", ["null", "fatal"]),
    softRssLimitBytes: wholeNumber("softRssLimitBytes", options.softRssLimitBytes ?? 0, { min: 0, max: 2 ** 38 }),
    hardRssLimitBytes: wholeNumber("hardRssLimitBytes", options.hardRssLimitBytes ?? 0, { min: 0, max: 2 ** 38 }),
    hooks: options.hooks ?? {},
    write,
    onReport: options.onReport ?? (() => {}),
  };
}

/** Options that are objects, and the names that they may have. */
const PARTS = {
  hooks: ["allocate", "deallocate", "reallocDeallocate", "reallocAllocate"],
  quarantine: ["sizeKb", "threadLocalSizeKb", "maxChunkSize"],
  stacks: ["capacity", "frames"],
} as const;

function conflict(first: string, second: string): never {
  const explanation = `option '${first}' cannot be given together with '${second}'`;
  throw new OptionError(first, undefined, second, "", explanation);
}

/** @throws RangeError for a configuration of the user's own with a field out of range */
function resolveConfig(config: HeapOptions["config"]): HeapConfig {
  if (config !== null && typeof config === "object") return customConfig(config);
  return configs[oneOf("config", config ?? "default", Object.keys(configs) as ConfigName[])];
}

const STACKS_CAPACITY = 4096;
const STACKS_FRAMES = 16;

function resolveStacks(stacks: HeapOptions["stacks"]): ResolvedHeapOptions["stacks"] {
  if (stacks === undefined || stacks === false) return null;
  const given = stacks === true ? {} : stacks;
  if (given === null || typeof given !== "object") flag("stacks", given);
  return {
    capacity: wholeNumber("stacks.capacity", given.capacity ?? STACKS_CAPACITY, { min: 1, max: 2 ** 24 }),
    frames: wholeNumber("stacks.frames", given.frames ?? STACKS_FRAMES, { min: 1, max: 200 }),
  };
}

/** Typed options, then the string, then the environment: later wins (S15.2). */
function resolveFlags(options: HeapOptions, write: (text: string) => void): Flags {
  const flags: Flags = { ...DEFAULT_FLAGS };
  const fill = oneOf("fill", options.fill ?? "none", ["none", "zero", "pattern"]);
  flags.zero_contents = fill === "zero";
  flags.pattern_fill_contents = fill === "pattern";
  const quarantine = options.quarantine ?? {};
  flags.quarantine_size_kb = int32("quarantine.sizeKb", quarantine.sizeKb ?? 0);
  flags.thread_local_quarantine_size_kb = int32("quarantine.threadLocalSizeKb", quarantine.threadLocalSizeKb ?? 0);
  flags.quarantine_max_chunk_size = int32("quarantine.maxChunkSize", quarantine.maxChunkSize ?? 0);
  flags.dealloc_type_mismatch = flag("deallocTypeMismatch", options.deallocTypeMismatch ?? flags.dealloc_type_mismatch);
  flags.delete_size_mismatch = flag("deleteSizeMismatch", options.deleteSizeMismatch ?? flags.delete_size_mismatch);
  flags.may_return_null = flag("mayReturnNull", options.mayReturnNull ?? flags.may_return_null);
  const interval = options.releaseToOsIntervalMs ?? flags.release_to_os_interval_ms;
  flags.release_to_os_interval_ms = int32("releaseToOsIntervalMs", interval);
  const ringSize = options.allocationRingBufferSize ?? flags.allocation_ring_buffer_size;
  flags.allocation_ring_buffer_size = int32("allocationRingBufferSize", ringSize);

  const unknown: UnknownFlag[] = [];
  const table = flags as unknown as FlagTable;
  const context = { ...PLAIN_REPORTS, onReport: options.onReport ?? PLAIN_REPORTS.onReport };
  parseFlags(options.scudoOptions, table, unknown, context);
  parseFlags(options.environment?.SCUDO_OPTIONS, table, unknown, context);
  const environmentRingSize = options.environment?.SCUDO_ALLOCATION_RING_BUFFER_SIZE;
  // One value, not a string of pairs: what follows a separator in it is not read.
  if (environmentRingSize !== undefined) {
    setFlag(table, "allocation_ring_buffer_size", environmentRingSize, environmentRingSize);
  }
  settleUnknown(unknown, options, write);
  checkQuarantine(flags, context);
  return flags;
}

function settleUnknown(unknown: readonly UnknownFlag[], options: HeapOptions, write: (text: string) => void): void {
  const first = unknown[0];
  if (first === undefined) return;
  const warning = formatUnknownFlags(unknown);
  if (oneOf("unknownOptions", options.unknownOptions ?? "throw", ["throw", "warn"]) === "warn") {
    write(warning);
    return;
  }
  const nearest = nearestName(first.name, Object.keys(DEFAULT_FLAGS));
  const explanation = `unknown option '${first.name}' with value '${first.value}'; did you mean '${nearest}'?`;
  throw new OptionError(first.name, first.value, nearest, "", explanation);
}

function checkQuarantine(flags: Flags, context: typeof PLAIN_REPORTS): void {
  if (flags.quarantine_size_kb === 0 || flags.thread_local_quarantine_size_kb !== 0) return;
  const condition = "((Size == 0 && CacheSize == 0) || CacheSize != 0) != 0";
  reportCheckFailed({ file: "options.ts", line: 1 }, condition, 0, 0, context);
}

/** The host's file descriptor 2 where there is one. */
function writeToStandardError(text: string): void {
  if (typeof process === "undefined") console.error(text.trimEnd());
  else process.stderr.write(text);
}
