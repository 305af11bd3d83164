// prctl(2): tag checks of the calling thread, and huge pages of its process. Other options are not simulated.
// What the control word does is tagged-address.ts, which areas may have huge pages mm/huge-settings.ts, the numbers are
// abi/prctl.ts; here is the shell.
import { SystemError } from "./abi/errors.ts";
import {
  PR_GET_TAGGED_ADDR_CTRL,
  PR_GET_THP_DISABLE,
  PR_SET_TAGGED_ADDR_CTRL,
  PR_SET_THP_DISABLE,
  PR_THP_DISABLE_EXCEPT_ADVISED,
} from "./abi/prctl.ts";
import type { AddressSpace } from "./mm/address-space.ts";
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
  const space = thread.process.addressSpace;
  if (option === PR_SET_THP_DISABLE) return setThpDisable(space, a, b, c, d);
  if (option === PR_GET_THP_DISABLE) {
    if (a !== 0 || b !== 0 || c !== 0 || d !== 0)
      throw new SystemError("EINVAL", "prctl", "arguments 2 to 5 must be 0");
    if (space.thpDisable === "no") return 0;
    return space.thpDisable === "all" ? 1 : 1 | PR_THP_DISABLE_EXCEPT_ADVISED;
  }
  throw new SystemError("EINVAL", "prctl", `option ${option}`);
}

/** PR_SET_THP_DISABLE: from now on faults bring no huge pages; what is huge stays so (prctl_set_thp_disable). */
function setThpDisable(space: AddressSpace, disable: number, flags: number, c: number, d: number): number {
  if (c !== 0 || d !== 0) throw new SystemError("EINVAL", "prctl", "arguments 4 and 5 must be 0");
  if ((flags & ~PR_THP_DISABLE_EXCEPT_ADVISED) !== 0 || (disable === 0 && flags !== 0))
    throw new SystemError("EINVAL", "prctl", `flags ${flags}`);
  if (disable === 0) space.thpDisable = "no";
  else space.thpDisable = flags === 0 ? "all" : "except-advised";
  return 0;
}
