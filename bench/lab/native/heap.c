/* The heap that a recorded program gets: blocks of a page and more on pages of their own, watched page by page; smaller ones
 * in slabs, whose pages count as stored to for every block on them once the kernel has them. No byte of its own lies beside
 * the blocks, so that only the program touches their pages. */
#include "recorder.h"
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_PAGES 16
#define SLAB_BYTES (SLAB_PAGES * PAGE)
#define SLAB_FLAG 0x80000000u /* in page_owner: a slab's number instead of a large block's first page */
#define CLASSES 41
#define SIZE_CLASSES 34 /* powers of two in pages */
#define MAX_BYTES (1UL << 39)
#define NO_SLOT 0xffff
#define CHECK_EVERY 32

/* Sizes of small blocks: steps of 16 up to 128, then four to each doubling. */
static const uint16_t class_size[CLASSES] = {
    16,  32,  48,  64,  80,  96,  112, 128, 160, 192,  224,  256,  320,  384,  448,  512,
    640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4080};
#define CLASS_COUNT 28

struct slab {
  uint32_t start; /* its first page */
  uint16_t class_id, slots, used, fresh, free_slot;
  uint16_t touched, pending; /* a bit a page: the kernel has it; blocks wait for it */
  uint32_t next_partial;     /* number of the next slab of the class with room; 0: none */
  uint32_t next_pending;
  uint64_t live[SLAB_BYTES / 16 / 64];
  uint16_t next_free[SLAB_BYTES / 16];
};

struct large {
  uint64_t size;
  uint32_t next_free; /* of a free one: first page of the next */
  uint32_t order;     /* it has 2^order pages */
};

static struct slab *slabs; /* by number, from 1 */
static uint32_t slab_count, partial[CLASS_COUNT], pending_slab;
static struct large *larges; /* by first page */
static uint32_t free_large[SIZE_CLASSES];
static unsigned checks;
static char *libc_start, *libc_end;
static pthread_key_t thread_key;
static char started;

static int find_libc(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size;
  (void)unused;
  const char *name = strrchr(info->dlpi_name, '/');
  if (!name || strncmp(name, "/libc.so", 8) != 0) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    libc_start = (char *)info->dlpi_addr + part->p_vaddr;
    libc_end = libc_start + part->p_memsz;
  }
  return 1;
}

static void thread_ended(void *unused) {
  (void)unused;
  log_record(THREAD_END, NULL, 0, 0);
}

