// The package's entry "refheap/wasm": WebAssembly modules on the heap, unmodified. Stands in for the global WebAssembly's functions.

export type {
  Bytes,
  EngineInstance,
  EngineMemory,
  EngineModule,
  Imports,
  MemoryDescriptor,
} from "../../platform/host/engine.ts";
export type { LeakCheckOptions, LeakSummary } from "../checker/checker.ts";
export type { Checker } from "../checker/face.ts";
export type { Finding } from "../checker/finding.ts";
export { formatFinding, formatFindings } from "../checker/finding-text.ts";
export { Heap } from "../heap/heap.ts";
export { ModuleError, type ModuleErrorCode } from "./binary/module-error.ts";
export type { GivenFunctions } from "./guest/choose-functions.ts";
export type { ModuleOptions } from "./guest/compile.ts";
export { guestStack } from "./guest/frames.ts";
export { compile, createMemory, Instance, instantiate, Module } from "./guest/functions.ts";
export type { Guest } from "./guest/guest.ts";
export type { HeapRole } from "./guest/heap-functions.ts";
export type { GuestInstance } from "./guest/instance.ts";
export { type Interception, intercept } from "./guest/intercept.ts";
