// Memory that the program itself declared out of bounds (make-noaccess, pools): a bitmap for each page that has some.
// What the heap's own state rules out, freed chunks and headers, is not here: that is read from the heap.

const PAGE_SIZE = 4096;

export class NoAccess {
  /** One bit a byte, by page number; pages without such bytes have no entry. */
  private readonly pages = new Map<number, Uint8Array>();

  get isEmpty(): boolean {
    return this.pages.size === 0;
  }

  /** Bytes of bookkeeping. */
  get memoryBytes(): number {
    return (this.pages.size * PAGE_SIZE) / 8;
  }

  forbid(address: number, length: number): void {
    this.forEachByte(address, length, (page, bit) => {
      let bits = this.pages.get(page);
      if (bits === undefined) {
        bits = new Uint8Array(PAGE_SIZE / 8);
        this.pages.set(page, bits);
      }
      bits[bit >> 3] |= 1 << (bit & 7);
    });
  }

  allow(address: number, length: number): void {
    if (this.isEmpty) return;
    this.forEachByte(address, length, (page, bit) => {
      const bits = this.pages.get(page);
      if (bits !== undefined) bits[bit >> 3] &= ~(1 << (bit & 7));
    });
    for (const [page, bits] of this.pages) if (bits.every((byte) => byte === 0)) this.pages.delete(page);
  }

  /** The first byte of a range that is out of bounds, or −1. */
  first(address: number, length: number): number {
    if (this.isEmpty) return -1;
    for (let at = address; at < address + length; at++) {
      const bits = this.pages.get(Math.floor(at / PAGE_SIZE));
      const bit = at % PAGE_SIZE;
      if (bits === undefined) at += PAGE_SIZE - bit - 1;
      else if (((bits[bit >> 3] >> (bit & 7)) & 1) !== 0) return at;
    }
    return -1;
  }

  private forEachByte(address: number, length: number, visit: (page: number, bit: number) => void): void {
    for (let at = address; at < address + length; at++) visit(Math.floor(at / PAGE_SIZE), at % PAGE_SIZE);
  }
}
