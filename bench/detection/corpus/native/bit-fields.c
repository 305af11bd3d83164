// bit-fields: one bit of a flags word is set in memory that was not cleared
#include "corpus.h"

int main(void) {
  unsigned *flags = malloc(sizeof *flags);
  if (RIGHT) *flags = 0;
  *flags |= 4;
  use(*flags == 4);
  free(flags);
  return 0;
}
