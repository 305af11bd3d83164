// forgotten-field: the constructor leaves out a new field
#include "corpus.h"

int main(void) {
  struct { int port, timeout, encrypted; } *connection = malloc(sizeof *connection);
  connection->port = 80;
  connection->timeout = 30;
  if (RIGHT) connection->encrypted = 0;
  use(connection->encrypted != 0);
  free(connection);
  return 0;
}
