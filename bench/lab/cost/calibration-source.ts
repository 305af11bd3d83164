// The C program of `refheap calibrate`: it times the events of the cost model on the machine that it runs on.
// It prints one line a constant: name, median, 5th and 95th percentile in nanoseconds, and how it was found; then one line
// a check (calibration-checks.ts): "check", the program's name, and the same three times.

export const CALIBRATION_SOURCE = String.raw`
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#endif

enum { ROUNDS = 41, PAGES = 1000, CALLS = 2000, MESSAGES = 200 };
static const size_t PAGE = 4096;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median, low, high;

static void summarise(double *samples) {
  qsort(samples, ROUNDS, sizeof *samples, ascending);
  median = samples[ROUNDS / 2];
  low = samples[ROUNDS / 20];
  high = samples[ROUNDS - 1 - ROUNDS / 20];
}

static void print(const char *name, double share, const char *how) {
  double floor = 0;
  printf("%s\t%.6g\t%.6g\t%.6g\t%s\n", name, median > share ? median - share : floor,
         low > share ? low - share : floor, high > share ? high - share : floor, how);
}

static void *map(size_t length) {
  void *p = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
#ifdef MADV_NOHUGEPAGE
  madvise(p, length, MADV_NOHUGEPAGE);
#endif
  return p;
}

/* Blocks of HUGE bytes at a multiple of it, that the kernel may map by huge pages. */
enum { BLOCKS = 16 };
static const size_t HUGE = 2 << 20;
static unsigned char *map_huge(void) {
  unsigned char *p = mmap(0, (BLOCKS + 1) * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  p = (unsigned char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
#ifdef MADV_HUGEPAGE
  madvise(p, BLOCKS * HUGE, MADV_HUGEPAGE);
#endif
  return p;
}

static long minor_faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

static volatile unsigned char sink;

/* Fills "samples" with the time of a step over PAGES fresh pages, divided by them. */
typedef void (*Step)(volatile unsigned char *p);
static void read_pages(volatile unsigned char *p) { for (int i = 0; i < PAGES; i++) sink += p[i * PAGE]; }
static void write_pages(volatile unsigned char *p) { for (int i = 0; i < PAGES; i++) p[i * PAGE] = 1; }

static void time_pages(double *samples, Step before, Step step) {
  for (int round = 0; round < ROUNDS; round++) {
    volatile unsigned char *p = map(PAGES * PAGE);
    if (before) before(p);
    double start = now();
    step(p);
    samples[round] = (now() - start) / PAGES;
    munmap((void *)p, PAGES * PAGE);
  }
}

static void time_unmap(double *samples, Step before) {
  for (int round = 0; round < ROUNDS; round++) {
    volatile unsigned char *p = map(PAGES * PAGE);
    if (before) before(p);
    double start = now();
    munmap((void *)p, PAGES * PAGE);
    samples[round] = now() - start;
  }
}

/* Nanoseconds a byte of filling a buffer that is resident. */
static void time_fill(double *samples, size_t length, int times) {
  unsigned char *p = map(length);
  memset(p, 1, length);
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (int i = 0; i < times; i++) {
      memset(p, i, length);
      __asm__ volatile("" : : "r"(p) : "memory");
    }
    samples[round] = (now() - start) / times / length;
  }
  munmap(p, length);
}

static void time_copy(double *samples, size_t length) {
  unsigned char *p = map(2 * length);
  memset(p, 1, 2 * length);
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (int i = 0; i < 64; i++) {
      memcpy(p, p + length, length);
      __asm__ volatile("" : : "r"(p) : "memory");
    }
    samples[round] = (now() - start) / 64 / length;
  }
  munmap(p, 2 * length);
}

/* A whole program, timed to be held against the sum of its events: map, touch, unmap. */
static void check(const char *name, int loads, int stride, int fills) {
  double samples[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    unsigned char *p = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    double mapped = now();
#ifdef MADV_NOHUGEPAGE
    madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
#endif
    double advised = now();
    if (loads) read_pages(p);
    for (int i = 0; stride && i < PAGES; i += stride) ((volatile unsigned char *)p)[i * PAGE] = 1;
    if (fills) memset(p, 2, PAGES * PAGE);
    __asm__ volatile("" : : "r"(p) : "memory");
    munmap(p, PAGES * PAGE);
    samples[round] = now() - advised + mapped - start;
  }
  summarise(samples);
  printf("check\t%s\t%.6g\t%.6g\t%.6g\n", name, median, low, high);
}

static int pipes[2][2];

static void *echo(void *unused) {
  char c;
  (void)unused;
  while (read(pipes[0][0], &c, 1) == 1 && c) if (write(pipes[1][1], &c, 1) != 1) break;
  return 0;
}

static void time_pipe(double *samples) {
  pthread_t thread;
  char c = 1;
  if (pipe(pipes[0]) || pipe(pipes[1]) || pthread_create(&thread, 0, echo, 0)) exit(1);
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (int i = 0; i < MESSAGES; i++) if (write(pipes[0][1], &c, 1) != 1 || read(pipes[1][0], &c, 1) != 1) exit(1);
    samples[round] = (now() - start) / MESSAGES;
  }
  c = 0;
  if (write(pipes[0][1], &c, 1) == 1) pthread_join(thread, 0);
}

#if defined(__linux__) && defined(SYS_userfaultfd)
static int uffd;
static unsigned char *source;

static void *handler(void *unused) {
  (void)unused;
  for (;;) {
    struct uffd_msg message;
    if (read(uffd, &message, sizeof message) != sizeof message) return 0;
    struct uffdio_copy copy = {.dst = message.arg.pagefault.address & ~(PAGE - 1), .src = (uintptr_t)source, .len = PAGE};
    if (ioctl(uffd, UFFDIO_COPY, &copy)) return 0;
  }
}

static int time_userfaultfd(double *samples) {
  struct uffdio_api api = {.api = UFFD_API};
  pthread_t thread;
  uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) return 0;
  source = map(PAGE);
  memset(source, 0xab, PAGE);
  if (pthread_create(&thread, 0, handler, 0)) return 0;
  for (int round = 0; round < ROUNDS; round++) {
    volatile unsigned char *p = map(MESSAGES * PAGE);
    struct uffdio_register area = {.range = {(uintptr_t)p, MESSAGES * PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(uffd, UFFDIO_REGISTER, &area)) return 0;
    double start = now();
    for (int i = 0; i < MESSAGES; i++) p[i * PAGE] = 1;
    samples[round] = (now() - start) / MESSAGES;
    munmap((void *)p, MESSAGES * PAGE);
  }
  return 1;
}
#else
static int time_userfaultfd(double *samples) { (void)samples; return 0; }
#endif

/*
 * First stores to, or first loads of, blocks of 2 MiB, in nanoseconds a block. Returns 0 if the pages that came were small, which
 * shows in a second access: a page that the first one did not map takes a fault.
 */
static int time_huge(double *samples, int store, int unmapping) {
  for (int round = 0; round < ROUNDS; round++) {
    unsigned char *p = map_huge();
    volatile unsigned char *q = p;
    double start = now();
    if (store) for (int i = 0; i < BLOCKS; i++) q[i * HUGE] = 1;
    else if (!unmapping) for (int i = 0; i < BLOCKS; i++) sink += q[i * HUGE];
    double touched = now();
    if (!unmapping || store) {
      long before = minor_faults();
      for (int i = 0; i < BLOCKS; i++) sink += q[i * HUGE + HUGE / 2];
      if (minor_faults() - before >= BLOCKS) return 0;
    }
    double unmaps = now();
    munmap(p, BLOCKS * HUGE);
    samples[round] = (unmapping ? now() - unmaps : touched - start) / BLOCKS;
  }
  return 1;
}

static void print_assumed(const char *name, double value, const char *how) {
  median = value;
  low = value / 2;
  high = value * 4;
  print(name, 0, how);
}

/* fault: of a small page, nanoseconds; byte: of memset. */
static void huge_pages(double write_fault, double read_fault, double byte, double zap) {
  double samples[ROUNDS];
  if (!time_huge(samples, 1, 0)) {
    fprintf(stderr, "huge pages are off here (/sys/kernel/mm/transparent_hugepage/enabled): their constants are assumed\n");
    print_assumed("hugeWriteFault", write_fault, "assumed: as a write fault; this machine gave no huge page");
    print_assumed("hugeReadFault", read_fault, "assumed: as a read fault; this machine gave no huge page");
    print_assumed("hugeByte", byte, "assumed: as memset; this machine gave no huge page");
    print_assumed("zappedHugePage", zap, "assumed: as a small page; this machine gave no huge page");
    return;
  }
  summarise(samples);
  median /= HUGE;
  low /= HUGE;
  high /= HUGE;
  print("hugeByte", write_fault / HUGE, "measured: first store to 2 MiB that MADV_HUGEPAGE was given for, less a small write fault");
  print_assumed("hugeWriteFault", write_fault, "assumed: as a small write fault, which hugeByte leaves out");
  if (time_huge(samples, 0, 0)) {
    summarise(samples);
    print("hugeReadFault", 0, "measured: first load of 2 MiB that MADV_HUGEPAGE was given for");
  } else print_assumed("hugeReadFault", read_fault, "assumed: as a read fault; use_zero_page is off here");
  if (!time_huge(samples, 0, 1)) exit(1);
  summarise(samples);
  double untouched = median;
  if (!time_huge(samples, 1, 1)) exit(1);
  summarise(samples);
  print("zappedHugePage", untouched, "measured: munmap of touched huge pages less untouched");
}

static long cache_bytes(void) {
  long bytes = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (bytes <= 0) bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  return bytes > 0 ? bytes : 2 << 20;
}

int main(void) {
  double samples[ROUNDS];
  long cache = cache_bytes();
  printf("cacheBytes\t%ld\n", cache);

  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (int i = 0; i < CALLS; i++) syscall(SYS_getppid);
    samples[round] = (now() - start) / CALLS;
  }
  summarise(samples);
  print("systemCall", 0, "measured: getppid");

  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (int i = 0; i < CALLS; i++) {
      void *p = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      munmap(p, PAGES * PAGE);
    }
    samples[round] = (now() - start) / CALLS / 2;
  }
  summarise(samples);
  print("mapCall", 0, "measured: half of mmap and munmap, untouched");

  time_fill(samples, 64 * PAGE, 64);
  summarise(samples);
  print("userByte", 0, "measured: memset of 256 KiB");
  double byte = median;
  print("kernelByte", 0, "measured: as memset of 256 KiB");
  time_copy(samples, 64 * PAGE);
  summarise(samples);
  print("copiedByte", 0, "measured: memcpy of 256 KiB");
  size_t beyond = (size_t)cache * 4;
  time_fill(samples, beyond < (64u << 20) ? (64u << 20) : beyond > (256u << 20) ? (256u << 20) : beyond, 1);
  summarise(samples);
  print("coldByte", byte, "measured: memset beyond the cache less memset within");

  time_pages(samples, 0, write_pages);
  summarise(samples);
  double fault = median;
  print("writeFault", byte * PAGE, "measured: first store to 1000 pages, less a page of memset");
  time_pages(samples, 0, read_pages);
  summarise(samples);
  double read_fault = median;
  print("readFault", 0, "measured: first load of 1000 pages");
  time_pages(samples, read_pages, write_pages);
  summarise(samples);
  print("writeProtectFault", byte * PAGE, "measured: store after load of 1000 pages, less a page of memset");
  time_unmap(samples, 0);
  summarise(samples);
  double untouched = median;
  time_unmap(samples, write_pages);
  summarise(samples);
  median = (median - untouched) / PAGES;
  low = (low - untouched) / PAGES;
  high = (high - untouched) / PAGES;
  print("zappedPage", 0, "measured: munmap of 1000 touched pages less untouched");
  huge_pages(fault - byte * PAGE, read_fault, byte, median);

  if (time_userfaultfd(samples)) {
    summarise(samples);
    print("messageRoundTrip", fault, "measured: first store with a userfaultfd handler, less one without");
  } else {
    time_pipe(samples);
    summarise(samples);
    print("messageRoundTrip", 0, "measured: a byte to another thread and back by pipes; userfaultfd is not permitted here");
  }

  check("a store to one page", 0, PAGES, 0);
  check("a store to every fourth page", 0, 4, 0);
  check("a store to every page", 0, 1, 0);
  check("memset of all", 0, 0, 1);
  check("a load of every page, a store to half", 1, 2, 0);
  return 0;
}
`;
