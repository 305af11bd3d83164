// Options of prctl(2) and the bits of the tagged address control word, by their own names and values (linux/prctl.h).
// Nothing but numbers; what they do is ../prctl.ts and ../tagged-address.ts.

/** prctl: no huge pages for this process. */
export const PR_SET_THP_DISABLE = 41;
/** prctl: whether that is so. */
export const PR_GET_THP_DISABLE = 42;
/** Flag of PR_SET_THP_DISABLE: areas with MADV_HUGEPAGE may still have huge pages (since 6.18). */
export const PR_THP_DISABLE_EXCEPT_ADVISED = 2;
/** prctl: tagged addresses in calls, and how tags are checked. */
export const PR_SET_TAGGED_ADDR_CTRL = 55;
/** prctl: what was set. */
export const PR_GET_TAGGED_ADDR_CTRL = 56;

/** Pointers of system calls may have a tag. */
export const PR_TAGGED_ADDR_ENABLE = 1;
/** Tag-check modes; both together leave the choice to the CPU's preference. */
export const PR_MTE_TCF_SYNC = 2;
/** A tag that does not match is reported later. */
export const PR_MTE_TCF_ASYNC = 4;
/** The include mask of IRG: one bit a tag, from this bit on. */
export const PR_MTE_TAG_SHIFT = 3;
