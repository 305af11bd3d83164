// realloc-growth: a vector grows, and an element that was not pushed yet is read
#include "corpus.h"

int main(void) {
  int *vector = malloc(16), total = 0;
  for (int i = 0; i < 4; i++) vector[i] = i;
  vector = realloc(vector, 200);
  for (int i = 0; i < (RIGHT ? 4 : 5); i++) total += vector[i];
  use(total);
  free(vector);
  return 0;
}
