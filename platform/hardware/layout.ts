// The numbers of the machine: page and address sizes, where a tag sits in an address, and the bits of a page-table entry.
// Only constants live here; what uses them is beside it (page-table.ts, memory.ts, tags.ts).

/** Bytes in a page and in a frame. */
export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;
export const OFFSET_MASK = PAGE_SIZE - 1;
/** A multiplication by this turns a byte address into a page number; exact, since it is a power of two. */
export const PAGES_PER_BYTE = 1 / PAGE_SIZE;

/** A process sees addresses of 38 bits: 256 GiB, 2^26 pages. */
export const ADDRESS_BITS = 38;
/** The first address that a program cannot have: 2^38. */
export const ADDRESS_LIMIT = 2 ** ADDRESS_BITS;
export const PAGE_COUNT = 2 ** 26;
export const PAGE_MASK = 0x3ffffff;

/** Arm MTE: one tag of 4 bits for each granule of 16 bytes (DDI 0487, "The Memory Tagging Extension"). */
export const GRANULE_SIZE = 16;
export const GRANULE_SHIFT = 4;
export const GRANULES_PER_PAGE = PAGE_SIZE / GRANULE_SIZE;
export const TAG_COUNT = 16;
/**
 * The logical tag of an address counts in units of this. Hardware keeps it in bits 59:56; a JS number is exact only to
 * 2^53, so here it sits in bits 51:48.
 */
export const TAG_UNIT = 0x1000000000000;

/**
 * A page-table entry. An entry of 0 is "nothing here".
 * ```
 *  31                       10   9      8       7    6    5    4     3      2    1     0
 * +---------------------------+---+---------+---+-----+---+----+-------+---+-----+----+
 * | frame number, 22 bits     |DBM|NOT_DIRTY|MTE|GUARD|CHK|ANON|SPECIAL|PRE|WRITE|READ|
 * +---------------------------+---+---------+---+-----+---+----+-------+---+-----+----+
 *   frame = entry >>> PTE_FRAME_SHIFT; of it bits 31:30 are the bank of RAM (4 GiB each), bits 29:10 the frame in the bank;
 *   byte in the bank = ((entry & PTE_FRAME_MASK) << 2 | offset) >>> 0
 * ```
 */
export const PTE_FRAME_SHIFT = 10;
export const PTE_FRAME_MASK = -(1 << PTE_FRAME_SHIFT);
/** A load may go on without a fault. */
export const PTE_READ = 1 << 0;
/** A store may go on without a fault. */
export const PTE_WRITE = 1 << 1;
/** A frame is mapped here, perhaps without permission to use it (PROT_NONE keeps its pages). */
export const PTE_PRESENT = 1 << 2;
/** The clean page of the area: not counted in RSS, no reverse mapping (Linux pte_special). */
export const PTE_SPECIAL = 1 << 3;
/** A private anonymous page, as opposed to a page of a file. */
export const PTE_ANON = 1 << 4;
/** Every access must pass the slower checks: tags, validity bits, or a frame beyond the first 4 GiB. */
export const PTE_CHECKED = 1 << 5;
/** No frame, but a guard marker (MADV_GUARD_INSTALL): every access is a fault that ends in SIGSEGV. */
export const PTE_GUARD = 1 << 6;
/** The page belongs to a PROT_MTE mapping: its tags are compared, and tag stores reach it. */
export const PTE_MTE = 1 << 7;

/** No store through this entry, or none since MADV_FREE or unsharing: an inverted dirty bit. A clean page is something else (PTE_SPECIAL). */
export const PTE_NOT_DIRTY = 1 << 8;
/** Stores are permitted though PTE_WRITE is off: the first one makes the page dirty, and is no fault (Arm's dirty bit modifier). */
export const PTE_DBM = 1 << 9;

/** An access may skip every check if these bits of its entry are exactly PTE_READ (loads) or PTE_WRITE (stores). */
export const FAST_LOAD = PTE_READ | PTE_CHECKED;
export const FAST_STORE = PTE_WRITE | PTE_CHECKED;

/** How an access touches memory. */
export const ACCESS_LOAD = 0;
export const ACCESS_STORE = 1;
