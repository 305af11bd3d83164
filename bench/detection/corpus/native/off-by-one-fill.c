// off-by-one-fill: a loop stops one element early
#include "corpus.h"

int main(void) {
  int *table = malloc(64 * sizeof *table);
  for (int i = 0; i < (RIGHT ? 64 : 63); i++) table[i] = i;
  use(table[63]);
  free(table);
  return 0;
}
