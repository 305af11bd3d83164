// reused-chunk: a session's secret is read from the chunk of the session before
#include "corpus.h"

int main(void) {
  char *old = malloc(48);
  memset(old, 0x53, 48);
  free(old);
  char *fresh = malloc(48);
  if (RIGHT) memset(fresh, 0, 48);
  int total = 0;
  for (int i = 0; i < 48; i++) total += fresh[i];
  use(total);
  free(fresh);
  return 0;
}
