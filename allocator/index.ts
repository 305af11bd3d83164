// The package's entry "refheap": the heap and what its users name. Everything else is reached through it.

export type { LeakCheckOptions, LeakSummary } from "./checker/checker.ts";
export type { Checker } from "./checker/face.ts";
export type { Block, Cause, Finding, FindingKind, LeakKind, Operation } from "./checker/finding.ts";
export { formatFinding, formatFindings, type TextOptions } from "./checker/finding-text.ts";
export type { Frame } from "./checker/frames.ts";
export type { PointerForm, Root } from "./checker/leaks.ts";
export type { MempoolOptions } from "./checker/requests.ts";
export { parseSuppressions, type Suppression } from "./checker/suppressions.ts";
export type { ChunkStacks, HeapErrorKind } from "./common/heap-error.ts";
export { HeapError } from "./common/heap-error.ts";
export type { Memory } from "./common/memory.ts";
export type { MapPattern, PatternMapping } from "./common/pattern-mapping.ts";
export { acceptViews } from "./heap/accept-views.ts";
export { Heap } from "./heap/heap.ts";
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
} from "./heap/mallopt.ts";
export type { PinnedRange } from "./heap/pin.ts";
export type { FieldType, OwnedStruct, StructLayout, StructView } from "./heap/struct.ts";
export type { HeapBytes, HeapView } from "./heap/view.ts";
export type { ExplainedChunk, Explanation, Place } from "./inspection/explain.ts";
export type { HeapCensus } from "./inspection/invariants.ts";
export type { Mallinfo } from "./inspection/mallinfo.ts";
export type * from "./inspection/statistics.ts";
export type { CustomConfig, HeapConfig, PrimaryConfig, SecondaryCacheConfig, TsdConfig } from "./options/config.ts";
export { androidConfig, customConfig, defaultConfig, fuchsiaConfig, trustyConfig } from "./options/config.ts";
export type { HeapHooks } from "./options/hooks.ts";
export { OptionError } from "./options/option-error.ts";
export type {
  ConfigName,
  Fill,
  HeapOptions,
  LargeFill,
  ResolvedHeapOptions,
  TagFailure,
  Tagging,
  Uninitialised,
} from "./options/options.ts";
export { fixedSizeClassMap, SizeClassMap } from "./options/size-class-map.ts";
export type { ReleaseKind } from "./primary/primary-release.ts";
export type { RecordedCounts, Recording, RecordOptions } from "./record/recording.ts";
export type { RecordFormat, RecordSink } from "./record/trace-writer.ts";
export type { FaultingAccess, TagFaultCause, TagFaultKind } from "./tagging/tag-fault.ts";
export { TagFaultError } from "./tagging/tag-fault.ts";
export type { LargeTagCounts } from "./tagging/tagged-secondary.ts";
export {
  assertNoFindings,
  assertNoLeaks,
  beginObservation,
  CheckError,
  findCorruption,
  type Observation,
  observe,
} from "./testing/observe.ts";
