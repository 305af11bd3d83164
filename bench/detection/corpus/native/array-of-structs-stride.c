// array-of-structs-stride: elements are initialised at a stride that is too small
#include "corpus.h"

int main(void) {
  char *points = malloc(8 * 12);
  int stride = RIGHT ? 12 : 8;
  for (int i = 0; i < 8; i++)
    for (int field = 0; field < 3; field++) *(int *)(points + i * stride + field * 4) = i;
  use(*(int *)(points + 7 * 12));
  free(points);
  return 0;
}
