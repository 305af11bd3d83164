// concatenation-into-nothing: strcat appends to a buffer that was never made an empty string
#include "corpus.h"

int main(void) {
  char *line = malloc(32);
  if (RIGHT) line[0] = 0;
  int end = 0;
  while (end < 20 && line[end] != 0) end++;
  strcpy(line + end, "suffix");
  use(end);
  free(line);
  return 0;
}
