// Chunks that were freed, as far as their memory no longer tells: what made them, and where large ones lay.
// Small chunks' places and sizes are in their headers; stacks are kept by common/stacks.ts.

import { keepClass } from "../../platform/state/kept.ts";
import type { Block } from "./finding.ts";

export interface FreedBlock {
  readonly pointer: number;
  readonly size: number;
  readonly origin: Block["origin"];
}

/** Freed chunks whose origin is remembered, and large ones whose place is. */
const REMEMBERED = 65_536;
const LARGE_REMEMBERED = 256;

export class FreedBlocks {
  private readonly byPointer = new Map<number, FreedBlock>();
  /** The newest last. */
  private large: FreedBlock[] = [];

  /** `isLarge`: it had a mapping of its own, which may be gone. */
  note(pointer: number, size: number, origin: Block["origin"], { isLarge }: { readonly isLarge: boolean }): void {
    const block: FreedBlock = { pointer, size, origin };
    this.byPointer.delete(pointer);
    this.byPointer.set(pointer, block);
    if (isLarge) {
      this.large.push(block);
      if (this.large.length > LARGE_REMEMBERED) this.large.shift();
    }
    if (this.byPointer.size <= REMEMBERED) return;
    for (const oldest of this.byPointer.keys()) {
      this.byPointer.delete(oldest);
      return;
    }
  }

  /** A chunk begins at `pointer`. */
  forget(pointer: number): void {
    this.byPointer.delete(pointer);
  }

  get(pointer: number): FreedBlock | null {
    return this.byPointer.get(pointer) ?? null;
  }

  /** The large chunk that was freed last of those that held `address`, or ended or began at most `room` bytes from it. */
  largeNear(address: number, room: number): FreedBlock | null {
    const holder = this.large.findLast(({ pointer, size }) => address >= pointer && address < pointer + size);
    return (
      holder ??
      this.large.findLast(({ pointer, size }) => address >= pointer - room && address < pointer + size + room) ??
      null
    );
  }
}

keepClass("FreedBlocks", FreedBlocks);
