// The thread's microbenchmark as a program of the simulated kernel; it stands for the C program of the commit message
// and goes through the same calls in the same order. Nothing is measured here.
import type { MapPattern } from "../../allocator/index.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  type Process,
  refpage_create,
  refpage_create2,
} from "../../refpage/index.ts";

const PATTERN_BYTE = 0xaa;

/** Where the pattern of fresh memory comes from: nowhere, the program itself, a reference page by either ABI, or a user's interface. */
export type Fill = "anonymous" | "memset" | "refpage-v4" | "refpage-v5" | "own";

export interface ProgramArguments {
  readonly fill: Fill;
  readonly mmapSize: number;
  readonly touchSize: number;
  readonly iterations: number;
  /** Maps for `own`. */
  readonly mapPattern?: MapPattern;
}

const PATTERN = Uint8Array.of(PATTERN_BYTE);

/** Maps, fills, touches and unmaps `iterations` times. Sizes in bytes. */
export function main(process: Process, { fill, mmapSize, touchSize, iterations, mapPattern }: ProgramArguments): void {
  const { memory } = process;
  const useRefpage = fill === "refpage-v4" || fill === "refpage-v5";
  let refpageFd = -1;
  if (useRefpage) {
    const pattern = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fill === "refpage-v4") {
      memory.fill(pattern, PATTERN_BYTE, PAGE_SIZE);
      refpageFd = refpage_create(process, pattern, 0);
    } else {
      memory.setUint8(pattern, PATTERN_BYTE);
      refpageFd = refpage_create2(process, pattern, 1, 0);
    }
    process.munmap(pattern, PAGE_SIZE);
  }
  for (let i = 0; i !== iterations; ++i) {
    let p: number;
    if (mapPattern !== undefined) {
      const [prot, flags] = [PROT_READ | PROT_WRITE, MAP_PRIVATE];
      p = mapPattern(process, { address: 0, length: mmapSize, prot, flags, pattern: PATTERN });
    } else if (useRefpage) {
      p = process.mmap(0, mmapSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, refpageFd, 0);
    } else {
      p = process.mmap(0, mmapSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (fill === "memset") memory.fill(p, PATTERN_BYTE, mmapSize);
    }
    for (let j = 0; j < touchSize; j += PAGE_SIZE) memory.setUint8(p + j, 0);
    process.munmap(p, mmapSize);
  }
  if (useRefpage) process.close(refpageFd);
}
