// From what a user gave to the options that a heap works with: the typed object checked by its table, then Scudo's option string,
// then the environment. The table is options.ts, the string's grammar flags.ts; nothing here touches a kernel.

import { PLAIN_REPORTS, type ReportContext, reportCheckFailed } from "../common/report.ts";
import {
  DEFAULT_FLAGS,
  type Flags,
  type FlagTable,
  formatUnknownFlags,
  parseFlags,
  setFlag,
  type UnknownFlag,
} from "./flags.ts";
import { ownValues } from "./option-checks.ts";
import { nearestName, OptionError } from "./option-error.ts";
import { type CheckedOptions, type HeapOptions, OPTION_NAMES, OPTIONS, type ResolvedHeapOptions } from "./options.ts";

const CHUNK_HEADER_BYTES = 16;

/**
 * Checks and completes the options of a heap. A string is Scudo's option string.
 * @throws OptionError: an unknown or malformed option; the error names it, its value and the nearest right one.
 * HeapError check-failed: a global quarantine without a thread-local one (S13.1).
 */
export function resolveOptions(given: HeapOptions | string = {}): ResolvedHeapOptions {
  const values = typeof given === "string" ? { scudoOptions: given } : ownValues(given, OPTION_NAMES);
  const checked = withFreelist(checkEach(values), values);
  refuseConflicts(checked, values);
  const flags = resolveFlags(checked);
  const fill = flags.zero_contents ? "zero" : flags.pattern_fill_contents ? "pattern" : "none";
  return { ...checked, fill, flags };
}

function checkEach(values: Readonly<Record<string, unknown>>): CheckedOptions {
  const checked: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) {
    const { default: otherwise, check } = OPTIONS[name] as {
      default: unknown;
      check(name: string, value: unknown): unknown;
    };
    const value = values[name] === undefined ? otherwise : values[name];
    checked[name] = value === null && values[name] === undefined ? null : check(name, value);
  }
  return checked as unknown as CheckedOptions;
}

/**
 * The quarantine of a heap that tracks bytes, unless one is asked for or refused: 20,000,000 bytes, as Memcheck's
 * --freelist-vol, so that a pointer to a freed chunk is found out before another chunk lies there.
 */
const FREELIST = { sizeKb: 19_531, threadLocalSizeKb: 1024, maxChunkSize: 2 ** 20 } as const;
/** The largest block that a quarantine's own batches need; a map without it has no quarantine. */
const BATCH_BYTES = 8192;

function withFreelist(checked: CheckedOptions, values: Readonly<Record<string, unknown>>): CheckedOptions {
  const { uninitialised, scudoOptions, environment, config } = checked;
  const isNamed = [scudoOptions, environment.SCUDO_OPTIONS].some((text) => text?.includes("quarantine_"));
  const isPossible = config.primary.sizeClassMap.maxSize >= BATCH_BYTES + CHUNK_HEADER_BYTES;
  if (uninitialised !== "byte" || values.quarantine !== undefined || isNamed || !isPossible) return checked;
  return { ...checked, quarantine: FREELIST };
}

function refuseConflicts(checked: CheckedOptions, values: Readonly<Record<string, unknown>>): void {
  const { process, kernel, tagging, uninitialised, mapPattern, largeFill } = checked;
  if (process !== null && kernel !== null) conflict("kernel", "process");
  if (values.memoryBytes !== undefined && process !== null) conflict("memoryBytes", "process");
  if (values.memoryBytes !== undefined && kernel !== null) conflict("memoryBytes", "kernel");
  if (tagging !== "off" && uninitialised !== "off") conflict("tagging", "uninitialised");
  if (mapPattern !== null && tagging !== "off") conflict("mapPattern", "tagging");
  if (mapPattern !== null && uninitialised !== "off") conflict("mapPattern", "uninitialised");
  if (mapPattern !== null && largeFill !== "refpage") conflict("mapPattern", "largeFill");
  if (process !== null && process.exitStatus !== null) {
    const explanation = `option 'process': process ${process.pid} has ended`;
    throw new OptionError("process", process, null, "", explanation);
  }
}

function conflict(first: string, second: string): never {
  const explanation = `option '${first}' cannot be given together with '${second}'`;
  throw new OptionError(first, undefined, second, "", explanation);
}

/** Typed options, then the string, then the environment: later wins (S15.2). */
function resolveFlags(checked: CheckedOptions): Flags {
  const { fill, quarantine, scudoOptions, environment } = checked;
  const flags: Flags = {
    quarantine_size_kb: quarantine.sizeKb,
    thread_local_quarantine_size_kb: quarantine.threadLocalSizeKb,
    quarantine_max_chunk_size: quarantine.maxChunkSize,
    dealloc_type_mismatch: checked.deallocTypeMismatch,
    delete_size_mismatch: checked.deleteSizeMismatch,
    zero_contents: fill === "zero",
    pattern_fill_contents: fill === "pattern",
    may_return_null: checked.mayReturnNull,
    release_to_os_interval_ms: checked.releaseToOSIntervalMs,
    allocation_ring_buffer_size: checked.allocationRingBufferSize,
  };
  const unknown: UnknownFlag[] = [];
  const table = flags as unknown as FlagTable;
  const context: ReportContext = { ...PLAIN_REPORTS, onReport: checked.onReport };
  parseFlags(scudoOptions, table, unknown, context);
  parseFlags(environment.SCUDO_OPTIONS, table, unknown, context);
  const ringSize = environment.SCUDO_ALLOCATION_RING_BUFFER_SIZE;
  // One value, not a string of pairs: what follows a separator in it is not read.
  if (ringSize !== undefined) setFlag(table, "allocation_ring_buffer_size", ringSize, ringSize);
  settleUnknown(unknown, checked);
  checkQuarantine(flags, context);
  return flags;
}

function settleUnknown(unknown: readonly UnknownFlag[], { unknownOptions, write }: CheckedOptions): void {
  const first = unknown[0];
  if (first === undefined) return;
  if (unknownOptions === "warn") {
    write(formatUnknownFlags(unknown));
    return;
  }
  const nearest = nearestName(first.name, Object.keys(DEFAULT_FLAGS));
  const explanation = `unknown option '${first.name}' with value '${first.value}'; did you mean '${nearest}'?`;
  throw new OptionError(first.name, first.value, nearest, "", explanation);
}

function checkQuarantine(flags: Flags, context: ReportContext): void {
  if (flags.quarantine_size_kb === 0 || flags.thread_local_quarantine_size_kb !== 0) return;
  const condition = "((Size == 0 && CacheSize == 0) || CacheSize != 0) != 0";
  reportCheckFailed({ file: "options.ts", line: 1 }, condition, 0, 0, context);
}
