// Which private pages a forked process has not been seen to touch: fork makes the child's entries old (pte_mkold). Entries have no
// accessed bit, so this is a bitmap beside them that only fork writes; smaps asks whether a page is still as fork left it.
import type { PageNumber } from "../../hardware/integers.ts";
import { ENTRIES_PER_BLOCK } from "../../hardware/page-table.ts";
import { keepClass } from "../../state/kept.ts";

const WORDS = ENTRIES_PER_BLOCK / 32;

export class OldPages {
  /** One bit a page, by block of the page table. */
  private readonly blocks = new Map<number, Int32Array>();
  /** The block of the last page that was added: fork goes upwards. */
  private lastBlock = -1;
  private lastWords: Int32Array = new Int32Array(0);

  add(page: PageNumber): void {
    const block = Math.floor(page / ENTRIES_PER_BLOCK);
    if (block !== this.lastBlock) {
      this.lastWords = this.blocks.get(block) ?? new Int32Array(WORDS);
      this.lastBlock = block;
      this.blocks.set(block, this.lastWords);
    }
    this.lastWords[(page >>> 5) % WORDS] |= 1 << (page & 31);
  }

  /** All pages of the block that starts at `page`. */
  addBlock(page: PageNumber): void {
    this.add(page);
    this.lastWords.fill(-1);
  }

  delete(page: PageNumber): void {
    const words = this.blocks.get(Math.floor(page / ENTRIES_PER_BLOCK));
    if (words !== undefined) words[(page >>> 5) % WORDS] &= ~(1 << (page & 31));
  }

  deleteBlock(page: PageNumber): void {
    this.blocks.get(page / ENTRIES_PER_BLOCK)?.fill(0);
  }

  has(page: PageNumber): boolean {
    const words = this.blocks.get(Math.floor(page / ENTRIES_PER_BLOCK));
    return words !== undefined && ((words[(page >>> 5) % WORDS] >> (page & 31)) & 1) === 1;
  }
}

keepClass("OldPages", OldPages);
