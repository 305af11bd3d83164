/* Calls that hand a buffer to the kernel: a page without access there would be EFAULT, not a fault. Each says beforehand what
 * the kernel will read or write; where the result says how much was filled, only that counts. */
#include "recorder.h"
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

/* A call that fills at most `size` bytes of `buffer` and answers how many. */
#define FILLS(type, name, parameters, buffer, size, arguments)                                                        \
  EXPORT type name parameters {                                                                                       \
    static type(*real) parameters;                                                                                    \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                                                        \
    fill_begin(buffer, size);                                                                                         \
    type result = real arguments;                                                                                     \
    fill_end(buffer, size, (ssize_t)result > 0 ? (size_t)result : 0);                                                 \
    return result;                                                                                                    \
  }

/* A call that reads (READ) or fills (WRITE) all of a buffer. */
#define USES(type, name, parameters, buffer, size, how, arguments)                                                    \
  EXPORT type name parameters {                                                                                       \
    static type(*real) parameters;                                                                                    \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                                                        \
    touch_range(buffer, size, how);                                                                                   \
    return real arguments;                                                                                            \
  }

FILLS(ssize_t, read, (int fd, void *buffer, size_t size), buffer, size, (fd, buffer, size))
FILLS(ssize_t, __read_chk, (int fd, void *buffer, size_t size, size_t room), buffer, size, (fd, buffer, size, room))
FILLS(ssize_t, pread, (int fd, void *buffer, size_t size, off_t at), buffer, size, (fd, buffer, size, at))
FILLS(ssize_t, pread64, (int fd, void *buffer, size_t size, off64_t at), buffer, size, (fd, buffer, size, at))
FILLS(ssize_t, __pread_chk, (int fd, void *buffer, size_t size, off_t at, size_t room), buffer, size, (fd, buffer, size, at, room))
FILLS(ssize_t, __pread64_chk, (int fd, void *buffer, size_t size, off64_t at, size_t room), buffer, size, (fd, buffer, size, at, room))
FILLS(ssize_t, recv, (int fd, void *buffer, size_t size, int flags), buffer, size, (fd, buffer, size, flags))
FILLS(ssize_t, __recv_chk, (int fd, void *buffer, size_t size, size_t room, int flags), buffer, size, (fd, buffer, size, room, flags))
FILLS(ssize_t, recvfrom, (int fd, void *buffer, size_t size, int flags, struct sockaddr *from, socklen_t *length), buffer, size, (fd, buffer, size, flags, from, length))
FILLS(ssize_t, readlink, (const char *path, char *buffer, size_t size), buffer, size, (path, buffer, size))
FILLS(ssize_t, readlinkat, (int fd, const char *path, char *buffer, size_t size), buffer, size, (fd, path, buffer, size))
FILLS(ssize_t, getrandom, (void *buffer, size_t size, unsigned flags), buffer, size, (buffer, size, flags))
FILLS(ssize_t, getdents64, (int fd, void *buffer, size_t size), buffer, size, (fd, buffer, size))
USES(char *, getcwd, (char *buffer, size_t size), buffer, buffer ? size : 0, WRITE, (buffer, size))
USES(int, getentropy, (void *buffer, size_t size), buffer, size, WRITE, (buffer, size))

USES(ssize_t, write, (int fd, const void *buffer, size_t size), buffer, size, READ, (fd, buffer, size))
USES(ssize_t, pwrite, (int fd, const void *buffer, size_t size, off_t at), buffer, size, READ, (fd, buffer, size, at))
USES(ssize_t, pwrite64, (int fd, const void *buffer, size_t size, off64_t at), buffer, size, READ, (fd, buffer, size, at))
USES(ssize_t, send, (int fd, const void *buffer, size_t size, int flags), buffer, size, READ, (fd, buffer, size, flags))
USES(ssize_t, sendto, (int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to, socklen_t length), buffer, size, READ, (fd, buffer, size, flags, to, length))

/* The stream functions read and write large pieces directly, in the C library's inside. */
#define FREADS(name, parameters, arguments)                                                                           \
  EXPORT size_t name parameters {                                                                                     \
    static size_t(*real) parameters;                                                                                  \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                                                        \
    fill_begin(buffer, size * count);                                                                                 \
    size_t result = real arguments;                                                                                   \
    fill_end(buffer, size * count, size * result);                                                                    \
    return result;                                                                                                    \
  }
/* The headers make macros of some where they optimise. */
#undef fread_unlocked
#undef fwrite_unlocked
FREADS(fread, (void *buffer, size_t size, size_t count, FILE *file), (buffer, size, count, file))
FREADS(fread_unlocked, (void *buffer, size_t size, size_t count, FILE *file), (buffer, size, count, file))
FREADS(__fread_chk, (void *buffer, size_t room, size_t size, size_t count, FILE *file), (buffer, room, size, count, file))
FREADS(__fread_unlocked_chk, (void *buffer, size_t room, size_t size, size_t count, FILE *file), (buffer, room, size, count, file))
USES(size_t, fwrite, (const void *buffer, size_t size, size_t count, FILE *file), buffer, size * count, READ, (buffer, size, count, file))
USES(size_t, fwrite_unlocked, (const void *buffer, size_t size, size_t count, FILE *file), buffer, size * count, READ, (buffer, size, count, file))
USES(int, setvbuf, (FILE *file, char *buffer, int mode, size_t size), buffer, buffer ? size : 0, WRITE, (file, buffer, mode, size))
USES(void, setbuf, (FILE *file, char *buffer), buffer, buffer ? BUFSIZ : 0, WRITE, (file, buffer))
USES(void, setbuffer, (FILE *file, char *buffer, size_t size), buffer, buffer ? size : 0, WRITE, (file, buffer, size))

