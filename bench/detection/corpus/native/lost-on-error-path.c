// lost-on-error-path: an early return forgets a buffer
#include "corpus.h"

int main(void) {
  char *buffer = malloc(100);
  if (!RIGHT) {
    buffer = NULL;
    return 0;
  }
  free(buffer);
  return 0;
}
