// sizeof-pointer: memset(p, 0, sizeof p) clears eight bytes of a larger struct
#include "corpus.h"

int main(void) {
  struct { int fields[10]; } *state = malloc(sizeof *state);
  memset(state, 0, RIGHT ? sizeof *state : sizeof state);
  use(state->fields[8]);
  free(state);
  return 0;
}
