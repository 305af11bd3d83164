// Chunks that were freed, as far as their memory no longer tells: what made them, and where large ones lay.
// Small chunks' places and sizes are in their headers; stacks are kept by common/stacks.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { longer } from "../common/longer.ts";
import { RecentRows } from "../common/recent-rows.ts";
import type { Block } from "./finding.ts";

export interface FreedBlock {
  readonly pointer: Address;
  readonly size: ByteCount;
  readonly origin: Block["origin"];
}

/** Freed chunks whose origin is remembered, and large ones whose place is. */
const REMEMBERED = 65_536;
const LARGE_REMEMBERED = 256;
/** What chunks are made by, as chunk headers number it. */
const ORIGINS = ["malloc", "new", "new[]", "memalign"] as const;

export class FreedBlocks {
  /** What made chunks that are not remembered, if it is always the same. */
  otherOrigin: Block["origin"] | null = null;
  private readonly rows = new RecentRows(REMEMBERED);
  /** By row. */
  private sizes = new Float64Array(0);
  private origins = new Uint8Array(0);
  /** The newest last. */
  private readonly large: FreedBlock[] = [];

  /** `origin`: as its header has it. `isLarge`: it had a mapping of its own, which may be gone. */
  note(pointer: Address, size: ByteCount, origin: number, isLarge: boolean): void {
    const row = this.rows.add(pointer);
    if (row >= this.sizes.length) this.grow(row + 1);
    this.sizes[row] = size;
    this.origins[row] = origin;
    if (!isLarge) return;
    this.large.push({ pointer, size, origin: ORIGINS[origin] });
    if (this.large.length > LARGE_REMEMBERED) this.large.shift();
  }

  private grow(rows: number): void {
    const length = Math.max(64, rows * 2);
    this.sizes = longer(Float64Array, this.sizes, length);
    this.origins = longer(Uint8Array, this.origins, length);
  }

  /** A chunk begins at `pointer`. */
  forget(pointer: Address): void {
    this.rows.remove(pointer);
  }

  get(pointer: Address): FreedBlock | null {
    const row = this.rows.find(pointer);
    return row < 0 ? null : { pointer, size: this.sizes[row], origin: ORIGINS[this.origins[row]] };
  }

  /** The large chunk that was freed last of those that held `address`, or ended or began at most `room` bytes from it. */
  largeNear(address: Address, room: number): FreedBlock | null {
    const holder = this.large.findLast(({ pointer, size }) => address >= pointer && address < pointer + size);
    return (
      holder ??
      this.large.findLast(({ pointer, size }) => address >= pointer - room && address < pointer + size + room) ??
      null
    );
  }
}

keepClass("FreedBlocks", FreedBlocks);
