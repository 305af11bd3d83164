// stale-arena-reuse: an arena is reset, and a new object reads as the old one at its place
#include "corpus.h"

int main(void) {
  char *arena = malloc(1024);
  VALGRIND_MAKE_MEM_NOACCESS(arena, 1024);
  VALGRIND_CREATE_MEMPOOL(arena, 0, 0);
  VALGRIND_MEMPOOL_ALLOC(arena, arena, 32);
  memset(arena, 9, 32);
  VALGRIND_MEMPOOL_FREE(arena, arena);
  VALGRIND_MEMPOOL_ALLOC(arena, arena, 32);
  if (RIGHT) memset(arena, 0, 32);
  use(*(int *)(arena + 8));
  VALGRIND_DESTROY_MEMPOOL(arena);
  free(arena);
  return 0;
}
