// missed-terminator: the characters are stored, the NUL is not
#include "corpus.h"

int main(void) {
  char *text = malloc(16);
  memcpy(text, "name", 4);
  if (RIGHT) text[4] = 0;
  use(strnlen(text, 12) == 4);
  free(text);
  return 0;
}
