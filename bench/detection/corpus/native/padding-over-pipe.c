// padding-over-pipe: the padding behind a char goes out with the struct
#include "corpus.h"

int main(void) {
  struct { char kind; int length; } *message = RIGHT ? calloc(1, sizeof *message) : malloc(sizeof *message);
  message->kind = 7;
  message->length = 1000;
  through_pipe(message, sizeof *message);
  free(message);
  return 0;
}
