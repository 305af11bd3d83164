// Runs the heap program on standard input on the heap that it is linked with. Lines: `m i size`, `c i count size`, `a i align size`,
// `r i size`, `f i`. Answers what a program may rely on, a line each: whether it got memory, its alignment, whether its usable size
// holds, whether calloc's bytes are zero, whether kept bytes are kept.
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64
static unsigned char *block[MOST];
static size_t size_of[MOST];

static unsigned char mark(int i, size_t at) { return (unsigned char)(i * 31 + at * 7 + 1); }

static void fill(int i) {
  size_t n = size_of[i];
  for (size_t at = 0; at < n; at += n > 4096 ? 509 : 1) block[i][at] = mark(i, at);
}

static int kept(int i, size_t n) {
  for (size_t at = 0; at < n; at += size_of[i] > 4096 ? 509 : 1)
    if (block[i][at] != mark(i, at)) return 0;
  return 1;
}

static int overlaps(int i) {
  for (int j = 0; j < MOST; j++)
    if (j != i && block[j] && block[i] && block[i] < block[j] + size_of[j] && block[j] < block[i] + size_of[i]) return 1;
  return 0;
}

static void answer(int i, size_t align) {
  if (!block[i]) {
    puts("null");
    return;
  }
  printf("ok %d %d %d\n", (uintptr_t)block[i] % align == 0, malloc_usable_size(block[i]) >= size_of[i], !overlaps(i));
  fill(i);
}

int main(void) {
  char kind;
  int i;
  unsigned long long a, b;
  while (scanf(" %c %d", &kind, &i) == 2) {
    if (kind == 'm') {
      if (scanf("%llu", &a) != 1) return 2;
      size_of[i] = a;
      block[i] = malloc(a);
      answer(i, 16);
    } else if (kind == 'c') {
      if (scanf("%llu %llu", &a, &b) != 2) return 2;
      size_of[i] = a * b;
      block[i] = calloc(a, b);
      int zero = 1;
      if (block[i])
        for (size_t at = 0; at < size_of[i]; at++) zero &= block[i][at] == 0;
      printf("zero %d\n", zero);
      answer(i, 16);
    } else if (kind == 'a') {
      if (scanf("%llu %llu", &a, &b) != 2) return 2;
      size_of[i] = b;
      block[i] = memalign(a, b);
      answer(i, a);
    } else if (kind == 'r') {
      if (scanf("%llu", &a) != 1) return 2;
      size_t old = size_of[i];
      unsigned char *q = realloc(block[i], a);
      if (!q) {
        printf("null %d\n", kept(i, old));
        continue;
      }
      block[i] = q;
      // The step of what was written is the old size's.
      int same = kept(i, old < a ? old : a);
      size_of[i] = a;
      printf("kept %d\n", same);
      answer(i, 16);
    } else if (kind == 'f') {
      printf("kept %d\n", kept(i, size_of[i]));
      free(block[i]);
      block[i] = 0;
      size_of[i] = 0;
    }
  }
  return 0;
}
