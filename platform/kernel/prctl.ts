// prctl(2): options that act on the calling thread. Tag checks are the only ones that this machine needs.
import { SystemError } from "./errors.ts";
import type { Thread } from "./thread.ts";

/** @throws SystemError EINVAL: an option that is not simulated. */
export function prctl(_thread: Thread, option: number, _a: number, _b: number, _c: number, _d: number): number {
  throw new SystemError("EINVAL", "prctl", `option ${option}`);
}
