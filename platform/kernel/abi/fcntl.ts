// Constants of Linux's calls on files, by their own names and values (asm-generic/fcntl.h, linux/memfd.h, poll.h, ioctls.h).
// Nothing but numbers; the flags of open that a file keeps are in ../mm/file.ts.

/** memfd_create(2) flags. */
export const MFD_CLOEXEC = 1;
/** memfd_create: seals may be added. */
export const MFD_ALLOW_SEALING = 2;
/** memfd_create: not executable, and sealed so. */
export const MFD_NOEXEC_SEAL = 8;
/** memfd_create: executable. */
export const MFD_EXEC = 16;

/** fcntl(2) commands and flags. */
export const F_DUPFD = 0;
/** fcntl: the descriptor's flags. */
export const F_GETFD = 1;
/** fcntl: sets the descriptor's flags. */
export const F_SETFD = 2;
/** fcntl: the open file's flags. */
export const F_GETFL = 3;
/** fcntl: sets the open file's flags. */
export const F_SETFL = 4;
/** fcntl: another descriptor for the same open file, closed by exec. */
export const F_DUPFD_CLOEXEC = 1030;
/** fcntl: forbids what a memfd may still have done to it. */
export const F_ADD_SEALS = 1033;
/** fcntl: what is forbidden. */
export const F_GET_SEALS = 1034;
/** The descriptor is closed by exec. */
export const FD_CLOEXEC = 1;

/** What a file's seals forbid: more seals, a shorter file, a longer one, any write, new ways to write, permission to execute. */
export const F_SEAL_SEAL = 1;
/** It cannot become smaller. */
export const F_SEAL_SHRINK = 2;
/** It cannot become larger. */
export const F_SEAL_GROW = 4;
/** It cannot be written. */
export const F_SEAL_WRITE = 8;
/** It cannot be written, but through mappings that there are. */
export const F_SEAL_FUTURE_WRITE = 16;
/** Its mode cannot be made executable, or not any more. */
export const F_SEAL_EXEC = 32;

/** lseek: from the begin. */
export const SEEK_SET = 0;
/** lseek: from the position. */
export const SEEK_CUR = 1;
/** lseek: from the end. */
export const SEEK_END = 2;
/** To the next byte that a page holds, or that none does. */
export const SEEK_DATA = 3;
/** lseek: to the next hole. */
export const SEEK_HOLE = 4;

/** poll(2) events. */
export const POLLIN = 1;
/** poll: it can be written. */
export const POLLOUT = 4;
/** poll: there was an error. */
export const POLLERR = 8;
/** poll: the other end is closed. */
export const POLLHUP = 0x10;
/** poll: the descriptor is not open. */
export const POLLNVAL = 0x20;
/** poll: as POLLIN. */
export const POLLRDNORM = 0x40;
/** poll: as POLLOUT. */
export const POLLWRNORM = 0x100;

/** ioctl(2) requests that every file knows. */
export const FIONREAD = 0x541b;
/** ioctl: whether calls wait. */
export const FIONBIO = 0x5421;
/** ioctl: the descriptor stays open over exec. */
export const FIONCLEX = 0x5450;
/** ioctl: the descriptor is closed by exec. */
export const FIOCLEX = 0x5451;
