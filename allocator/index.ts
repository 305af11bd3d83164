// The package's entry "refheap": the heap and what its users name. Everything else is reached through it.

export type { Checker, LeakCheckOptions, LeakSummary } from "./checker/checker.ts";
export type { Block, Cause, Finding, FindingKind, LeakKind, Operation } from "./checker/finding.ts";
export type { Frame } from "./checker/frames.ts";
export type { PointerForm, Root } from "./checker/leaks.ts";
export {
  assertNoFindings,
  assertNoLeaks,
  beginObservation,
  CheckError,
  findCorruption,
  type Observation,
  observe,
} from "./checker/observe.ts";
export type { MempoolOptions } from "./checker/requests.ts";
export { parseSuppressions, type Suppression } from "./checker/suppressions.ts";
export { formatFinding, formatFindings, type TextOptions } from "./checker/text.ts";
export type { CustomConfig, HeapConfig, PrimaryConfig, SecondaryCacheConfig, TsdConfig } from "./config.ts";
export { androidConfig, customConfig, defaultConfig, fuchsiaConfig, trustyConfig } from "./config.ts";
export type { ExplainedChunk, Explanation, Place } from "./explain.ts";
export { Heap } from "./heap.ts";
export type { ChunkStacks, HeapErrorKind } from "./heap-error.ts";
export { HeapError } from "./heap-error.ts";
export type { HeapHooks } from "./hooks.ts";
export type { OwnedStruct } from "./introspection.ts";
export type { HeapCensus } from "./invariants.ts";
export type { Mallinfo } from "./mallinfo.ts";
export {
  M_CACHE_COUNT_MAX,
  M_CACHE_SIZE_MAX,
  M_DECAY_TIME,
  M_LOG_STATS,
  M_MEMTAG_TUNING,
  M_MEMTAG_TUNING_BUFFER_OVERFLOW,
  M_MEMTAG_TUNING_UAF,
  M_PURGE,
  M_PURGE_ALL,
  M_THREAD_DISABLE_MEM_INIT,
  M_TSDS_COUNT_MAX,
} from "./mallopt.ts";
export { OptionError } from "./option-error.ts";
export type {
  ConfigName,
  Fill,
  HeapOptions,
  LargeFill,
  ResolvedHeapOptions,
  TagFailure,
  Tagging,
  Uninitialised,
} from "./options.ts";
export type { PinnedRange } from "./pin.ts";
export type { ReleaseKind } from "./primary-release.ts";
export type { RecordedCounts, Recording, RecordOptions } from "./record/recording.ts";
export type { RecordFormat, RecordSink } from "./record/trace-writer.ts";
export { fixedSizeClassMap, SizeClassMap } from "./size-class-map.ts";
export type * from "./statistics.ts";
export type { FieldType, StructLayout, StructView } from "./struct.ts";
export type { FaultingAccess, TagFaultCause, TagFaultKind } from "./tag-fault.ts";
export { TagFaultError } from "./tag-fault.ts";
export type { LargeTagCounts } from "./tagged-secondary.ts";
