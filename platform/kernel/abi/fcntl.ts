// Constants of Linux's calls on files, by their own names and values (asm-generic/fcntl.h, linux/memfd.h, poll.h, ioctls.h).
// Nothing but numbers; the flags of open that a file keeps are in ../mm/file.ts.

/** memfd_create(2) flags. */
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_NOEXEC_SEAL = 8;
export const MFD_EXEC = 16;

/** fcntl(2) commands and flags. */
export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const FD_CLOEXEC = 1;

/** What a file's seals forbid: more seals, a shorter file, a longer one, any write, new ways to write, permission to execute. */
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;
export const F_SEAL_FUTURE_WRITE = 16;
export const F_SEAL_EXEC = 32;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
/** To the next byte that a page holds, or that none does. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** poll(2) events. */
export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;
export const POLLRDNORM = 0x40;
export const POLLWRNORM = 0x100;

/** ioctl(2) requests that every file knows. */
export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
