// The package's entry "refheap": the heap and what its users name. Everything else is reached through it.

export type { CustomConfig, HeapConfig, PrimaryConfig, SecondaryCacheConfig, TsdConfig } from "./config.ts";
export { androidConfig, customConfig, defaultConfig, fuchsiaConfig, trustyConfig } from "./config.ts";
export { Heap } from "./heap.ts";
export type { HeapErrorKind } from "./heap-error.ts";
export { HeapError } from "./heap-error.ts";
export type { HeapHooks } from "./hooks.ts";
export type { HeapCensus } from "./invariants.ts";
export { OptionError } from "./option-error.ts";
export type { HeapOptions, ResolvedHeapOptions } from "./options.ts";
export type { ReleaseKind } from "./primary-release.ts";
export { fixedSizeClassMap, SizeClassMap } from "./size-class-map.ts";
