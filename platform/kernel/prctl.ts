// prctl(2): options that act on the calling thread. Tag checks are the only ones that this machine needs.
// What the control word does is tagged-address.ts, the numbers are abi/prctl.ts; here is the shell.
import { SystemError } from "./abi/errors.ts";
import { PR_GET_TAGGED_ADDR_CTRL, PR_SET_TAGGED_ADDR_CTRL } from "./abi/prctl.ts";
import { setTaggedAddressControl } from "./tagged-address.ts";
import type { Thread } from "./thread.ts";

/** @throws SystemError EINVAL: an option that is not simulated, bits that the CPU does not know, or unused arguments not 0. */
export function prctl(thread: Thread, option: number, a: number, b: number, c: number, d: number): number {
  if (option === PR_SET_TAGGED_ADDR_CTRL) {
    if (b !== 0 || c !== 0 || d !== 0) throw new SystemError("EINVAL", "prctl", "arguments 3 to 5 must be 0");
    setTaggedAddressControl(thread, a);
    return 0;
  }
  if (option === PR_GET_TAGGED_ADDR_CTRL) {
    if (a !== 0 || b !== 0 || c !== 0 || d !== 0)
      throw new SystemError("EINVAL", "prctl", "arguments 2 to 5 must be 0");
    return thread.taggedAddressControl;
  }
  throw new SystemError("EINVAL", "prctl", `option ${option}`);
}
