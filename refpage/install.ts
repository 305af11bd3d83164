// Installs refpage_create in a kernel: the system call in both forms, under the numbers that programs use (R1, R2).
// The work of a call is create.ts; this is the module's one entry.
import type { Kernel } from "../platform/kernel/kernel.ts";
import { createFromPage, createFromPattern } from "./create.ts";
import { ReferencePageStore } from "./store.ts";

/** The number in the patch (arch/x86/entry/syscalls/syscall_64.tbl and all others but alpha's, which is 558). */
export const SYS_refpage_create = 448;
/** The thread's second form never had a number; here it is the next one, so that a kernel can offer both. */
export const SYS_refpage_create2 = 449;

export interface RefpageOptions {
  /** Which forms of the call exist: 1 as in v4, 2 as agreed in the thread. Default "both". */
  readonly abi?: 1 | 2 | "both";
  /** Whether equal contents share one frame (R12). Default false. */
  readonly share?: boolean;
}

/** Adds the call to a kernel. @throws Error if the kernel has it already. */
export function installRefpage(
  kernel: Kernel,
  { abi = "both", share = false }: RefpageOptions = {},
): ReferencePageStore {
  const store = new ReferencePageStore(kernel, { share });
  if (abi !== 2) {
    kernel.registerSystemCall(SYS_refpage_create, "refpage_create", (thread, content, flags = 0) =>
      createFromPage(store, thread, content, flags),
    );
  }
  if (abi !== 1) {
    kernel.registerSystemCall(SYS_refpage_create2, "refpage_create2", (thread, content, size, flags = 0) =>
      createFromPattern(store, thread, content, size, flags),
    );
  }
  return store;
}
