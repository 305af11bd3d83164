// Flags of a virtual memory area, by Linux's names and, where they fit in 31 bits, its values (include/linux/mm.h).
// The rules that set and clear them are in the files of the calls.
import type { AreaFlags } from "../../hardware/integers.ts";

/** It may be read. */
export const VM_READ = 0x1;
/** It may be written. */
export const VM_WRITE = 0x2;
/** It may be run. */
export const VM_EXEC = 0x4;
/** Stores are seen by all who map the file. */
export const VM_SHARED = 0x8;
/** mprotect may make it readable. */
export const VM_MAYREAD = 0x10;
/** mprotect may make it writable. */
export const VM_MAYWRITE = 0x20;
/** mprotect may make it executable. */
export const VM_MAYEXEC = 0x40;
/** It may be shared. */
export const VM_MAYSHARE = 0x80;
/** A stack: it grows downwards. */
export const VM_GROWSDOWN = 0x100;
/** Missing pages are handed to a userfaultfd. */
export const VM_UFFD_MISSING = 0x200;
/** The area may hold guard markers (smaps "gu"). */
export const VM_MAYBE_GUARD = 0x800;
/** Its pages stay in RAM. */
export const VM_LOCKED = 0x2000;
/** madvise said MADV_SEQUENTIAL. */
export const VM_SEQ_READ = 0x8000;
/** madvise said MADV_RANDOM. */
export const VM_RAND_READ = 0x10000;
/** A child does not have it. */
export const VM_DONTCOPY = 0x20000;
/** Its pages are locked when they are first touched. */
export const VM_LOCKONFAULT = 0x80000;
/** Its pages are counted as promised. */
export const VM_ACCOUNT = 0x100000;
/** Its pages are not counted as promised. */
export const VM_NORESERVE = 0x200000;
/** MAP_SYNC was asked for: remembered and shown, without effect on memory. */
export const VM_SYNC = 0x800000;
/** arm64 VM_MTE_ALLOWED: the area may be given PROT_MTE (Linux keeps it in a high bit). */
export const VM_MTE_ALLOWED = 0x1000000;
/** A child finds it fresh. */
export const VM_WIPEONFORK = 0x2000000;
/** It is not in a core file. */
export const VM_DONTDUMP = 0x4000000;
/** MAP_DROPPABLE (Linux keeps it in a high bit). */
export const VM_DROPPABLE = 0x8000000;
/** arm64 VM_MTE: the area's memory has tags (Linux keeps it in a high bit). */
export const VM_MTE = 0x10000000;
/** MADV_HUGEPAGE and MADV_NOHUGEPAGE. */
export const VM_HUGEPAGE = 0x20000000;
/** It gets no huge pages. */
export const VM_NOHUGEPAGE = 0x40000000;

/** The three bits of protection. */
export const VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC;
/** The two bits of locking. */
export const VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT;
/** Flags in which two areas may differ and still become one; the merged area has them if either had (Linux VM_STICKY). */
export const VM_STICKY = VM_MAYBE_GUARD;

/** Whether a store to the area copies pages (is_cow_mapping in mm/internal.h). */
export function isCowMapping(flags: AreaFlags): boolean {
  return (flags & (VM_SHARED | VM_MAYWRITE)) === VM_MAYWRITE;
}

/** Whether the area counts against RLIMIT_DATA (is_data_mapping in mm/vma.h). */
export function isDataMapping(flags: AreaFlags): boolean {
  return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) === VM_WRITE;
}
