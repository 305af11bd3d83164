// union-confusion: the short member of a union is stored, the long one read
#include "corpus.h"

int main(void) {
  union { double d; float f; } *value = malloc(sizeof *value);
  if (RIGHT) value->d = 3;
  else value->f = 3;
  use(value->d > 1);
  free(value);
  return 0;
}
