/* One reservation of address space for all blocks, with a state and an owner for each of its pages. Untouched parts of it,
 * and of the tables, cost no memory. Taken pages are never given back to it: heap.c uses them again. */
#include "recorder.h"
#include <sys/mman.h>

#define LARGEST_BITS 40
#define SMALLEST_BITS 28

char *region;
uint32_t region_pages;
uint8_t *page_state;
uint32_t *page_owner;
static uint32_t next_page = 1; /* page 0 is never given: 0 stands for none */

static void *reserve(size_t size, int protection) {
  void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

int region_start(void) {
  for (int bits = LARGEST_BITS; !region && bits >= SMALLEST_BITS; bits -= 2) {
    size_t size = 1UL << bits, pages = size / PAGE;
    char *memory = reserve(size, PROT_NONE);
    if (!memory) continue;
    page_state = reserve(pages, PROT_READ | PROT_WRITE);
    page_owner = reserve(pages * sizeof *page_owner, PROT_READ | PROT_WRITE);
    if (page_state && page_owner) {
      madvise(memory, size, MADV_NOHUGEPAGE);
      region_pages = pages;
      region = memory;
    } else {
      munmap(memory, size);
      if (page_state) munmap(page_state, pages);
    }
  }
  return region != NULL;
}

uint32_t region_take(uint32_t pages, uint32_t alignment) {
  /* Alignment is that of addresses, and the region itself begins at any page. */
  uintptr_t mask = (uintptr_t)alignment * PAGE - 1;
  uintptr_t start = ((uintptr_t)address_of(next_page) + mask) & ~mask;
  uintptr_t end = (uintptr_t)region + (uintptr_t)region_pages * PAGE;
  if (start > end || end - start < (uintptr_t)pages * PAGE) return 0;
  uint32_t page = page_of((void *)start);
  next_page = page + pages;
  return page;
}
