// swapped-memset-arguments: memset(p, size, 0) sets nothing
#include "corpus.h"

int main(void) {
  unsigned char *buffer = malloc(48);
  if (RIGHT) memset(buffer, 0, 48);
  else memset(buffer, 48, zero);
  int total = 0;
  for (int i = 0; i < 48; i++) total += buffer[i];
  use(total);
  free(buffer);
  return 0;
}
