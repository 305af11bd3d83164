// padding-in-memcmp: two equal structs are compared with their padding
#include "corpus.h"

int main(void) {
  struct pair { char kind; double value; } *a = RIGHT ? calloc(1, sizeof *a) : malloc(sizeof *a);
  struct pair *b = RIGHT ? calloc(1, sizeof *b) : malloc(sizeof *b);
  a->kind = b->kind = 1;
  a->value = b->value = 2.5;
  use(memcmp(a, b, sizeof *a) == 0);
  free(a);
  free(b);
  return 0;
}
