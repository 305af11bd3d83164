/* What the parts of the preloaded recorder share: kinds of records, and what each part offers the others.
 * `refheap record --native` compiles these files at use and preloads the library into a program. */
#ifndef RECORDER_H
#define RECORDER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define PAGE 4096UL

/* The raw file: a head of one page, then records of 32 bytes. native-recording.ts reads it. */
enum kind { NOTHING, MALLOC, CALLOC, REALLOC, ALIGNED, FREE, READ, WRITE, THREAD_END };

struct record {
  uint32_t kind; /* stored last: a record whose kind is NOTHING is not whole */
  uint32_t thread;
  uint64_t address;
  uint64_t size;
  uint64_t extra; /* calloc: count; realloc: old address; aligned: alignment */
};

struct head {
  char magic[8];
  uint32_t version;
  uint32_t pid;
  uint64_t records;     /* taken so far, whole or not */
  uint64_t stopped;     /* 1: the file could not grow, the recording ends early */
  uint64_t unwatched;   /* pages whose touches were not seen, because the kernel refused to protect them */
  char program[16];     /* as in /proc/PID/comm */
};

/* log.c: appends to the file of this process; safe in signal handlers, after fork and in a vfork's child. */
void log_record(enum kind kind, const void *address, uint64_t size, uint64_t extra);
void log_unwatched(uint64_t pages);
/* The recorder's lock; free again in a forked child. */
void lock(void);
void unlock(void);

/* region.c: the addresses that blocks are given from, page by page. */
enum state { UNTOUCHED, WAS_READ, WAS_WRITTEN, OPEN };

extern char *region;          /* first address; NULL until region_start */
extern uint32_t region_pages; /* pages of the region */
extern uint8_t *page_state;   /* enum state of each page */
extern uint32_t *page_owner;  /* 0: none; else what heap.c put there */

int region_start(void);
/* First page of `pages` fresh ones, aligned to `alignment` pages (a power of two); 0 if the region is used up. */
uint32_t region_take(uint32_t pages, uint32_t alignment);
static inline int in_region(const void *address) {
  return region && (uintptr_t)address - (uintptr_t)region < (uintptr_t)region_pages * PAGE;
}
static inline uint32_t page_of(const void *address) { return ((uintptr_t)address - (uintptr_t)region) / PAGE; }
static inline char *address_of(uint32_t page) { return region + (uintptr_t)page * PAGE; }

/* touch.c: which pages were loaded from and stored to. */
void touch_start(void);
void touch_thread_start(void);
/* Notes that these bytes are read or written, and lets the kernel do it. */
void touch_range(const void *address, size_t size, enum kind kind);
/* A call whose result says how much of a buffer was filled: access to all before it, then access to what was filled. */
void fill_begin(void *buffer, size_t size);
void fill_end(void *buffer, size_t size, size_t filled);
/* Pages are given back: empty, without access, in state UNTOUCHED. */
void pages_reset(uint32_t page, uint32_t count);
/* Pages get this state and its access. */
void pages_set(uint32_t page, uint32_t count, enum state state);

#endif
