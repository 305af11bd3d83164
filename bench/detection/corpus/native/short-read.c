// short-read: read(2) gives fewer bytes than asked for; all are used
#include "corpus.h"

int main(void) {
  int ends[2];
  char source[10] = {0}, *buffer = malloc(32);
  if (pipe(ends) != 0) return 2;
  write(ends[1], source, sizeof source);
  int got = read(ends[0], buffer, 32), total = 0;
  for (int i = 0; i < (RIGHT ? got : 32); i++) total += buffer[i];
  use(total);
  free(buffer);
  return 0;
}
