// copied-undefinedness: a buffer that was never filled is copied twice, then used far away
#include "corpus.h"

int main(void) {
  char *chain[3];
  for (int i = 0; i < 3; i++) chain[i] = malloc(40);
  if (RIGHT) memset(chain[0], 1, 40);
  memcpy(chain[1], chain[0], 40);
  memcpy(chain[2], chain[1], 40);
  use(chain[2][31]);
  for (int i = 0; i < 3; i++) free(chain[i]);
  return 0;
}
