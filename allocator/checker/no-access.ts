// Memory that the program itself declared out of bounds (make-noaccess, pools): a bitmap for each page that has some.
// What the heap's own state rules out, freed chunks and headers, is not here: that is read from the heap.

const PAGE_SIZE = 4096;

export class NoAccess {
  /** One bit a byte, by page number; pages without such bytes have no entry. */
  private readonly pages = new Map<number, Uint8Array>();

  /** Nothing is out of bounds, as in nearly every program. */
  isEmpty = true;

  /** Bytes of bookkeeping. */
  get memoryBytes(): number {
    return (this.pages.size * PAGE_SIZE) / 8;
  }

  forbid(address: number, length: number): void {
    for (let at = address; at < address + length; at++) {
      const page = Math.floor(at / PAGE_SIZE);
      let bits = this.pages.get(page);
      if (bits === undefined) {
        bits = new Uint8Array(PAGE_SIZE / 8);
        this.pages.set(page, bits);
      }
      bits[(at % PAGE_SIZE) >> 3] |= 1 << (at & 7);
    }
    this.isEmpty = this.pages.size === 0;
  }

  allow(address: number, length: number): void {
    if (this.isEmpty) return;
    const endPage = Math.ceil((address + length) / PAGE_SIZE);
    for (let page = Math.floor(address / PAGE_SIZE); page < endPage; page++) {
      const bits = this.pages.get(page);
      if (bits === undefined) continue;
      const from = Math.max(0, address - page * PAGE_SIZE);
      const end = Math.min(PAGE_SIZE, address + length - page * PAGE_SIZE);
      for (let bit = from; bit < end; bit++) bits[bit >> 3] &= ~(1 << (bit & 7));
      if (bits.every((byte) => byte === 0)) this.pages.delete(page);
    }
    this.isEmpty = this.pages.size === 0;
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
}
