// Constants of Linux's memory-mapping calls, by their own names and values (asm-generic/mman-common.h, linux/mman.h).
// Nothing but numbers; what they do is in the files of the calls.

/** No access. */
export const PROT_NONE = 0;
/** Pages may be read. */
export const PROT_READ = 1;
/** Pages may be written. */
export const PROT_WRITE = 2;
/** Pages may be run. */
export const PROT_EXEC = 4;
/** Pages may hold atomics; changes nothing. */
export const PROT_SEM = 8;
/** arm64: the mapping's memory has allocation tags (Documentation/arch/arm64/memory-tagging-extension.rst). */
export const PROT_MTE = 0x20;
/** mprotect: down to the begin of a mapping that grows downwards. */
export const PROT_GROWSDOWN = 0x0100_0000;
/** mprotect: up to the end of a mapping that grows upwards. */
export const PROT_GROWSUP = 0x0200_0000;

/** Stores are seen by all who map the file. */
export const MAP_SHARED = 1;
/** Stores are the process's own. */
export const MAP_PRIVATE = 2;
/** As MAP_SHARED; flags that are not known are refused. */
export const MAP_SHARED_VALIDATE = 3;
/** Pages that may be dropped when memory is short; wiped on fork, never locked or dumped. */
export const MAP_DROPPABLE = 8;
/** The bits of the flags that say which of the three it is. */
export const MAP_TYPE = 0x0f;
/** At this address; what is there is unmapped. */
export const MAP_FIXED = 0x10;
/** No file: memory that reads as zeroes. */
export const MAP_ANONYMOUS = 0x20;
/** A stack: grows downwards when it is touched. */
export const MAP_GROWSDOWN = 0x100;
/** Its pages stay in RAM. */
export const MAP_LOCKED = 0x2000;
/** Not counted as promised. */
export const MAP_NORESERVE = 0x4000;
/** Its pages are there before the call returns. */
export const MAP_POPULATE = 0x8000;
/** With MAP_POPULATE: nothing is read for it. */
export const MAP_NONBLOCK = 0x10000;
/** For a stack; without huge pages. */
export const MAP_STACK = 0x20000;
/** From the pool of huge pages. */
export const MAP_HUGETLB = 0x40000;
/** For files on persistent memory. */
export const MAP_SYNC = 0x80000;
/** At this address; EEXIST if something is there. */
export const MAP_FIXED_NOREPLACE = 0x100000;

/** mremap: the mapping may move. */
export const MREMAP_MAYMOVE = 1;
/** mremap: it moves to this address. */
export const MREMAP_FIXED = 2;
/** mremap: the old place stays mapped, and empty. */
export const MREMAP_DONTUNMAP = 4;

/** No advice. */
export const MADV_NORMAL = 0;
/** Pages are wanted in no order. */
export const MADV_RANDOM = 1;
/** Pages are wanted in their order. */
export const MADV_SEQUENTIAL = 2;
/** Pages are wanted soon. */
export const MADV_WILLNEED = 3;
/** Pages are given up: they read as fresh ones. */
export const MADV_DONTNEED = 4;
/** Pages may be given up, until they are written. */
export const MADV_FREE = 8;
/** The file's bytes are given up: a hole. */
export const MADV_REMOVE = 9;
/** A child does not have the mapping. */
export const MADV_DONTFORK = 10;
/** A child has it again. */
export const MADV_DOFORK = 11;
/** Huge pages are wanted. */
export const MADV_HUGEPAGE = 14;
/** Huge pages are not wanted. */
export const MADV_NOHUGEPAGE = 15;
/** Not in a core file. */
export const MADV_DONTDUMP = 16;
/** In a core file again. */
export const MADV_DODUMP = 17;
/** A child finds it fresh. */
export const MADV_WIPEONFORK = 18;
/** A child finds it as it was, again. */
export const MADV_KEEPONFORK = 19;
/** Pages are not wanted soon. */
export const MADV_COLD = 20;
/** Pages are to leave RAM. */
export const MADV_PAGEOUT = 21;
/** Pages are to be there for loads. */
export const MADV_POPULATE_READ = 22;
/** Pages are to be there for stores. */
export const MADV_POPULATE_WRITE = 23;
/** As MADV_DONTNEED, for locked pages as well. */
export const MADV_DONTNEED_LOCKED = 24;
/** Pages are to become huge ones now. */
export const MADV_COLLAPSE = 25;
/** Pages become guards: an access ends in SIGSEGV. */
export const MADV_GUARD_INSTALL = 102;
/** Pages are no guards any more. */
export const MADV_GUARD_REMOVE = 103;

/** msync: the file is written later. */
export const MS_ASYNC = 1;
/** msync: other mappings see the file's bytes. */
export const MS_INVALIDATE = 2;
/** msync: the file is written before the call returns. */
export const MS_SYNC = 4;

/** mlock2: pages are locked when they are first touched. */
export const MLOCK_ONFAULT = 1;
/** mlockall: what is mapped now. */
export const MCL_CURRENT = 1;
/** mlockall: what will be mapped. */
export const MCL_FUTURE = 2;
/** mlockall: when it is first touched. */
export const MCL_ONFAULT = 4;
