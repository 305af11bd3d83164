// Kinds of integers, by name: they are all numbers, and a signature says by these which it means.
// Only types live here; ranges and sizes are in layout.ts.

/** A virtual address in bytes, 0 to 2^38 − 1; as a pointer with an MTE tag at bits 48 to 51. */
export type Address = number;
/** A virtual page: an address divided by the page size, 0 to 2^26 − 1; as the end of a range also 2^26. */
export type PageNumber = number;
/** A frame of RAM, 0 to the machine's frame count − 1. */
export type FrameNumber = number;
/** A length or a size in bytes. */
export type ByteCount = number;
/** A length in pages. */
export type PageCount = number;
/** A position in a file, in bytes. */
export type FileOffset = number;
/** A page of a file: an offset divided by the page size (pgoff_t). */
export type FilePage = number;
/** An entry block: a virtual page divided by 512, the entries of one page-table page. */
export type EntryBlock = number;
/** A page-table entry: a frame number and PTE_ flags (layout.ts). */
export type PageTableEntry = number;
/** A row of an address space's areas (vma.ts): it stays while its neighbours come and go. */
export type AreaId = number;
/** VM_ flags of an area (vm-flags.ts). */
export type AreaFlags = number;
/** A process id; a thread's is of the same kind. */
export type ProcessId = number;
/** A file descriptor. */
export type Descriptor = number;
/** A tag of memory or of a pointer, 0 to 15 (MTE). */
export type Tag = number;
