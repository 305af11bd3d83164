// The tagged address ABI and what prctl says about tags: a thread's control word, its check mode, and the asynchronous
// report at kernel entry (arch/arm64/kernel/mte.c). Which pointers a call takes with a tag is up to the call.

import { SegmentationFault } from "../hardware/faults.ts";
import {
  TAG_CHECK_ASYMM,
  TAG_CHECK_ASYNC,
  TAG_CHECK_NONE,
  TAG_CHECK_SYNC,
  type TagCheckMode,
} from "../hardware/tag-check.ts";
import { SystemError } from "./abi/errors.ts";
import { PR_MTE_TAG_SHIFT, PR_MTE_TCF_ASYNC, PR_MTE_TCF_SYNC, PR_TAGGED_ADDR_ENABLE } from "./abi/prctl.ts";
import { SIGSEGV, sendSignal } from "./signals.ts";
import type { Thread } from "./thread.ts";

const ALL_TAGS = 0xffff;
const PR_MTE_TCF_MASK = PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC;
const PR_MTE_TAG_MASK = ALL_TAGS << PR_MTE_TAG_SHIFT;

/** What the CPU would rather do if a thread asks for both modes (sysfs mte_tcf_preferred). */
export type PreferredTagCheckMode = "sync" | "async" | "asymm";

/**
 * PR_SET_TAGGED_ADDR_CTRL: `control` is the word of prctl's second argument. It takes effect immediately.
 * @throws SystemError EINVAL: bits that this CPU does not know; nothing has changed.
 */
export function setTaggedAddressControl(thread: Thread, control: number): void {
  const known = thread.process.kernel.machine.mte
    ? PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_MASK | PR_MTE_TAG_MASK
    : PR_TAGGED_ADDR_ENABLE;
  if (!Number.isInteger(control) || control < 0 || control > known || (control & ~known) !== 0) {
    throw new SystemError("EINVAL", "prctl", `tagged address control ${control}`);
  }
  thread.taggedAddressControl = control;
  applyControl(thread);
}

/** Brings the thread's registers (SCTLR_EL1.TCF0, GCR_EL1.Exclude) in line with its control word. */
export function applyControl(thread: Thread): void {
  const { memory, taggedAddressControl } = thread;
  memory.tagExclude = ~(taggedAddressControl >> PR_MTE_TAG_SHIFT) & ALL_TAGS;
  memory.tagCheckMode = resolveMode(taggedAddressControl, thread.process.kernel.preferredTagCheckMode);
}

/** Asymmetric mode can only be had by asking for both (mte_update_sctlr_user). */
function resolveMode(control: number, preferred: PreferredTagCheckMode): TagCheckMode {
  const sync = (control & PR_MTE_TCF_SYNC) !== 0;
  const async = (control & PR_MTE_TCF_ASYNC) !== 0;
  if (sync && async) {
    if (preferred === "asymm") return TAG_CHECK_ASYMM;
    return preferred === "sync" ? TAG_CHECK_SYNC : TAG_CHECK_ASYNC;
  }
  if (sync) return TAG_CHECK_SYNC;
  return async ? TAG_CHECK_ASYNC : TAG_CHECK_NONE;
}

/**
 * What the kernel does first at every entry: an asynchronous mismatch since the last one becomes one SIGSEGV, before the
 * call runs (mte_check_tfsr_entry). Without a handler the report is thrown, and the call has not run.
 */
export function reportAsyncTagFault(thread: Thread): void {
  thread.memory.asyncTagFault = false;
  const fault = new SegmentationFault("SEGV_MTEAERR", 0, "store");
  thread.process.kernel.counters.segmentationFaults++;
  sendSignal(thread, { signal: SIGSEGV, code: fault.code, address: 0, access: null }, fault);
}
