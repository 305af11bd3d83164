// Entry point "refheap/kernel": machine, kernel, processes and reference pages, for those who try a kernel interface.
export { type CounterSnapshot, Counters } from "../platform/hardware/counters.ts";
export { BusError, IllegalInstruction, SegmentationFault } from "../platform/hardware/faults.ts";
export { ADDRESS_LIMIT, GRANULE_SIZE, PAGE_SIZE, TAG_UNIT } from "../platform/hardware/layout.ts";
export { Machine, type MachineOptions } from "../platform/hardware/machine.ts";
export { Memory } from "../platform/hardware/memory.ts";
export { type CgroupOptions, MemoryCgroup } from "../platform/kernel/cgroup.ts";
export { ERRNO, type ErrnoCode, OutOfMemoryError, SystemError } from "../platform/kernel/errors.ts";
export type { InitialisationPolicy } from "../platform/kernel/frames.ts";
export { PinnedPages } from "../platform/kernel/gup.ts";
export { Kernel, type KernelOptions } from "../platform/kernel/kernel.ts";
export * from "../platform/kernel/mman.ts";
export { Process, type ProcessOptions } from "../platform/kernel/process.ts";
export * from "../platform/kernel/rlimit.ts";
export { Thread } from "../platform/kernel/thread.ts";
export { installRefpage, type RefpageOptions, SYS_refpage_create, SYS_refpage_create2 } from "./install.ts";
export { createKernel, refpage_create, refpage_create2 } from "./kernel.ts";
