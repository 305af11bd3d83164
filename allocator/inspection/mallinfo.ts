// mallinfo and mallinfo2: glibc's ten figures as Scudo fills them (S19.2).

import type { HeapStatistics } from "./statistics.ts";

/** glibc's fields. Scudo fills five; the others are 0. */
export interface Mallinfo {
  /** Always 0: Scudo has no arena that grows by brk. */
  readonly arena: number;
  /** Free chunks; Scudo counts none. */
  readonly ordblks: number;
  /** Free fast chunks; Scudo counts none. */
  readonly smblks: number;
  /** Large blocks that are mapped one by one. */
  readonly hblks: number;
  /** Bytes mapped. */
  readonly hblkhd: number;
  /** Bytes mapped. */
  readonly usmblks: number;
  /** Bytes free. */
  readonly fsmblks: number;
  /** Bytes allocated. */
  readonly uordblks: number;
  /** Bytes free. */
  readonly fordblks: number;
  /** Always 0: there is no top chunk to give back. */
  readonly keepcost: number;
}

type Counters = Pick<HeapStatistics, "allocatedBytes" | "freeBytes" | "mappedBytes">;

/** mallinfo2: words, i.e. whole numbers. */
export function mallinfo2Of({ allocatedBytes, freeBytes, mappedBytes }: Counters): Mallinfo {
  return {
    arena: 0,
    ordblks: 0,
    smblks: 0,
    hblks: 0,
    hblkhd: mappedBytes,
    usmblks: mappedBytes,
    fsmblks: freeBytes,
    uordblks: allocatedBytes,
    fordblks: freeBytes,
    keepcost: 0,
  };
}

/** mallinfo: the same in C's int, which cuts what does not fit 32 bits. */
export function mallinfoOf(counters: Counters): Mallinfo {
  const words = mallinfo2Of(counters);
  const cut = Object.entries(words).map(([field, value]) => [field, toInt32(value)]);
  return Object.fromEntries(cut) as unknown as Mallinfo;
}

/** C's conversion of a word to int; `| 0` alone is wrong only above 2^53. */
function toInt32(value: number): number {
  return value | 0;
}
