// What the native programs share: which variant is built, and uses of values that a checker must see.
#ifndef CORPUS_H
#define CORPUS_H
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __wasi__
/* WebAssembly has no pipes and temporary files: what is written goes to standard output, what is read comes from standard input. */
static inline int pipe(int ends[2]) {
  ends[0] = 0;
  ends[1] = 1;
  return 0;
}
#define tmpfile() stdout
#elif __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#error "the client requests' header is missing"
#endif

#ifdef BUGGY
#define RIGHT 0
#else
#define RIGHT 1
#endif

/* Nothing that the compiler knows the value of. */
static volatile int zero = 0;

/* A branch on the value. */
static inline void use(int value) {
  if (value) puts("set");
  else puts("clear");
}

static inline void through_pipe(const void *bytes, int length) {
  int ends[2];
  if (pipe(ends) != 0) exit(2);
  if (write(ends[1], bytes, length) != length) exit(2);
  close(ends[0]);
  close(ends[1]);
}
#endif
