// The heap of AssemblyScript's runtime (TLSF, std/assembly/rt/tlsf.ts). tlsf.wasm beside this file was made from it by
// asc tlsf.as (renamed tlsf.ts) --runtime minimal --optimize --noAssert -o tlsf.wasm (AssemblyScript 0.28)
export function malloc(size: usize): usize {
  return heap.alloc(size);
}

export function realloc(pointer: usize, size: usize): usize {
  return heap.realloc(pointer, size);
}

export function free(pointer: usize): void {
  heap.free(pointer);
}
