// Whose memory it is at the peak: live blocks by size and by call site, and how much of the large ones was never stored to.
// That part is what a fill by memset makes resident, and what a reference page leaves alone.

const PAGE_BYTES = 4096;
/** Upper bounds of the sizes, in bytes; what is larger than the last has none. */
const SIZE_BOUNDS: readonly number[] = [256, 4096, 65536, 262144, 1048576, 4194304, 16777216];
const MAX_SITES_SHOWN = 25;
/** The share of the untouched bytes that "most of it" means. */
const MOST = 0.9;

export interface Share {
  readonly blocks: number;
  /** Asked for. */
  readonly bytes: number;
  /** Of these, on pages of large blocks that the program has not stored to. */
  readonly untouchedBytes: number;
}

/** Live blocks when the resident memory was at its highest. */
export interface PeakShares {
  readonly operation: number;
  readonly total: Share;
  /** null: larger than all bounds. Sizes without a block are left out. */
  readonly sizes: readonly (Share & { readonly atMost: number | null })[];
  /** Those with most untouched bytes first; none if the trace knows no call sites. */
  readonly sites: readonly (Share & { readonly site: string })[];
  /** How many call sites together have nine tenths of the untouched bytes. */
  readonly sitesOfMost: number;
}

/** Blocks, bytes and untouched bytes of each key. */
class Sums {
  private blocks = new Float64Array(64);
  private bytes = new Float64Array(64);
  private untouched = new Float64Array(64);

  add(key: number, blocks: number, bytes: number, untouched: number): void {
    if (key >= this.blocks.length) {
      this.blocks = grown(this.blocks, key);
      this.bytes = grown(this.bytes, key);
      this.untouched = grown(this.untouched, key);
    }
    this.blocks[key] += blocks;
    this.bytes[key] += bytes;
    this.untouched[key] += untouched;
  }

  copyFrom({ blocks, bytes, untouched }: Sums): void {
    this.blocks = blocks.slice();
    this.bytes = bytes.slice();
    this.untouched = untouched.slice();
  }

  /** Keys that have blocks, with their shares. */
  shares(): [number, Share][] {
    const { blocks, bytes, untouched } = this;
    return [...blocks.keys()]
      .filter((key) => blocks[key] > 0)
      .map((key) => [key, { blocks: blocks[key], bytes: bytes[key], untouchedBytes: untouched[key] }]);
  }
}

export class Attribution {
  private readonly largestSmall: number;
  private readonly sizes = new Sums();
  private readonly sites = new Sums();
  private readonly peakSizes = new Sums();
  private readonly peakSites = new Sums();
  private peakOperation = 0;
  /** By slot: the block's size, its site, and for large blocks which pages were stored to. */
  private size = new Float64Array(1024);
  private site = new Float64Array(1024);
  private readonly stored = new Map<number, Uint8Array>();

  /** @param largestSmall blocks of more bytes have pages of their own */
  constructor(largestSmall: number) {
    this.largestSmall = largestSmall;
  }

  born(slot: number, size: number, site: number): void {
    if (slot >= this.size.length) {
      this.size = grown(this.size, slot);
      this.site = grown(this.site, slot);
    }
    this.size[slot] = size;
    this.site[slot] = site;
    if (size > this.largestSmall) this.stored.set(slot, new Uint8Array(Math.ceil(size / PAGE_BYTES)));
    this.count(slot, 1);
  }

  died(slot: number): void {
    this.count(slot, -1);
    if (this.size[slot] > this.largestSmall) this.stored.delete(slot);
  }

  moved(slot: number, size: number, site: number): void {
    const before = this.stored.get(slot);
    this.died(slot);
    this.size[slot] = size;
    this.site[slot] = site;
    if (size > this.largestSmall) {
      const stored = new Uint8Array(Math.ceil(size / PAGE_BYTES));
      if (before !== undefined) stored.set(before.subarray(0, stored.length));
      // A small block's bytes are copied to the first pages.
      else stored[0] = 1;
      this.stored.set(slot, stored);
    }
    this.count(slot, 1);
  }

  storedTo(slot: number, offset: number): void {
    if (this.size[slot] <= this.largestSmall) return;
    const stored = this.stored.get(slot);
    const page = Math.floor(offset / PAGE_BYTES);
    if (stored === undefined || stored[page] === 1) return;
    stored[page] = 1;
    const bytes = Math.min(PAGE_BYTES, this.size[slot] - page * PAGE_BYTES);
    this.sizes.add(sizeKey(this.size[slot]), 0, 0, -bytes);
    this.sites.add(this.site[slot], 0, 0, -bytes);
  }

  /** The resident memory is higher than ever before. */
  peak(operation: number): void {
    this.peakOperation = operation;
    this.peakSizes.copyFrom(this.sizes);
    this.peakSites.copyFrom(this.sites);
  }

  result(siteNames: readonly string[]): PeakShares {
    const sizes = this.peakSizes.shares();
    const total = sizes.reduce((sum, [, share]) => plus(sum, share), { blocks: 0, bytes: 0, untouchedBytes: 0 });
    const sites = this.peakSites
      .shares()
      .filter(([key]) => key > 0)
      .sort(([, a], [, b]) => b.untouchedBytes - a.untouchedBytes || b.bytes - a.bytes);
    return {
      operation: this.peakOperation,
      total,
      sizes: sizes.map(([key, share]) => ({ atMost: SIZE_BOUNDS[key] ?? null, ...share })),
      sites: sites.slice(0, MAX_SITES_SHOWN).map(([key, share]) => ({ site: siteNames[key] ?? "", ...share })),
      sitesOfMost: sitesOfMost(sites.map(([, { untouchedBytes }]) => untouchedBytes)),
    };
  }

  private count(slot: number, sign: 1 | -1): void {
    const size = this.size[slot];
    const untouched = this.untouchedBytes(slot);
    this.sizes.add(sizeKey(size), sign, sign * size, sign * untouched);
    this.sites.add(this.site[slot], sign, sign * size, sign * untouched);
  }

  private untouchedBytes(slot: number): number {
    if (this.size[slot] <= this.largestSmall) return 0;
    const stored = this.stored.get(slot);
    if (stored === undefined) return 0;
    let bytes = this.size[slot];
    for (let page = 0; page < stored.length; page++) {
      if (stored[page] === 1) bytes -= Math.min(PAGE_BYTES, this.size[slot] - page * PAGE_BYTES);
    }
    return bytes;
  }
}

function sizeKey(size: number): number {
  let key = 0;
  while (key < SIZE_BOUNDS.length && size > SIZE_BOUNDS[key]) key++;
  return key;
}

function sitesOfMost(descending: readonly number[]): number {
  const all = descending.reduce((sum, bytes) => sum + bytes, 0);
  let [sum, count] = [0, 0];
  while (count < descending.length && sum < MOST * all) sum += descending[count++];
  return count;
}

function plus(a: Share, b: Share): Share {
  return {
    blocks: a.blocks + b.blocks,
    bytes: a.bytes + b.bytes,
    untouchedBytes: a.untouchedBytes + b.untouchedBytes,
  };
}

function grown(column: Float64Array<ArrayBuffer>, key: number): Float64Array<ArrayBuffer> {
  let length = column.length;
  while (length <= key) length *= 2;
  const larger = new Float64Array(length);
  larger.set(column);
  return larger;
}
