// Replays a sequence of allocator calls natively, for `npm run bench -- malloc`: any allocator that LD_PRELOAD puts in malloc's place.
// Usage: driver SETUP ROUND SLOTS CALLOC REPEATS; the files hold pairs of 32-bit numbers (workloads.ts). Each line on stdin is a
// round, answered by its nanoseconds an operation; the first answer is the resident bytes that the set-up added.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct op {
  int32_t slot, size;
};

struct sequence {
  const struct op *ops;
  size_t count;
};

static struct sequence read_sequence(const char *path) {
  int fd = open(path, O_RDONLY);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) exit(1);
  struct sequence sequence = {NULL, status.st_size / sizeof(struct op)};
  if (status.st_size == 0) return sequence;
  void *ops = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (ops == MAP_FAILED) exit(1);
  sequence.ops = ops;
  return sequence;
}

static void replay(struct sequence sequence, void **slots, int zeroed) {
  for (size_t i = 0; i < sequence.count; i++) {
    struct op op = sequence.ops[i];
    if (op.size > 0) slots[op.slot] = zeroed ? calloc(1, op.size) : malloc(op.size);
    else if (op.size == 0) free(slots[op.slot]);
    else slots[op.slot] = realloc(slots[op.slot], -(int64_t)op.size);
  }
}

static long resident_bytes(void) {
  char text[64] = "";
  int fd = open("/proc/self/statm", O_RDONLY);
  if (read(fd, text, sizeof text - 1) <= 0) exit(1);
  close(fd);
  char *rest;
  strtol(text, &rest, 10);
  return strtol(rest, NULL, 10) * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  struct sequence setup = read_sequence(argv[1]), round = read_sequence(argv[2]);
  int zeroed = atoi(argv[4]), repeats = atoi(argv[5]);
  size_t bytes = (atol(argv[3]) + 1) * sizeof(void *);
  void **slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (slots == MAP_FAILED) return 1;
  long before = resident_bytes();
  replay(setup, slots, zeroed);
  printf("%ld\n", resident_bytes() - before);
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof line, stdin) != NULL) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < repeats; i++) replay(round, slots, zeroed);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double nanoseconds = (end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec);
    printf("%.4f\n", nanoseconds / ((double)round.count * repeats));
    fflush(stdout);
  }
  return 0;
}
