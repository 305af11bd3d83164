// use-after-free-read: a field is read after the object was freed
#include "corpus.h"

int main(void) {
  int *object = calloc(8, 4);
  object[2] = 5;
  int early = object[2];
  free(object);
  use(RIGHT ? early : object[2]);
  return 0;
}
