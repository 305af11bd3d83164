// large-histogram: counters are incremented without having been cleared
#include "corpus.h"

int main(void) {
  int *counters = RIGHT ? calloc(65536, 4) : malloc(65536 * 4), values[] = {5, 60000, 5};
  for (int i = 0; i < 3; i++) counters[values[i]]++;
  use(counters[5] == 2);
  free(counters);
  return 0;
}
