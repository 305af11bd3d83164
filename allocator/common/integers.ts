// Kinds of integers that only an allocator has, by name; addresses, pages and sizes are platform/hardware/integers.ts.
// Only types live here.

/** A size class of the primary allocator (size-class-map.ts); 0 holds the allocator's own batches, and stands for large blocks. */
export type ClassId = number;
/** A block of the primary allocator as its free lists keep it: bytes from the begin of its class's region, divided by 16. */
export type CompactPointer = number;
