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

/** Freed chunks whose origin is remembered, a power of two, and large ones whose place is. */
const REMEMBERED = 65_536;
const LARGE_REMEMBERED = 256;
/** What chunks are made by, as chunk headers number it. */
const ORIGINS = ["malloc", "new", "new[]", "memalign"] as const;

/** Who knows what made freed chunks, where the checker does not hear of each. */
export interface KnownOrigins {
  /** As chunk headers number it; −1: it is not known of this one. */
  madeBy(pointer: Address): number;
}

/** What made a chunk, by its number; null: −1. */
export function originNamed(number: number): Block["origin"] | null {
  return ORIGINS[number] ?? null;
}

/**
 * While all chunks that were freed were made by the same functions, as in most programs, that says it of each: they are only logged.
 * The first one that was made otherwise takes the log into a table by address.
 */
export class FreedBlocks {
  /** What made chunks that are not remembered, if it is always the same. */
  otherOrigin: Block["origin"] | null = null;
  /** False: some chunks are freed without a {@link note}. Then only `known` says what made one. */
  hearsAll = true;
  known: KnownOrigins | null = null;
  /** What made all chunks that were freed; −1: none was, or the table says it. */
  private onlyOrigin = -1;
  private isMixed = false;
  /** Chunks that were freed last, a ring: the newest at `logged − 1`. */
  private log = new Float64Array(0);
  private logged = 0;
  private readonly rows = new RecentRows(REMEMBERED);
  /** By row. */
  private origins = new Uint8Array(0);
  /** The newest last. */
  private readonly large: FreedBlock[] = [];

  /** `origin`: as its header has it. `isLarge`: it had a mapping of its own, which may be gone. */
  note(pointer: Address, size: ByteCount, origin: number, isLarge: boolean): void {
    if (this.hearsAll) {
      if (!this.isMixed && (origin === this.onlyOrigin || this.logged === 0)) this.append(pointer, origin);
      else this.remember(pointer, origin);
    }
    if (!isLarge) return;
    this.large.push({ pointer, size, origin: ORIGINS[origin] });
    if (this.large.length > LARGE_REMEMBERED) this.large.shift();
  }

  private append(pointer: Address, origin: number): void {
    const at = this.logged & (REMEMBERED - 1);
    if (at >= this.log.length) this.log = longer(Float64Array, this.log, Math.min(REMEMBERED, Math.max(64, at * 2)));
    this.log[at] = pointer;
    this.logged++;
    this.onlyOrigin = origin;
  }

  private remember(pointer: Address, origin: number): void {
    if (!this.isMixed) this.takeLog();
    const row = this.rows.add(pointer);
    if (row >= this.origins.length) this.origins = longer(Uint8Array, this.origins, Math.max(64, (row + 1) * 2));
    this.origins[row] = origin;
  }

  private takeLog(): void {
    this.isMixed = true;
    const { log, logged, onlyOrigin } = this;
    for (let i = Math.max(0, logged - REMEMBERED); i < logged; i++)
      this.remember(log[i & (REMEMBERED - 1)], onlyOrigin);
    this.log = new Float64Array(0);
  }

  /** A chunk begins at `pointer`. */
  forget(pointer: Address): void {
    if (this.isMixed) this.rows.remove(pointer);
  }

  /** What made the chunk that was freed last at `pointer`; null: that is not remembered. */
  originOf(pointer: Address): Block["origin"] | null {
    if (!this.hearsAll) return originNamed(this.known?.madeBy(pointer) ?? -1);
    if (!this.isMixed) return this.logged === 0 ? null : ORIGINS[this.onlyOrigin];
    const row = this.rows.find(pointer);
    return row < 0 ? null : ORIGINS[this.origins[row]];
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
