// The numbers that programs hand to Linux's calls, held against what a C compiler says of the headers of Linux 6.18 (include/uapi) and
// glibc: a program that has them as plain numbers must mean the same. What the numbers do is in the tests of the calls.
import { expect, test } from "vitest";
import * as fcntl from "../../../../platform/kernel/abi/fcntl.ts";
import * as mman from "../../../../platform/kernel/abi/mman.ts";
import * as prctl from "../../../../platform/kernel/abi/prctl.ts";
import * as rlimit from "../../../../platform/kernel/abi/rlimit.ts";

/** The numbers among a module's exports. */
function numbersOf(module: object): Record<string, number> {
  return Object.fromEntries(
    Object.entries(module).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

test("fcntl.ts", () => {
  expect(numbersOf(fcntl)).toEqual({
    MFD_CLOEXEC: 1,
    MFD_ALLOW_SEALING: 2,
    MFD_NOEXEC_SEAL: 8,
    MFD_EXEC: 16,
    F_DUPFD: 0,
    F_GETFD: 1,
    F_SETFD: 2,
    F_GETFL: 3,
    F_SETFL: 4,
    F_DUPFD_CLOEXEC: 1030,
    F_ADD_SEALS: 1033,
    F_GET_SEALS: 1034,
    FD_CLOEXEC: 1,
    F_SEAL_SEAL: 1,
    F_SEAL_SHRINK: 2,
    F_SEAL_GROW: 4,
    F_SEAL_WRITE: 8,
    F_SEAL_FUTURE_WRITE: 16,
    F_SEAL_EXEC: 32,
    SEEK_SET: 0,
    SEEK_CUR: 1,
    SEEK_END: 2,
    SEEK_DATA: 3,
    SEEK_HOLE: 4,
    POLLIN: 1,
    POLLOUT: 4,
    POLLERR: 8,
    POLLHUP: 16,
    POLLNVAL: 32,
    POLLRDNORM: 64,
    POLLWRNORM: 0x100,
    FIONREAD: 0x541b,
    FIONBIO: 0x5421,
    FIONCLEX: 0x5450,
    FIOCLEX: 0x5451,
  });
});

test("mman.ts", () => {
  expect(numbersOf(mman)).toEqual({
    PROT_NONE: 0,
    PROT_READ: 1,
    PROT_WRITE: 2,
    PROT_EXEC: 4,
    PROT_SEM: 8,
    PROT_MTE: 32,
    PROT_GROWSDOWN: 0x1000000,
    PROT_GROWSUP: 0x2000000,
    MAP_SHARED: 1,
    MAP_PRIVATE: 2,
    MAP_SHARED_VALIDATE: 3,
    MAP_DROPPABLE: 8,
    MAP_TYPE: 15,
    MAP_FIXED: 16,
    MAP_ANONYMOUS: 32,
    MAP_GROWSDOWN: 0x100,
    MAP_LOCKED: 0x2000,
    MAP_NORESERVE: 0x4000,
    MAP_POPULATE: 0x8000,
    MAP_NONBLOCK: 0x10000,
    MAP_STACK: 0x20000,
    MAP_HUGETLB: 0x40000,
    MAP_SYNC: 0x80000,
    MAP_FIXED_NOREPLACE: 0x100000,
    MREMAP_MAYMOVE: 1,
    MREMAP_FIXED: 2,
    MREMAP_DONTUNMAP: 4,
    MADV_NORMAL: 0,
    MADV_RANDOM: 1,
    MADV_SEQUENTIAL: 2,
    MADV_WILLNEED: 3,
    MADV_DONTNEED: 4,
    MADV_FREE: 8,
    MADV_REMOVE: 9,
    MADV_DONTFORK: 10,
    MADV_DOFORK: 11,
    MADV_HUGEPAGE: 14,
    MADV_NOHUGEPAGE: 15,
    MADV_DONTDUMP: 16,
    MADV_DODUMP: 17,
    MADV_WIPEONFORK: 18,
    MADV_KEEPONFORK: 19,
    MADV_COLD: 20,
    MADV_PAGEOUT: 21,
    MADV_POPULATE_READ: 22,
    MADV_POPULATE_WRITE: 23,
    MADV_DONTNEED_LOCKED: 24,
    MADV_COLLAPSE: 25,
    MADV_GUARD_INSTALL: 102,
    MADV_GUARD_REMOVE: 103,
    MS_ASYNC: 1,
    MS_INVALIDATE: 2,
    MS_SYNC: 4,
    MLOCK_ONFAULT: 1,
    MCL_CURRENT: 1,
    MCL_FUTURE: 2,
    MCL_ONFAULT: 4,
  });
});

test("prctl.ts", () => {
  expect(numbersOf(prctl)).toEqual({
    PR_SET_THP_DISABLE: 41,
    PR_GET_THP_DISABLE: 42,
    PR_THP_DISABLE_EXCEPT_ADVISED: 2,
    PR_SET_TAGGED_ADDR_CTRL: 55,
    PR_GET_TAGGED_ADDR_CTRL: 56,
    PR_TAGGED_ADDR_ENABLE: 1,
    PR_MTE_TCF_SYNC: 2,
    PR_MTE_TCF_ASYNC: 4,
    PR_MTE_TAG_SHIFT: 3,
  });
});

test("rlimit.ts", () => {
  expect(numbersOf(rlimit)).toEqual({
    RLIMIT_DATA: 2,
    RLIMIT_STACK: 3,
    RLIMIT_NOFILE: 7,
    RLIMIT_MEMLOCK: 8,
    RLIMIT_AS: 9,
  });
});
