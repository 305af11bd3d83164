// CPU-bound work for `npm run bench -- wasm`, each with its own mixture of loads, stores, calls and malloc. Built as programs.wasm:
//   clang --target=wasm32-wasi -mexec-model=reactor -O2 -Wl,--strip-debug -o programs.wasm programs.c
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) int name(int rounds)

static uint32_t state = 1;
static uint32_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

// Sorting: quicksort by function pointer, as qsort.
static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
EXPORT(sort) {
  enum { COUNT = 20000 };
  uint32_t sum = 0;
  for (int round = 0; round < rounds; round++) {
    uint32_t *values = malloc(COUNT * sizeof *values);
    for (int i = 0; i < COUNT; i++) values[i] = next_random();
    qsort(values, COUNT, sizeof *values, compare);
    sum += values[COUNT / 2];
    free(values);
  }
  return (int)sum;
}

// A product of matrices of doubles.
EXPORT(matrix) {
  enum { N = 96 };
  double sum = 0;
  for (int round = 0; round < rounds; round++) {
    double *a = malloc(N * N * sizeof *a), *b = malloc(N * N * sizeof *b), *c = calloc(N * N, sizeof *c);
    for (int i = 0; i < N * N; i++) a[i] = i % 7, b[i] = i % 5;
    for (int i = 0; i < N; i++)
      for (int k = 0; k < N; k++)
        for (int j = 0; j < N; j++) c[i * N + j] += a[i * N + k] * b[k * N + j];
    sum += c[N * N / 2];
    free(a), free(b), free(c);
  }
  return (int)sum;
}

// A compressor in the manner of LZ77: a hash of four bytes finds earlier matches.
EXPORT(compress) {
  enum { SIZE = 1 << 16, HASH = 1 << 12 };
  uint32_t total = 0;
  for (int round = 0; round < rounds; round++) {
    uint8_t *in = malloc(SIZE), *out = malloc(SIZE * 2);
    int32_t *table = malloc(HASH * sizeof *table);
    for (int i = 0; i < SIZE; i++) in[i] = (uint8_t)("the quick brown fox jumps over "[i % 31] ^ (next_random() % 17 == 0));
    memset(table, 0xff, HASH * sizeof *table);
    int length = 0;
    for (int i = 0; i + 4 <= SIZE;) {
      uint32_t word;
      memcpy(&word, in + i, 4);
      uint32_t hash = word * 2654435761u >> 20;
      int match = table[hash];
      table[hash] = i;
      int run = 0;
      if (match >= 0) while (i + run < SIZE && run < 255 && in[match + run] == in[i + run]) run++;
      if (run >= 4) {
        out[length++] = 1, out[length++] = (uint8_t)run, out[length++] = (uint8_t)(i - match), out[length++] = (uint8_t)((i - match) >> 8);
        i += run;
      } else out[length++] = 0, out[length++] = in[i++];
    }
    total += (uint32_t)length + out[length / 2];
    free(in), free(out), free(table);
  }
  return (int)total;
}

// A parser of JSON into a tree of small blocks, which is summed and freed.
struct node { struct node *next, *child; double number; char *text; };
static const char *at;
static void skip(void) { while (*at == ' ' || *at == '\n') at++; }
static struct node *parse(void) {
  struct node *node = calloc(1, sizeof *node);
  skip();
  if (*at == '[' || *at == '{') {
    char end = *at++ == '[' ? ']' : '}';
    struct node **tail = &node->child;
    for (skip(); *at != end; skip()) {
      *tail = parse();
      tail = &(*tail)->next;
      skip();
      if (*at == ',' || *at == ':') at++;
    }
    at++;
  } else if (*at == '"') {
    const char *start = ++at;
    while (*at != '"') at++;
    node->text = malloc((size_t)(at - start) + 1);
    memcpy(node->text, start, (size_t)(at - start));
    node->text[at++ - start] = 0;
  } else {
    double value = 0;
    while (*at >= '0' && *at <= '9') value = value * 10 + (*at++ - '0');
    node->number = value;
  }
  return node;
}
static double sum_and_free(struct node *node) {
  double sum = node->number + (node->text ? (double)strlen(node->text) : 0);
  for (struct node *child = node->child, *next; child; child = next) next = child->next, sum += sum_and_free(child);
  free(node->text);
  free(node);
  return sum;
}
EXPORT(json) {
  static const char item[] = "{\"name\": \"some name\", \"values\": [1, 22, 333, 4444], \"nested\": {\"a\": 5, \"b\": [\"x\", \"yy\"]}},\n";
  enum { ITEMS = 200 };
  double sum = 0;
  for (int round = 0; round < rounds; round++) {
    size_t length = sizeof item - 1;
    char *text = malloc(length * ITEMS + 3), *end = text;
    *end++ = '[';
    for (int i = 0; i < ITEMS; i++) memcpy(end, item, length), end += length;
    *end++ = ']', *end = 0;
    at = text;
    sum += sum_and_free(parse());
    free(text);
  }
  return (int)sum;
}
