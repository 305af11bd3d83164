// A kernel with reference pages in one call, and the system call as functions that read like C's syscall(2) wrappers.

import { requireOptions } from "../platform/hardware/given-options.ts";
import type { Address, ByteCount } from "../platform/hardware/integers.ts";
import type { Machine, MachineOptions } from "../platform/hardware/machine.ts";
import { KERNEL_OPTIONS, Kernel, type KernelOptions } from "../platform/kernel/kernel.ts";
import type { Process } from "../platform/kernel/process.ts";
import {
  installRefpage,
  REFPAGE_OPTIONS,
  type RefpageOptions,
  SYS_refpage_create,
  SYS_refpage_create2,
} from "./install.ts";

/** A kernel on a new machine (or the given one) with refpage_create installed, both forms unless `abi` says otherwise. */
export function createKernel(
  machine: Machine | MachineOptions = {},
  options: KernelOptions & RefpageOptions = {},
): Kernel {
  requireOptions("createKernel", options, { ...KERNEL_OPTIONS, ...REFPAGE_OPTIONS });
  const { abi, share, hugeReferencePages, ...kernelOptions } = options;
  const kernel = new Kernel(machine, kernelOptions);
  installRefpage(kernel, { abi, share, hugeReferencePages });
  return kernel;
}

/**
 * refpage_create(2), first form: a descriptor whose private mappings read as the page at `content`.
 * @throws SystemError EINVAL, EFAULT, ENOMEM, EMFILE, ENFILE, ENOSYS @see R1
 */
export function refpage_create(process: Process, content: Address, flags = 0): number {
  return process.syscall(SYS_refpage_create, content, flags);
}

/**
 * refpage_create(2), second form: a descriptor whose private mappings read as the `size` bytes at `content`, repeated.
 * @throws SystemError EINVAL, EFAULT, ENOMEM, EMFILE, ENFILE, ENOSYS @see R2
 */
export function refpage_create2(process: Process, content: Address, size: ByteCount, flags = 0): number {
  return process.syscall(SYS_refpage_create2, content, size, flags);
}
