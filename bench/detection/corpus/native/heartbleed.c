// heartbleed: a reply echoes as many bytes as the request claims to have
#include "corpus.h"

int main(void) {
  unsigned char *request = malloc(4096);
  unsigned short claimed = RIGHT ? 16 : 4000;
  memcpy(request, &claimed, 2);
  memset(request + 2, 0x61, 16);
  memcpy(&claimed, request, 2);
  through_pipe(request + 2, claimed);
  free(request);
  return 0;
}
