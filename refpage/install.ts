// Installs refpage_create in a kernel: the system call in both forms, under the numbers that programs use (R1, R2).
// The work of a call is create.ts; this is the module's one entry.

import { type OptionKinds, requireOptions } from "../platform/hardware/given-options.ts";
import type { Kernel } from "../platform/kernel/kernel.ts";
import type { SystemCall } from "../platform/kernel/syscall-table.ts";
import { keepMaker } from "../platform/state/kept.ts";
import { createFromPage, createFromPattern } from "./create.ts";
import { HUGE_REFERENCE_PAGES, type HugeReferencePages } from "./huge.ts";
import { ReferencePageStore } from "./store.ts";

/** The number in the patch (arch/x86/entry/syscalls/syscall_64.tbl and all others but alpha's, which is 558). */
export const SYS_refpage_create = 448;
/** The thread's second form never had a number; here it is the next one, so that a kernel can offer both. */
export const SYS_refpage_create2 = 449;

/** What the kernel's reference pages are like. */
export interface RefpageOptions {
  /** Which forms of the call exist: 1 as in v4, 2 as agreed in the thread. Default "both". */
  readonly abi?: 1 | 2 | "both";
  /** Whether equal contents share one frame (R12). Default false. */
  readonly share?: boolean;
  /** Whether, and how, mappings of reference pages of the second form become huge (R16). Default "small": never, as in v4. */
  readonly hugeReferencePages?: HugeReferencePages;
}

/** The options of {@link RefpageOptions}, by type. */
export const REFPAGE_OPTIONS: OptionKinds = { abi: "any", share: "boolean", hugeReferencePages: "any" };

/** Adds the call to a kernel. @throws ExtensionError if the kernel has it already. RangeError: a policy that does not exist. */
export function installRefpage(kernel: Kernel, options: RefpageOptions = {}): ReferencePageStore {
  requireOptions("installRefpage", options, REFPAGE_OPTIONS);
  const { abi = "both", share = false, hugeReferencePages = "small" } = options;
  if (abi !== 1 && abi !== 2 && abi !== "both")
    throw new RangeError(`abi: ${JSON.stringify(abi)} is not one of 1, 2, "both"`);
  if (!HUGE_REFERENCE_PAGES.includes(hugeReferencePages)) {
    const known = HUGE_REFERENCE_PAGES.join(", ");
    throw new RangeError(`hugeReferencePages: "${String(hugeReferencePages)}" is not one of ${known}`);
  }
  const store = new ReferencePageStore(kernel, { share, huge: hugeReferencePages });
  const first = { number: SYS_refpage_create, name: "refpage_create", call: pageCall(store) };
  const second = { number: SYS_refpage_create2, name: "refpage_create2", call: patternCall(store) };
  kernel.extend({
    name: "refpage",
    systemCalls: abi === "both" ? [first, second] : [abi === 1 ? first : second],
    heldFrames: store.heldFrames,
  });
  return store;
}

const pageCall = keepMaker(
  "refpage_create",
  (store: ReferencePageStore): SystemCall =>
    (thread, content, flags = 0) =>
      createFromPage(store, thread, content, flags),
);
const patternCall = keepMaker(
  "refpage_create2",
  (store: ReferencePageStore): SystemCall =>
    (thread, content, size, flags = 0) =>
      createFromPattern(store, thread, content, size, flags),
);