static void touch_pieces(const struct iovec *pieces, int count, enum kind how) {
  touch_range(pieces, count > 0 ? (size_t)count * sizeof *pieces : 0, READ);
  for (int i = 0; i < count; i++) touch_range(pieces[i].iov_base, pieces[i].iov_len, how);
}
#define PIECES(name, parameters, pieces, count, how, arguments)                                                       \
  EXPORT ssize_t name parameters {                                                                                    \
    static ssize_t(*real) parameters;                                                                                 \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                                                        \
    touch_pieces(pieces, count, how);                                                                                 \
    return real arguments;                                                                                            \
  }
PIECES(readv, (int fd, const struct iovec *pieces, int count), pieces, count, WRITE, (fd, pieces, count))
PIECES(preadv, (int fd, const struct iovec *pieces, int count, off_t at), pieces, count, WRITE, (fd, pieces, count, at))
PIECES(preadv64, (int fd, const struct iovec *pieces, int count, off64_t at), pieces, count, WRITE, (fd, pieces, count, at))
PIECES(writev, (int fd, const struct iovec *pieces, int count), pieces, count, READ, (fd, pieces, count))
PIECES(pwritev, (int fd, const struct iovec *pieces, int count, off_t at), pieces, count, READ, (fd, pieces, count, at))
PIECES(pwritev64, (int fd, const struct iovec *pieces, int count, off64_t at), pieces, count, READ, (fd, pieces, count, at))
PIECES(recvmsg, (int fd, struct msghdr *message, int flags), message->msg_iov, (int)message->msg_iovlen, WRITE, (fd, message, flags))
PIECES(sendmsg, (int fd, const struct msghdr *message, int flags), message->msg_iov, (int)message->msg_iovlen, READ, (fd, message, flags))

USES(int, stat, (const char *path, struct stat *status), status, sizeof *status, WRITE, (path, status))
USES(int, lstat, (const char *path, struct stat *status), status, sizeof *status, WRITE, (path, status))
USES(int, fstat, (int fd, struct stat *status), status, sizeof *status, WRITE, (fd, status))
USES(int, fstatat, (int fd, const char *path, struct stat *status, int flags), status, sizeof *status, WRITE, (fd, path, status, flags))
USES(int, stat64, (const char *path, struct stat64 *status), status, sizeof *status, WRITE, (path, status))
USES(int, lstat64, (const char *path, struct stat64 *status), status, sizeof *status, WRITE, (path, status))
USES(int, fstat64, (int fd, struct stat64 *status), status, sizeof *status, WRITE, (fd, status))
USES(int, fstatat64, (int fd, const char *path, struct stat64 *status, int flags), status, sizeof *status, WRITE, (fd, path, status, flags))
USES(int, __xstat, (int version, const char *path, struct stat *status), status, sizeof *status, WRITE, (version, path, status))
USES(int, __lxstat, (int version, const char *path, struct stat *status), status, sizeof *status, WRITE, (version, path, status))
USES(int, __fxstat, (int version, int fd, struct stat *status), status, sizeof *status, WRITE, (version, fd, status))
USES(int, __fxstatat, (int version, int fd, const char *path, struct stat *status, int flags), status, sizeof *status, WRITE, (version, fd, path, status, flags))
USES(int, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *status), status, sizeof *status, WRITE, (fd, path, flags, mask, status))
USES(int, poll, (struct pollfd *fds, nfds_t count, int timeout), fds, count * sizeof *fds, WRITE, (fds, count, timeout))
USES(int, epoll_wait, (int fd, struct epoll_event *events, int count, int timeout), events, count > 0 ? (size_t)count * sizeof *events : 0, WRITE, (fd, events, count, timeout))
USES(int, getcontext, (ucontext_t *context), context, sizeof *context, WRITE, (context))

EXPORT int ioctl(int fd, unsigned long request, ...) {
  static int (*real)(int, unsigned long, void *);
  if (!real) real = dlsym(RTLD_NEXT, "ioctl");
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  /* Its size is in the request, for those that have one. */
  size_t size = _IOC_SIZE(request);
  touch_range(argument, size ? size : PAGE, WRITE);
  return real(fd, request, argument);
}

/* Calls by number: those that are known to hand a buffer over. Arguments that a call does not have are noise. */
EXPORT long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (!real) real = dlsym(RTLD_NEXT, "syscall");
  va_list rest;
  long a[6];
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_read || number == SYS_pread64 || number == SYS_getdents64) touch_range((void *)a[1], a[2], WRITE);
  else if (number == SYS_write || number == SYS_pwrite64) touch_range((void *)a[1], a[2], READ);
  else if (number == SYS_getrandom) touch_range((void *)a[0], a[1], WRITE);
  else if (number == SYS_statx) touch_range((void *)a[4], sizeof(struct statx), WRITE);
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
