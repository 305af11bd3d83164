// double-free: an error path frees what the caller frees, too
#include "corpus.h"

int main(void) {
  char *p = malloc(32);
  free(p);
  if (!RIGHT) free(p);
  return 0;
}
