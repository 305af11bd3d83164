/* The raw file of one process: records in shared mappings of it, so that all that was recorded is in the file however the
 * process ends (exit, _exit, exec, a signal, a crash). No descriptor stays open: shells and daemons close or reuse them. */
#include "recorder.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FIRST_WINDOW 2048UL /* records; each window has twice as many as the one before */
#define WINDOWS 32
#define PATH_BYTES 4096
#define MAX_FILES_A_PID 1000

/* In memory that a forked child sees as zeroes (MADV_WIPEONFORK): it opens a file of its own at its first record. */
struct log {
  atomic_uint lock;
  atomic_uint opening;
  atomic_uint opened; /* 1: yes, 2: it cannot be */
  uint32_t pid;
  struct head *head;
  _Atomic(struct record *) windows[WINDOWS];
  char path[PATH_BYTES];
};

static _Atomic(struct log *) log_memory;
static __thread __attribute__((tls_model("initial-exec"))) uint32_t thread_id, thread_pid;

static struct log *log_get(void) {
  struct log *log = atomic_load_explicit(&log_memory, memory_order_acquire);
  if (log) return log;
  log = mmap(NULL, sizeof *log, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (log == MAP_FAILED) return NULL;
  madvise(log, sizeof *log, MADV_WIPEONFORK);
  struct log *expected = NULL;
  if (atomic_compare_exchange_strong(&log_memory, &expected, log)) return log;
  munmap(log, sizeof *log);
  return expected;
}

static void spin_lock(atomic_uint *word) {
  for (int spins = 0; atomic_exchange_explicit(word, 1, memory_order_acquire); spins++)
    if (spins > 100) sched_yield();
}

static void spin_unlock(atomic_uint *word) { atomic_store_explicit(word, 0, memory_order_release); }

void lock(void) {
  struct log *log = log_get();
  if (log) spin_lock(&log->lock);
}

void unlock(void) {
  struct log *log = log_get();
  if (log) spin_unlock(&log->lock);
}

/* REFHEAP_NATIVE as the program was started with: the variable itself may be gone, or not there yet. */
static const char *prefix(void) {
  static char name[PATH_BYTES];
  static atomic_uint known;
  if (atomic_load(&known)) return name;
  static const char wanted[] = "REFHEAP_NATIVE=";
  int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
  size_t matched = 0, length = 0;
  int inside = 1; /* in a variable that may still be the wanted one */
  char piece[512];
  ssize_t got;
  while (fd >= 0 && (got = read(fd, piece, sizeof piece)) > 0) {
    for (ssize_t i = 0; i < got; i++) {
      if (matched == sizeof wanted - 1) {
        if (length < sizeof name - 1) name[length++] = piece[i];
        if (piece[i] == 0) goto done;
      } else if (piece[i] == 0) {
        inside = 1;
        matched = 0;
      } else if (inside && piece[i] == wanted[matched]) {
        matched++;
      } else {
        inside = 0;
      }
    }
  }
done:
  if (fd >= 0) close(fd);
  name[length] = 0;
  atomic_store(&known, 1);
  return name;
}

/* Maps `size` bytes of the file from `offset` on, which are there on disk afterwards. */
static void *map_part(const char *path, off_t offset, size_t size) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && (uint64_t)offset + size > limit.rlim_cur) return NULL;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return NULL;
  /* Without room on the disk a store to the mapping would be a SIGBUS. */
  void *part = MAP_FAILED;
  int error = fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
  if (error == EOPNOTSUPP) error = ftruncate(fd, offset + size) == 0 ? 0 : errno;
  if (error == 0) part = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  close(fd);
  return part == MAP_FAILED ? NULL : part;
}

static void open_log(struct log *log) {
  const char *name = prefix();
  uint32_t pid = getpid();
  int fd = -1;
  for (int number = 1; *name && fd < 0 && number < MAX_FILES_A_PID; number++) {
    /* A number behind the process: before an exec it was another program. */
    snprintf(log->path, PATH_BYTES, number == 1 ? "%s%u.raw" : "%s%u.%d.raw", name, pid, number);
    fd = open(log->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) break;
  }
  if (fd >= 0) close(fd);
  struct head *head = fd < 0 ? NULL : map_part(log->path, 0, PAGE);
  if (head) {
    memcpy(head->magic, "RHNATIVE", 8);
    head->version = 1;
    head->pid = pid;
    prctl(PR_GET_NAME, head->program, 0, 0, 0);
  }
  log->pid = pid;
  log->head = head;
  atomic_store_explicit(&log->opened, head ? 1 : 2, memory_order_release);
}

static struct log *log_ready(void) {
  struct log *log = log_get();
  if (!log) return NULL;
  if (!atomic_load_explicit(&log->opened, memory_order_acquire)) {
    int error = errno;
    spin_lock(&log->opening);
    if (!atomic_load(&log->opened)) open_log(log);
    spin_unlock(&log->opening);
    errno = error;
  }
  return atomic_load(&log->opened) == 1 ? log : NULL;
}

static struct record *window(struct log *log, unsigned index) {
  struct record *found = atomic_load_explicit(&log->windows[index], memory_order_acquire);
  if (found || log->head->stopped) return found;
  int error = errno;
  spin_lock(&log->opening);
  found = atomic_load(&log->windows[index]);
  if (!found) {
    size_t records = FIRST_WINDOW << index;
    off_t offset = PAGE + (off_t)(FIRST_WINDOW * ((1UL << index) - 1)) * (off_t)sizeof(struct record);
    found = map_part(log->path, offset, records * sizeof(struct record));
    if (found) atomic_store_explicit(&log->windows[index], found, memory_order_release);
    else log->head->stopped = 1;
  }
  spin_unlock(&log->opening);
  errno = error;
  return found;
}

void log_record(enum kind kind, const void *address, uint64_t size, uint64_t extra) {
  struct log *log = log_ready();
  if (!log) return;
  if (thread_pid != log->pid) {
    thread_pid = log->pid;
    thread_id = (uint32_t)gettid();
  }
  uint64_t index = __atomic_fetch_add(&log->head->records, 1, __ATOMIC_RELAXED);
  unsigned number = 63 - __builtin_clzl(index / FIRST_WINDOW + 1);
  struct record *records = number < WINDOWS ? window(log, number) : NULL;
  if (!records) return;
  struct record *record = &records[index - FIRST_WINDOW * ((1UL << number) - 1)];
  record->thread = thread_id;
  record->address = (uintptr_t)address;
  record->size = size;
  record->extra = extra;
  __atomic_store_n(&record->kind, (uint32_t)kind, __ATOMIC_RELEASE);
}

void log_unwatched(uint64_t pages) {
  struct log *log = log_ready();
  if (log) __atomic_fetch_add(&log->head->unwatched, pages, __ATOMIC_RELAXED);
}
