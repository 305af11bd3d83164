// execve(2) as far as memory is concerned: the old image goes, and what it had set for itself with it (begin_new_exec).
// There is no new program to load: what runs on is the caller's own code.

import { SystemError } from "./abi/errors.ts";
import { TASK_SIZE_PAGES } from "./mm/address-space.ts";
import { INITIAL_BRK } from "./mm/brk.ts";
import { unmapRange } from "./mm/munmap.ts";
import type { Process } from "./process.ts";
import { applyControl } from "./tagged-address.ts";

/**
 * Unmaps everything, ends the other threads, closes close-on-exec descriptors, and resets handlers, the tagged address
 * control and TCO. Blocked and ignored signals stay.
 * @throws SystemError ENOENT: an empty name.
 */
export function execve(process: Process, name: string): 0 {
  if (name === "") throw new SystemError("ENOENT", "execve", "empty name");
  const { addressSpace, mainThread, currentThread } = process;
  for (const thread of [...process.threads]) if (thread !== mainThread) thread.exit();
  unmapRange(addressSpace, 0, TASK_SIZE_PAGES, "execve");
  for (const ended of [...addressSpace.endObservers]) ended();
  addressSpace.defaultFlags = 0;
  addressSpace.startBrk = INITIAL_BRK;
  addressSpace.brk = INITIAL_BRK;
  process.fds.closeOnExec();
  process.signalActions.reset();
  mainThread.signalMask = currentThread.signalMask;
  mainThread.taggedAddressControl = 0;
  mainThread.memory.tco = false;
  mainThread.memory.asyncTagFault = false;
  applyControl(mainThread);
  return 0;
}
