// over-read: a loop reads one element behind an array
#include "corpus.h"

int main(void) {
  int *array = calloc(10, 4), total = 0;
  for (int i = 0; i < (RIGHT ? 10 : 11); i++) total += array[i];
  use(total);
  free(array);
  return 0;
}
