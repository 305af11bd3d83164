// Whether memory may be promised that is not there yet (__vm_enough_memory, mm/util.c), by vm.overcommit_memory.
// Who asks, and what is given back, is in the files of the calls; the sum is Kernel.committedPages.
import { PAGE_SIZE } from "../../hardware/layout.ts";

/** vm.overcommit_memory: 0 refuses only what never fits, 1 nothing, 2 all that passes the limit. */
export type OvercommitMode = 0 | 1 | 2;

/** The settings of mode 2, in pages. */
export interface CommitSettings {
  /** vm.overcommit_ratio of RAM, rounded down (vm_commit_limit; there is no swap). */
  readonly limitPages: number;
  /** vm.admin_reserve_kbytes: left for whoever has CAP_SYS_ADMIN, which no program here has. */
  readonly adminReservePages: number;
  /** vm.user_reserve_kbytes: left by one large process for the rest of its user's, but never more than 1/32 of its own. */
  readonly userReservePages: number;
}

/** What Linux takes of free memory for either reserve at boot, and the most that each may be, in bytes. */
const RESERVE_SHARE = 32;
const LARGEST_ADMIN_RESERVE = 2 ** 23;
const LARGEST_USER_RESERVE = 2 ** 27;
/** Part of what a process has mapped that bounds its reserve. */
const PROCESS_SHARE = 32;

/** The settings that a machine boots with (init_admin_reserve, init_user_reserve). `ratio` in percent. */
export function bootCommitSettings(frameCount: number, ratio: number): CommitSettings {
  const reserve = (largest: number) =>
    Math.floor(Math.min((frameCount * PAGE_SIZE) / RESERVE_SHARE, largest) / PAGE_SIZE);
  return {
    limitPages: Math.floor((frameCount * ratio) / 100),
    adminReservePages: reserve(LARGEST_ADMIN_RESERVE),
    userReservePages: reserve(LARGEST_USER_RESERVE),
  };
}

/**
 * Mode 2: whether `committed` pages, the new ones among them, may be promised in all while a process that has `mapped` pages
 * asks. They must stay below the limit less both reserves; to reach it is refused.
 */
export function isBelowCommitLimit(settings: CommitSettings, committed: number, mapped: number): boolean {
  const forProcess = Math.min(Math.floor(mapped / PROCESS_SHARE), settings.userReservePages);
  const allowed = settings.limitPages - settings.adminReservePages - forProcess;
  return Math.max(0, committed) < allowed;
}
