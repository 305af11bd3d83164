// Entry point "refheap/kernel": machine, kernel, processes and reference pages, for those who try a kernel interface.

export { type CounterSnapshot, Counters } from "../platform/hardware/counters.ts";
export { BusError, IllegalInstruction, SegmentationFault } from "../platform/hardware/faults.ts";
export type { FrameNumber, PageNumber } from "../platform/hardware/integers.ts";
export { ADDRESS_LIMIT, GRANULE_SIZE, PAGE_SIZE, TAG_UNIT } from "../platform/hardware/layout.ts";
export { Machine, type MachineOptions, type Resident, type SnapshotOptions } from "../platform/hardware/machine.ts";
export { Memory } from "../platform/hardware/memory.ts";
export type { PhysicalMemory } from "../platform/hardware/physical-memory.ts";
export { ERRNO, type ErrnoCode, OutOfMemoryError, SystemError } from "../platform/kernel/abi/errors.ts";
export * from "../platform/kernel/abi/fcntl.ts";
export * from "../platform/kernel/abi/mman.ts";
export {
  PR_GET_TAGGED_ADDR_CTRL,
  PR_GET_THP_DISABLE,
  PR_MTE_TAG_SHIFT,
  PR_MTE_TCF_ASYNC,
  PR_MTE_TCF_SYNC,
  PR_SET_TAGGED_ADDR_CTRL,
  PR_SET_THP_DISABLE,
  PR_TAGGED_ADDR_ENABLE,
  PR_THP_DISABLE_EXCEPT_ADVISED,
} from "../platform/kernel/abi/prctl.ts";
export * from "../platform/kernel/abi/rlimit.ts";
export {
  type Advice,
  type AdviceCall,
  type AdviceHook,
  type ExtensionCall,
  ExtensionError,
  type ExtensionErrorCode,
  type KernelExtension,
  type MmapCall,
  type MmapFlag,
  type MmapHook,
} from "../platform/kernel/extension.ts";
export { Kernel, type KernelOptions } from "../platform/kernel/kernel.ts";
export type { AddressSpace, Caller } from "../platform/kernel/mm/address-space.ts";
export type { AdviceRequest } from "../platform/kernel/mm/advice-extension.ts";
export { type CgroupOptions, MemoryCgroup } from "../platform/kernel/mm/cgroup.ts";
export {
  type FileOperations,
  type MapRequest,
  O_APPEND,
  O_CLOEXEC,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  OpenFile,
} from "../platform/kernel/mm/file.ts";
export {
  type CleanPage,
  type FrameAllocator,
  type HugeCleanPage,
  type InitialisationPolicy,
  NO_FRAME,
  ZERO_FRAME,
  zeroPage,
} from "../platform/kernel/mm/frames.ts";
export { PinnedPages } from "../platform/kernel/mm/gup.ts";
export type { HugePageOptions, HugePagesEnabled } from "../platform/kernel/mm/huge-settings.ts";
export * from "../platform/kernel/mm/vm-flags.ts";
export { Process, type ProcessOptions } from "../platform/kernel/process.ts";
export { SIGBUS, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGUSR1 } from "../platform/kernel/signals.ts";
export type { SystemCall } from "../platform/kernel/syscall-table.ts";
export { Thread } from "../platform/kernel/thread.ts";
export { copyFromUser, copyToUser } from "../platform/kernel/uaccess.ts";
export type { GivenFunctions } from "../platform/state/decode.ts";
export { SnapshotError } from "../platform/state/error.ts";
export type { HugeReferencePages } from "./huge.ts";
export { installRefpage, type RefpageOptions, SYS_refpage_create, SYS_refpage_create2 } from "./install.ts";
export { createKernel, refpage_create, refpage_create2 } from "./kernel.ts";
