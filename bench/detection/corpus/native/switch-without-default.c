// switch-without-default: an opcode that no case handles leaves the output as it was
#include "corpus.h"

int main(void) {
  int *output = malloc(sizeof *output);
  switch (7 + zero) {
    case 1: *output = 1; break;
    case 2: *output = 2; break;
    default: if (RIGHT) *output = 0xff;
  }
  use(*output);
  free(output);
  return 0;
}
