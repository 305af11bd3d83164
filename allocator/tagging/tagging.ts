// What tagging asks of the process, and the small rules that primary and secondary share: modes, masks, who may have it (S22.1).
// Tags of small chunks are in tagged-allocator.ts, of large ones in tagged-secondary.ts, reports in tag-fault.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Machine } from "../../platform/hardware/machine.ts";
import {
  PR_MTE_TAG_SHIFT,
  PR_MTE_TCF_ASYNC,
  PR_MTE_TCF_SYNC,
  PR_SET_TAGGED_ADDR_CTRL,
  PR_TAGGED_ADDR_ENABLE,
} from "../../platform/kernel/abi/prctl.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { HeapConfig } from "../options/config.ts";
import type { Tagging } from "../options/options.ts";

export const GRANULE = 16;
/** Tag 0 is never a user chunk's: headers, ends and free granules have it. */
const USER_TAGS = 0xfffe;
export const EXCLUDE_ZERO = 1;
const EXCLUDE_EVEN = 0x5555;
const EXCLUDE_ODD = 0xaaaa;

const modeBits = {
  off: 0,
  sync: PR_MTE_TCF_SYNC,
  async: PR_MTE_TCF_ASYNC,
  asymm: PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC,
} as const;

/**
 * @throws RangeError if tagging is asked for where it cannot be: a machine without MTE, or a configuration that rules it out
 * (Scudo would go on without; a heap that was asked for tags and has none must not look as if it had).
 */
export function requireTagging(tagging: Tagging, machine: Machine, config: HeapConfig): void {
  if (!machine.mte) throw new RangeError(`tagging: "${tagging}" needs a machine with MTE (mte: true)`);
  if (!config.maySupportMemoryTagging) {
    throw new RangeError(`tagging: "${tagging}" is ruled out by the configuration "${config.name}"`);
  }
}

/** Sets the check mode of every thread of the process, tags 1 to 15 for IRG, and the tagged address ABI. */
export function setCheckMode(process: Process, tagging: Tagging): void {
  if (tagging === "asymm") process.kernel.preferredTagCheckMode = "asymm";
  const control = PR_TAGGED_ADDR_ENABLE | modeBits[tagging] | (USER_TAGS << PR_MTE_TAG_SHIFT);
  const running = process.currentThread;
  try {
    for (const thread of process.threads) {
      process.currentThread = thread;
      process.prctl(PR_SET_TAGGED_ADDR_CTRL, control);
    }
  } finally {
    process.currentThread = running;
  }
}

/** Tags that a block must not have so that neighbours differ in parity (S22.4): odd tags for even places, even for odd. */
export function oddEvenMask(block: Address, blockUnit: ByteCount): number {
  return Math.floor(block / blockUnit) % 2 === 0 ? EXCLUDE_EVEN : EXCLUDE_ODD;
}

export function roundUpToGranule(value: number): number {
  return Math.ceil(value / GRANULE) * GRANULE;
}
