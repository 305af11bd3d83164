// over-write: a terminator is stored right behind the buffer
#include "corpus.h"

int main(void) {
  char *text = malloc(20);
  memset(text, 0x61, 20);
  text[RIGHT ? 19 : 20] = 0;
  free(text);
  return 0;
}
