// histogram: the same in a small table
#include "corpus.h"

int main(void) {
  int *counters = malloc(1024), values[] = {5, 200, 5};
  if (RIGHT) memset(counters, 0, 1024);
  for (int i = 0; i < 3; i++) counters[values[i]]++;
  use(counters[5] == 2);
  free(counters);
  return 0;
}
