// What a family of heaps does at the turns of a chunk's life: nothing in a plain heap, tags in a tagged one, marks in a tracked one.
// combined.ts and reallocate.ts call; tagging/tagged-allocator.ts and tracking/byte-allocator.ts override.

import type { Address } from "../../platform/hardware/integers.ts";
import type { ChunkAction } from "../common/report.ts";

/**
 * Pointers named `plain` have no tag; `low` is a header's low word, `offset` its offset. Hooks that begin with `begin` or
 * `prepare` may refuse the operation by throwing, as long as they have changed nothing; those that begin with `note` must not.
 */
export abstract class FamilyHooks {
  /** A user's pointer without its tag. */
  untag(pointer: Address): Address {
    return pointer;
  }

  /** The pointer that the user has of the chunk at `plain`: with the tag that its memory has. */
  userPointer(plain: Address): Address {
    return plain;
  }

  /** The pointer to a chunk that was resized and is at `plain` now, from the pointer that was given. */
  resizedPointer(plain: Address, _given: number): Address {
    return plain;
  }

  /** M_TUNE's odd and even tags (S22.4). */
  setOddEvenTags(_on: boolean): void {}

  /** Reports a pointer that is given back with another tag than its chunk has. */
  checkTag(_pointer: number, _plain: number, _low: number, _action: ChunkAction): void {}

  /**
   * Right before a chunk's header says that it is free.
   * @returns was-zeroed, in the header's place (S1.1)
   */
  protected beginFree(_plain: number, _low: number, _offset: number): number {
    return 0;
  }

  /** Once the header says that the chunk is free, and before other chunks can be reported. */
  protected noteFree(_plain: number, _low: number): void {}

  /** Before a chunk changes its size in place. */
  prepareResize(_plain: number, _low: number, _oldSize: number, _newSize: number): void {}

  /** When a chunk changes its size in place; {@link prepareResize} came before, the header is still the old one. */
  noteResize(_plain: number, _low: number, _oldSize: number, _newSize: number): void {}

  /** After a large chunk has moved from `oldPlain` to `plain` with its pages. */
  noteMove(_plain: number, _low: number, _oldSize: number, _newSize: number, _oldPlain: number): void {}

  /** When realloc has copied a chunk at `oldPlain` to a new one at `pointer`, before the old one is freed. */
  noteCopy(_pointer: number, _oldSize: number, _newSize: number, _oldPlain: number): void {}

  /** When realloc of the user's `pointer` has thrown. */
  noteRefusal(_pointer: number, _error: unknown): void {}
}
