// half-copied-struct: a copy copies the first fields only
#include "corpus.h"

int main(void) {
  int *original = calloc(8, 4), *copy = malloc(32);
  original[7] = 99;
  memcpy(copy, original, RIGHT ? 32 : 28);
  use(copy[7]);
  free(original);
  free(copy);
  return 0;
}
