// The techniques of techniques-free.ts and techniques-memory.ts as a C program: argv[1] names one, argv[2] is the seed. Exit status
// 0: works, 1: harmless, 3: no such technique here. A report or fault ends the process by a signal: detected.
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKS 0
#define HARMLESS 1
#define LARGE 200000
#define SIZE 48
#define STRIDE 64

typedef volatile unsigned char byte;

static unsigned state;
static unsigned below(unsigned bound) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % bound;
}

// Hides from the compiler what it would rather not run.
static void *hidden(void *p) {
  __asm__ volatile("" : "+r"(p));
  return p;
}
static char *get(size_t size) { return hidden(malloc(size)); }
static void end(void *p) { free(hidden(p)); }

static char *chunks[256];
static void take(size_t size, int count) {
  for (int i = 0; i < count; i++) memset(chunks[i] = get(size), 0x5a, size);
}
static char *before(int count, long stride) {
  for (int i = 0; i < count; i++)
    for (int j = 0; j < count; j++)
      if (chunks[j] == chunks[i] + stride) return chunks[i];
  exit(HARMLESS);
}
static void end_all(int count) {
  for (int i = 0; i < count; i++) end(chunks[i]);
}
static char *again(char *wanted, size_t size, int most) {
  for (int i = 0; i < most; i++) {
    char *p = get(size);
    if (p == wanted) return p;
  }
  return 0;
}
// CRC32-C over 64 bits without inversion.
static uint32_t crc(uint32_t sum, uint64_t value) {
  for (int i = 0; i < 64; i++) {
    uint32_t bit = (sum ^ (uint32_t)(value >> i)) & 1;
    sum = (sum >> 1) ^ (bit ? 0x82f63b78u : 0);
  }
  return sum;
}
static unsigned folded(uint64_t header) {
  uint32_t sum = crc(0, header);
  return (sum ^ (sum >> 16)) & 0xffff;
}
static void forge(char *p, uint64_t header) {
  uint64_t old;
  memcpy(&old, p - 16, 8);
  uint64_t bare = old & 0xffffffffffffull;
  uint64_t sum = (old >> 48) ^ folded(bare) ^ folded(header);
  header |= sum << 48;
  memcpy(p - 16, &header, 8);
}

static int is(const char *name, const char *other) { return strcmp(name, other) == 0; }

