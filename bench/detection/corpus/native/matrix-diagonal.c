// matrix-diagonal: an identity matrix gets its ones, not its zeroes
#include "corpus.h"

int main(void) {
  int n = 6;
  double *matrix = malloc(n * n * sizeof *matrix), trace = 0;
  if (RIGHT) memset(matrix, 0, n * n * sizeof *matrix);
  for (int i = 0; i < n; i++) matrix[i * n + i] = 1;
  for (int i = 0; i < n * n; i++) trace += matrix[i];
  use(trace == 6);
  free(matrix);
  return 0;
}
