// dlmalloc as wasi-libc has it, for a WebAssembly module that only allocates. dlmalloc.wasm beside this file was made from it by
// clang-19 --target=wasm32-wasi -O2 -mexec-model=reactor -Wl,--export=malloc,--export=calloc,--export=realloc,--export=free -Wl,--strip-all dlmalloc.c -o dlmalloc.wasm
#include <stdlib.h>

/* What keeps the functions linked in. */
void *used[] = {malloc, calloc, realloc, free};
