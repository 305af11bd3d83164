// What the programs of a replay store: a byte that follows from the block and the offset, so that it can be checked later.

/** The byte at `offset` of the block with this generation; every store of a replay writes it. */
export function contentByte(generation: number, offset: number): number {
  return (Math.imul(generation, 0x9e3779b1) ^ Math.imul((offset % 2 ** 32) | 0, 0x85ebca6b)) >>> 24;
}
