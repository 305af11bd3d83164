// error-path: parsing fails in the middle and the result is used all the same
#include "corpus.h"

int main(void) {
  int *result = malloc(3 * sizeof *result);
  int parsed = sscanf("1,2,x", "%d,%d,%d", result, result + 1, result + 2);
  if (parsed == 3 || !RIGHT) use(result[2]);
  free(result);
  return 0;
}