/* At the first block, which may be another library's, before the constructor here. */
static int start(void) {
  if (started) return 1;
  touch_start();
  lock();
  if (!started) {
    if (region_start()) {
      size_t slab_space = (size_t)region_pages / SLAB_PAGES * sizeof *slabs;
      slabs = mmap(NULL, slab_space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      larges = mmap(NULL, (size_t)region_pages * sizeof *larges, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      started = slabs != MAP_FAILED && larges != MAP_FAILED;
    }
  }
  unlock();
  return started;
}

__attribute__((constructor)) static void prepare(void) {
  start();
  dl_iterate_phdr(find_libc, NULL);
  touch_thread_start();
  pthread_key_create(&thread_key, thread_ended);
  /* No other thread holds the lock while a process is copied. */
  pthread_atfork(lock, unlock, NULL);
}

static void each_thread(void) {
  static __thread __attribute__((tls_model("initial-exec"))) char known;
  if (known || !libc_end) return;
  known = 1;
  touch_thread_start();
  pthread_setspecific(thread_key, &thread_key);
}

/* ---- Small blocks -------------------------------------------------------------------------------------------------- */

static char *slot_address(struct slab *slab, unsigned slot) {
  return address_of(slab->start) + (size_t)slot * class_size[slab->class_id];
}

static int is_live(struct slab *slab, unsigned slot) { return slab->live[slot / 64] >> (slot % 64) & 1; }

/* The part of the block that lies on the page was stored to, as far as pages can tell. */
static void note_page(struct slab *slab, unsigned slot, unsigned page) {
  char *block = slot_address(slab, slot), *start = address_of(slab->start + page);
  log_record(WRITE, block > start ? block : start, 1, 0);
}

static void note_slot(struct slab *slab, unsigned slot) {
  size_t size = class_size[slab->class_id], from = slot * size / PAGE, to = (slot * size + size - 1) / PAGE;
  for (size_t page = from; page <= to; page++) {
    if (slab->touched >> page & 1) {
      note_page(slab, slot, page);
    } else if (!(slab->pending >> page & 1)) {
      if (!slab->pending) {
        slab->next_pending = pending_slab;
        pending_slab = slab - slabs;
      }
      slab->pending |= 1u << page;
    }
  }
}

/* Asks the kernel which of the awaited pages it has by now. */
static void check_pending(void) {
  uint32_t *link = &pending_slab;
  while (*link) {
    struct slab *slab = &slabs[*link];
    unsigned char resident[SLAB_PAGES];
    if (mincore(address_of(slab->start), SLAB_BYTES, resident) != 0) memset(resident, 1, sizeof resident);
    unsigned size = class_size[slab->class_id];
    for (unsigned page = 0; page < SLAB_PAGES; page++) {
      if (!(slab->pending >> page & 1) || !(resident[page] & 1)) continue;
      slab->pending &= ~(1u << page);
      slab->touched |= 1u << page;
      for (unsigned slot = page * PAGE / size; slot < slab->slots && slot * size < (page + 1) * PAGE; slot++)
        if (is_live(slab, slot)) note_page(slab, slot, page);
    }
    if (slab->pending) link = &slab->next_pending;
    else *link = slab->next_pending;
  }
}

static struct slab *new_slab(unsigned class_id) {
  uint32_t page = region_take(SLAB_PAGES, SLAB_PAGES);
  if (!page) return NULL;
  if (mprotect(address_of(page), SLAB_BYTES, PROT_READ | PROT_WRITE) != 0) return NULL;
  struct slab *slab = &slabs[++slab_count];
  slab->start = page;
  slab->class_id = class_id;
  slab->slots = SLAB_BYTES / class_size[class_id];
  slab->free_slot = NO_SLOT;
  for (uint32_t i = 0; i < SLAB_PAGES; i++) {
    page_owner[page + i] = SLAB_FLAG | slab_count;
    page_state[page + i] = OPEN;
  }
  slab->next_partial = partial[class_id];
  partial[class_id] = slab_count;
  return slab;
}

static void *small_take(unsigned class_id) {
  struct slab *slab = partial[class_id] ? &slabs[partial[class_id]] : new_slab(class_id);
  if (!slab) return NULL;
  unsigned slot = slab->free_slot;
  if (slot != NO_SLOT) slab->free_slot = slab->next_free[slot];
  else slot = slab->fresh++;
  slab->live[slot / 64] |= 1UL << (slot % 64);
  if (++slab->used == slab->slots) partial[class_id] = slab->next_partial;
  return slot_address(slab, slot);
}

static void small_give(struct slab *slab, unsigned slot) {
  slab->live[slot / 64] &= ~(1UL << (slot % 64));
  slab->next_free[slot] = slab->free_slot;
  slab->free_slot = slot;
  if (slab->used-- == slab->slots) {
    slab->next_partial = partial[slab->class_id];
    partial[slab->class_id] = slab - slabs;
  }
}

/* The smallest class with room for size bytes; its blocks are aligned to `alignment` if that is a power of two. */
static unsigned class_for(size_t size, size_t alignment) {
  for (unsigned id = 0; id < CLASS_COUNT; id++)
    if (class_size[id] >= size && class_size[id] % alignment == 0) return id;
  return CLASS_COUNT;
}

static unsigned quick_class(size_t size) {
  static uint8_t table[PAGE / 16 + 1];
  unsigned index = (size + 15) / 16;
  if (!table[index]) table[index] = class_for(size, 16) + 1;
  return table[index] - 1;
}

/* ---- Large blocks -------------------------------------------------------------------------------------------------- */

static void *large_take(size_t size, size_t alignment) {
  size_t pages = (size + PAGE - 1) / PAGE;
  if (alignment / PAGE > pages) pages = alignment / PAGE;
  unsigned order = pages <= 1 ? 0 : 64 - __builtin_clzl(pages - 1);
  uint32_t page = free_large[order];
  if (page) {
    free_large[order] = larges[page].next_free;
    pages_reset(page, 1u << order);
  } else {
    page = region_take(1u << order, 1u << order);
    if (!page) return NULL;
  }
  larges[page] = (struct large){.size = size, .order = order};
  for (uint32_t i = 0; i < 1u << order; i++) page_owner[page + i] = page;
  return address_of(page);
}

static void large_give(uint32_t page) {
  struct large *block = &larges[page];
  pages_reset(page, 1u << block->order);
  memset(&page_owner[page], 0, sizeof *page_owner << block->order);
  block->next_free = free_large[block->order];
  free_large[block->order] = page;
}

/* ---- Blocks of either kind ------------------------------------------------------------------------------------------ */

struct place {
  struct slab *slab; /* NULL: a large block */
  uint32_t page;     /* of a large block: its first */
  unsigned slot;
  size_t size; /* bytes that may be used */
};

/* Where a pointer's block is; 0 for a pointer that this heap did not give. */
static int find(const void *pointer, struct place *place) {
  if (!in_region(pointer)) return 0;
  uint32_t page = page_of(pointer), owner = page_owner[page];
  if (owner & SLAB_FLAG) {
    struct slab *slab = &slabs[owner & ~SLAB_FLAG];
    size_t size = class_size[slab->class_id];
    unsigned slot = ((char *)pointer - address_of(slab->start)) / size;
    if (slot >= slab->slots || !is_live(slab, slot)) return 0;
    *place = (struct place){slab, 0, slot, size};
    return 1;
  }
  if (owner != page || !owner) return 0;
  *place = (struct place){NULL, page, 0, larges[page].size};
  return 1;
}

/* The C library's own blocks are passed to the kernel where no call of calls.c sees it: they count as stored to, whole. */
static int is_libc(const void *caller) { return (char *)caller >= libc_start && (char *)caller < libc_end; }

/* With the lock. */
static void *take(size_t size, size_t alignment) {
  unsigned id = size >= PAGE || alignment >= PAGE ? CLASS_COUNT
                : alignment <= 16                 ? quick_class(size)
                                                  : class_for(size, alignment);
  return id < CLASS_COUNT ? small_take(id) : large_take(size, alignment);
}

/* Touches of a new or grown block that are known already. With the lock. */
static void note_block(void *block, const void *caller) {
  struct place place;
  find(block, &place);
  if (place.slab) note_slot(place.slab, place.slot);
  else if (is_libc(caller)) touch_range(block, place.size, WRITE);
  if (pending_slab && ++checks % CHECK_EVERY == 0) check_pending();
}

static void *allocate(enum kind kind, size_t size, size_t extra, size_t alignment, const void *caller) {
  size_t bytes = kind == CALLOC ? size * extra : size;
  if (!start() || bytes > MAX_BYTES) goto full;
  each_thread();
  lock();
  void *block = take(bytes, alignment);
  if (block) {
    log_record(kind, block, size, extra);
    note_block(block, caller);
  }
  unlock();
  if (!block) goto full;
  if (kind == CALLOC && bytes < PAGE) memset(block, 0, bytes);
  return block;
full:
  errno = ENOMEM;
  return NULL;
}

static void release(void *pointer) {
  struct place place;
  if (!pointer) return;
  int error = errno;
  lock();
  if (find(pointer, &place)) {
    if (place.slab && place.slab->pending) check_pending();
    log_record(FREE, pointer, 0, 0);
    if (place.slab) small_give(place.slab, place.slot);
    else large_give(place.page);
  }
  unlock();
  errno = error;
}

/* Copies the pages of a large block that were stored to; the others read as zeroes in the new one too. */
static void copy_pages(uint32_t from, uint32_t to, size_t size) {
  uint32_t pages = (size + PAGE - 1) / PAGE;
  for (uint32_t i = 0; i < pages; i++) {
    if (page_state[from + i] < WAS_WRITTEN) continue;
    uint32_t end = i + 1;
    while (end < pages && page_state[from + end] >= WAS_WRITTEN) end++;
    pages_set(to + i, end - i, WAS_WRITTEN);
    size_t bytes = (size_t)(end - i) * PAGE;
    memcpy(address_of(to + i), address_of(from + i), (size_t)end * PAGE > size ? size - (size_t)i * PAGE : bytes);
    i = end - 1;
  }
}

static void copy(const struct place *old, void *from, void *to, size_t size) {
  if (!old->slab && !(page_owner[page_of(to)] & SLAB_FLAG)) {
    copy_pages(old->page, page_of(to), size);
  } else if (!old->slab) {
    for (size_t at = 0; at < size; at += PAGE) {
      size_t bytes = size - at < PAGE ? size - at : PAGE;
      if (page_state[old->page + at / PAGE] >= WAS_READ) memcpy((char *)to + at, (char *)from + at, bytes);
      else memset((char *)to + at, 0, bytes);
    }
  } else {
    if (!(page_owner[page_of(to)] & SLAB_FLAG)) pages_set(page_of(to), 1, WAS_WRITTEN);
    memcpy(to, from, size);
  }
}

/* A large block that stays where it is: pages beyond its new end are empty again. */
static void resize_large(uint32_t page, size_t size) {
  uint32_t before = (larges[page].size + PAGE - 1) / PAGE, after = (size + PAGE - 1) / PAGE;
  if (after < before) pages_reset(page + after, before - after);
  larges[page].size = size;
}

static void *resize(void *pointer, size_t size, const void *caller) {
  if (!pointer) return allocate(MALLOC, size, 0, 16, caller);
  if (size == 0) {
    release(pointer);
    return NULL;
  }
  struct place old;
  void *block = NULL;
  if (size <= MAX_BYTES && start()) {
    lock();
    if (find(pointer, &old)) {
      int stays = old.slab ? size <= old.size && quick_class(size) == old.slab->class_id
                           : size >= PAGE && size <= PAGE << larges[old.page].order && size * 4 >= old.size;
      if (stays) {
        block = pointer;
        if (!old.slab) resize_large(old.page, size);
      } else if ((block = take(size, 16))) {
        copy(&old, pointer, block, size < old.size ? size : old.size);
      }
      if (block) log_record(REALLOC, block, size, (uintptr_t)pointer);
      if (block) note_block(block, caller);
      if (block && !stays) {
        if (old.slab) small_give(old.slab, old.slot);
        else large_give(old.page);
      }
    } else if ((block = take(size, 16))) {
      /* From before this heap: its size is unknown, and such blocks (the loader's) are small. */
      log_record(MALLOC, block, size, 0);
      if (!(page_owner[page_of(block)] & SLAB_FLAG)) touch_range(block, size, WRITE);
      memcpy(block, pointer, size);
    }
    unlock();
  }
  if (!block) errno = ENOMEM;
  return block;
}

#define CALLER __builtin_return_address(0)

EXPORT void *malloc(size_t size) { return allocate(MALLOC, size, 0, 16, CALLER); }
EXPORT void free(void *pointer) { release(pointer); }
EXPORT void cfree(void *pointer) { release(pointer); }
EXPORT void *realloc(void *pointer, size_t size) { return resize(pointer, size, CALLER); }

EXPORT void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return allocate(CALLOC, size, count, 16, CALLER);
}

EXPORT void *reallocarray(void *pointer, size_t count, size_t size) {
  size_t bytes;
  if (!__builtin_mul_overflow(count, size, &bytes)) return resize(pointer, bytes, CALLER);
  errno = ENOMEM;
  return NULL;
}

static void *aligned(size_t alignment, size_t size, const void *caller) {
  size_t power = 16;
  while (power < alignment && power < MAX_BYTES) power *= 2;
  return allocate(ALIGNED, size, power, power, caller);
}

EXPORT void *memalign(size_t alignment, size_t size) { return aligned(alignment, size, CALLER); }
EXPORT void *aligned_alloc(size_t alignment, size_t size) { return aligned(alignment, size, CALLER); }
EXPORT void *valloc(size_t size) { return aligned(PAGE, size, CALLER); }
EXPORT void *pvalloc(size_t size) { return aligned(PAGE, (size + PAGE - 1) & ~(PAGE - 1), CALLER); }

EXPORT int posix_memalign(void **pointer, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  int error = errno;
  void *block = aligned(alignment, size, CALLER);
  errno = error;
  if (block) *pointer = block;
  return block ? 0 : ENOMEM;
}

EXPORT size_t malloc_usable_size(void *pointer) {
  struct place place;
  return pointer && find(pointer, &place) ? place.size : 0;
}

__attribute__((destructor)) static void finish(void) {
  if (!started) return;
  lock();
  if (pending_slab) check_pending();
  unlock();
}
