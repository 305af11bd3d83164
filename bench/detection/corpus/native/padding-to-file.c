// padding-to-file: a record is written to a file with its tail padding
#include "corpus.h"

int main(void) {
  struct { double value; int id; } *record = malloc(sizeof *record);
  record->value = 1.5;
  record->id = 9;
  FILE *file = tmpfile();
  write(fileno(file), record, RIGHT ? 12 : 16);
  fclose(file);
  free(record);
  return 0;
}