int main(int argc, char **argv) {
  if (argc < 3) return 3;
  const char *name = argv[1];
  state = (unsigned)atoi(argv[2]) * 2654435761u + 1;
  char *p, *q;
  uint64_t header;
  if (is(name, "double free")) { p = get(64); end(p); end(p); return WORKS; }
  if (is(name, "double free, another between")) { take(64, 2); end(chunks[0]); end(chunks[1]); end(chunks[0]); return WORKS; }
  if (is(name, "double free, large")) { p = get(LARGE); end(p); end(p); return WORKS; }
  if (is(name, "double free after reuse")) { p = get(64); end(p); if (!again(p, 64, 4000)) return HARMLESS; end(p); return WORKS; }
  if (is(name, "free after realloc(p, 0)")) { p = get(64); hidden(realloc(hidden(p), 0)); end(p); return WORKS; }
  if (is(name, "header replay")) { p = get(64); memcpy(&header, p - 16, 8); end(p); memcpy(p - 16, &header, 8); end(p); return WORKS; }
  if (is(name, "interior free")) { p = get(256); for (int i = 0; i < 8; i++) p[48 + i] = below(256); end(p + 64); return WORKS; }
  if (is(name, "misaligned free")) { end(get(256) + 8); return WORKS; }
  if (is(name, "free of other memory")) {
    p = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8; i++) p[4096 - 16 + i] = below(256);
    end(p + 4096);
    return WORKS;
  }
  if (is(name, "wild free")) { end((void *)0x2000000000); return WORKS; }
  if (is(name, "header of another chunk")) {
    take(64, 2); memcpy(&header, chunks[0] - 16, 8); end(chunks[1]); memcpy(chunks[1] - 16, &header, 8); end(chunks[1]); return WORKS;
  }
  if (is(name, "one bit of a header")) { p = get(64); p[-16 + (int)below(4)] ^= 1 << below(8); end(p); return WORKS; }
  if (is(name, "checksum guessed once")) {
    p = get(64); p[-16]++; uint16_t sum = below(65536); memcpy(p - 10, &sum, 2); end(p); return WORKS;
  }
  if (is(name, "checksum by linearity")) {
    p = get(64); memcpy(&header, p - 16, 8); forge(p, (header & 0xffffffffffffull) + 1); end(p); return WORKS;
  }
  if (is(name, "cross-class free")) {
    p = get(64); memcpy(&header, p - 16, 8); forge(p, (header & 0xffffffffffffull) + 4); end(p); return again(p, 130, 200) ? WORKS : HARMLESS;
  }
  if (is(name, "memalign confusion")) { p = hidden(memalign(4096, 64)); take(4096, 1); end(p - 1024); end_all(1); return WORKS; }
  if (is(name, "realloc of a freed chunk")) { p = get(64); end(p); hidden(realloc(hidden(p), 128)); return WORKS; }
  if (is(name, "use of what realloc left")) { p = get(64); q = hidden(realloc(hidden(p), 4000)); if (p == q) return HARMLESS; *(byte *)hidden(p) = 1; return WORKS; }
  if (is(name, "second free in a child") || is(name, "cookie by forks")) {
    int forks = is(name, "cookie by forks");
    p = get(64);
    if (!forks) end(p);
    for (int i = 0; i < (forks ? 64 : 1); i++) {
      uint16_t sum = below(65536);
      pid_t child = fork();
      if (child == 0) {
        if (forks) { p[-16]++; memcpy(p - 10, &sum, 2); }
        end(p);
        _exit(WORKS);
      }
      int status;
      waitpid(child, &status, 0);
      if (WIFEXITED(status)) return WORKS;
    }
    if (forks) return HARMLESS;
    abort();
  }
  if (is(name, "overflow into slack")) { p = get(20); ((byte *)p)[20] = 1; end(p); return WORKS; }
  if (is(name, "off by one")) { take(SIZE, 64); p = before(64, STRIDE); ((byte *)p)[SIZE] ^= 0x41; end_all(64); return WORKS; }
  if (is(name, "off by null")) { take(SIZE, 64); p = before(64, STRIDE); ((byte *)p)[SIZE] = 0; end_all(64); return WORKS; }
  if (is(name, "linear overflow")) { take(SIZE, 64); p = before(64, STRIDE); for (int i = 0; i < SIZE + 64; i++) ((byte *)p)[i] = 0x41; end_all(64); return WORKS; }
  if (is(name, "overflow that jumps")) { take(SIZE, 64); p = before(64, STRIDE); ((byte *)p)[STRIDE] = 0x99; end_all(64); return WORKS; }
  if (is(name, "read overflow")) { take(SIZE, 64); p = before(64, STRIDE); for (int i = 0; i < STRIDE + SIZE; i++) (void)((byte *)p)[i]; end_all(64); return WORKS; }
  if (is(name, "underflow")) { p = get(SIZE); ((byte *)p)[-1] = 1; end(p); return WORKS; }
  if (is(name, "large overflow into slack")) { p = get(LARGE); ((byte *)p)[LARGE] = 1; end(p); return WORKS; }
  if (is(name, "large overflow")) { p = get(LARGE); for (int i = 0; i < LARGE + 8192; i++) ((byte *)p)[i] = 1; end(p); return WORKS; }
  if (is(name, "stale read")) { take(64, 1); p = chunks[0]; end(p); return ((byte *)p)[20] == 0x5a ? WORKS : HARMLESS; }
  if (is(name, "stale write")) { p = get(64); end(p); *(byte *)p = 1; return WORKS; }
  if (is(name, "stale read after reuse") || is(name, "stale write after reuse") || is(name, "quarantine flushed")) {
    p = get(64);
    end(p);
    if (is(name, "quarantine flushed")) for (int i = 0; i < 4000; i++) end(get(1000));
    q = again(p, 64, 4000);
    if (!q) return HARMLESS;
    *(byte *)p = 0x66;
    return *(byte *)q == 0x66 ? WORKS : HARMLESS;
  }
  if (is(name, "large stale read")) { p = get(LARGE); p[5000] = 0x33; end(p); return ((byte *)p)[5000] == 0x33 ? WORKS : HARMLESS; }
  if (is(name, "large stale write after reuse")) { p = get(LARGE); end(p); q = get(LARGE); if (p != q) return HARMLESS; ((byte *)p)[5000] = 0x66; return WORKS; }
  if (is(name, "spray for the next place")) { take(64, 8); p = chunks[0]; end(p); return get(64) == p ? WORKS : HARMLESS; }
  if (is(name, "neighbour foreseen")) { p = get(SIZE); return get(SIZE) == p + STRIDE ? WORKS : HARMLESS; }
  if (is(name, "free-list pointer forged")) {
    p = get(64); q = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); end(p); memcpy(hidden(p), &q, 8); return again(q, 64, 2000) ? WORKS : HARMLESS;
  }
  if (is(name, "calloc that wraps")) return hidden(calloc((size_t)1 << 33, (size_t)1 << 33)) ? WORKS : HARMLESS;
  if (is(name, "malloc of nearly everything")) return get(-(size_t)8) ? WORKS : HARMLESS;
  if (is(name, "uninitialised read")) { take(64, 1); p = chunks[0]; end(p); q = again(p, 64, 4000); return q && ((byte *)q)[20] == 0x5a ? WORKS : HARMLESS; }
  return 3;
}
