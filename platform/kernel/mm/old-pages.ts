// Which private pages a forked process has not been seen to touch: fork makes the child's entries old (pte_mkold). Entries have no
// accessed bit, so this is a bitmap beside them that only fork writes; smaps asks whether a page is still as fork left it.
import type { EntryBlock, PageNumber } from "../../hardware/integers.ts";
import { ENTRIES_PER_BLOCK } from "../../hardware/page-table.ts";
import { keepClass } from "../../state/kept.ts";

const WORDS = ENTRIES_PER_BLOCK / 32;

export class OldPages {
  /** One bit a page, by block of the page table. Blocks that are old as a whole, as huge pages are, share one that is never written. */
  private readonly blocks = new Map<number, Int32Array>();
  private readonly wholeBlock = new Int32Array(WORDS).fill(-1);
  /** The block of the last page that was added: fork goes upwards. */
  private lastBlock = -1;
  private lastWords: Int32Array = new Int32Array(0);

  add(page: PageNumber): void {
    const block = Math.floor(page / ENTRIES_PER_BLOCK);
    if (block !== this.lastBlock) {
      this.lastWords = this.ownWords(block);
      this.lastBlock = block;
    }
    this.lastWords[(page >>> 5) % WORDS] |= 1 << (page & 31);
  }

  /** All pages of the block that starts at `page`. */
  addBlock(page: PageNumber): void {
    this.blocks.set(page / ENTRIES_PER_BLOCK, this.wholeBlock);
    this.lastBlock = -1;
  }

  delete(page: PageNumber): void {
    const block = Math.floor(page / ENTRIES_PER_BLOCK);
    if (this.blocks.has(block)) this.ownWords(block)[(page >>> 5) % WORDS] &= ~(1 << (page & 31));
  }

  deleteBlock(page: PageNumber): void {
    this.blocks.delete(page / ENTRIES_PER_BLOCK);
    this.lastBlock = -1;
  }

  /** The words of a block, to be written. */
  private ownWords(block: EntryBlock): Int32Array {
    let words = this.blocks.get(block);
    if (words !== undefined && words !== this.wholeBlock) return words;
    words = words === undefined ? new Int32Array(WORDS) : this.wholeBlock.slice();
    this.blocks.set(block, words);
    return words;
  }

  has(page: PageNumber): boolean {
    const words = this.blocks.get(Math.floor(page / ENTRIES_PER_BLOCK));
    return words !== undefined && ((words[(page >>> 5) % WORDS] >> (page & 31)) & 1) === 1;
  }
}

keepClass("OldPages", OldPages);
