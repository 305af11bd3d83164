// The leak check: which chunks can still be reached from the roots that the user gives, by Memcheck's rules.
// Memory is scanned word by word; what is undefined or was never touched holds no pointers. Grouping and text are the checker's.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE, PTE_FRAME_SHIFT, PTE_PRESENT, PTE_SPECIAL, TAG_UNIT } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { findUndefined } from "../../platform/hardware/validity.ts";
import type { LeakKind } from "./finding.ts";

/** A pointer that the program holds outside simulated memory, or a range of memory that holds pointers. */
export type Root =
  | number
  | {
      /** Address of the range's first byte. */
      readonly address: Address;
      /** Bytes of the range. */
      readonly length: ByteCount;
    };

/** How pointers look in memory: 64-bit integers, doubles, or either; or 32-bit integers, as a WebAssembly module's. */
export type PointerForm = "integer" | "float64" | "either" | "integer32";

export interface LeakedChunk {
  readonly pointer: Address;
  readonly size: ByteCount;
  readonly kind: LeakKind;
}

const WORD = 8;
const SHORT_WORD = 4;
/** Reached from no root, from a root by interior pointers only, by pointers to begins. */
const UNREACHED = 0;
const POSSIBLE = 1;
const REACHABLE = 2;
const WORD_HIGH = 2 ** 32;

export class LeakScan {
  private readonly memory: Memory;
  private readonly form: PointerForm;
  /** Chunks, ascending. */
  private readonly pointers: Float64Array;
  private readonly sizes: Float64Array;
  private readonly states: Uint8Array;
  private readonly indirect: Uint8Array;
  private readonly pending: number[] = [];

  /** @param memory the heap's own, whose loads are never reported */
  constructor(memory: Memory, chunks: readonly { pointer: Address; size: ByteCount }[], form: PointerForm) {
    const sorted = [...chunks].sort((a, b) => a.pointer - b.pointer);
    this.memory = memory;
    this.form = form;
    this.pointers = Float64Array.from(sorted, ({ pointer }) => pointer);
    this.sizes = Float64Array.from(sorted, ({ size }) => size);
    this.states = new Uint8Array(sorted.length);
    this.indirect = new Uint8Array(sorted.length);
  }

  /** Every chunk with what became of it. Cost: the touched words of roots and chunks, a binary search each. */
  run(roots: readonly Root[]): LeakedChunk[] {
    const reach = (row: number, isStart: boolean) => this.raise(row, isStart ? REACHABLE : POSSIBLE);
    for (const root of roots) {
      if (typeof root === "number") this.follow(root % TAG_UNIT, reach);
      else this.scan(root.address, root.length, reach);
    }
    this.drain();
    const kinds = this.classify();
    return Array.from(this.pointers, (pointer, row) => ({ pointer, size: this.sizes[row], kind: kinds[row] }));
  }

  private raise(row: number, state: number): void {
    if (this.states[row] >= state) return;
    this.states[row] = state;
    this.pending.push(row);
  }

  private drain(): void {
    for (let row = this.pending.pop(); row !== undefined; row = this.pending.pop()) {
      const state = this.states[row];
      this.scan(this.pointers[row], this.sizes[row], (found, isStart) =>
        this.raise(found, isStart && state === REACHABLE ? REACHABLE : POSSIBLE),
      );
    }
  }

  /** Of the unreached, those that another unreached one points to are lost by it: indirectly. */
  private classify(): LeakKind[] {
    const visited = new Uint8Array(this.states.length);
    for (let leader = 0; leader < this.states.length; leader++) {
      if (this.states[leader] !== UNREACHED || visited[leader] !== 0) continue;
      this.gatherClique(leader, visited);
    }
    return Array.from(this.states, (state, row) => {
      if (state === REACHABLE) return "still reachable";
      if (state === POSSIBLE) return "possibly lost";
      return this.indirect[row] === 1 ? "indirectly lost" : "definitely lost";
    });
  }

  private gatherClique(leader: number, visited: Uint8Array): void {
    const work = [leader];
    visited[leader] = 1;
    for (let row = work.pop(); row !== undefined; row = work.pop()) {
      this.scan(this.pointers[row], this.sizes[row], (found) => {
        if (this.states[found] !== UNREACHED || found === leader) return;
        this.indirect[found] = 1;
        if (visited[found] === 0) {
          visited[found] = 1;
          work.push(found);
        }
      });
    }
  }

  /** Visits what the aligned words of a range point to. */
  private scan(address: Address, length: ByteCount, visit: (row: number, isStart: boolean) => void): void {
    const { pageTable, ram } = this.memory;
    const end = address + length;
    const endPage = Math.ceil(end / PAGE_SIZE);
    let page = Math.floor(address / PAGE_SIZE);
    for (page = pageTable.next(page, endPage); page < endPage; page = pageTable.next(page + 1, endPage)) {
      const entry = pageTable.entryOf(page);
      if ((entry & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
      const frame = entry >>> PTE_FRAME_SHIFT;
      const view = ram.viewOf(frame);
      const start = ram.positionOf(frame);
      if (this.form === "integer32") {
        this.scanShortWords(
          view,
          start,
          Math.max(0, address - page * PAGE_SIZE),
          Math.min(PAGE_SIZE, end - page * PAGE_SIZE),
          visit,
        );
        continue;
      }
      const from = Math.max(0, Math.ceil((address - page * PAGE_SIZE) / WORD) * WORD);
      const to = Math.min(PAGE_SIZE, end - page * PAGE_SIZE) - WORD;
      for (let offset = from; offset <= to; offset += WORD) {
        const low = view.getUint32(start + offset, true);
        const high = view.getUint32(start + offset + 4, true);
        if ((low | high) === 0 || findUndefined(ram, frame * PAGE_SIZE + offset, WORD) >= 0) continue;
        // Bits 52 and above are no address; bits 48 to 51 are a tag.
        if (this.form !== "float64" && high < 2 ** 20) this.follow(low + (high % 2 ** 16) * WORD_HIGH, visit);
        if (this.form !== "integer" && high >= 2 ** 20)
          this.follow(view.getFloat64(start + offset, true) % TAG_UNIT, visit);
      }
    }
  }

  /** The aligned 32-bit words of one page, from offset to offset; they are not known to be undefined. */
  private scanShortWords(
    view: DataView,
    start: number,
    from: number,
    to: number,
    visit: (row: number, isStart: boolean) => void,
  ): void {
    for (let offset = Math.ceil(from / SHORT_WORD) * SHORT_WORD; offset <= to - SHORT_WORD; offset += SHORT_WORD) {
      const word = view.getUint32(start + offset, true);
      if (word !== 0) this.follow(word, visit);
    }
  }

  private follow(address: Address, visit: (row: number, isStart: boolean) => void): void {
    const row = this.rowAt(address);
    if (row >= 0) visit(row, this.pointers[row] === address);
  }

  /** The chunk that holds `address`, or −1. A chunk of no bytes is held by a pointer to it. */
  private rowAt(address: Address): number {
    let low = 0;
    let high = this.pointers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.pointers[middle] <= address) low = middle + 1;
      else high = middle;
    }
    const row = low - 1;
    return row >= 0 && address < this.pointers[row] + Math.max(1, this.sizes[row]) ? row : -1;
  }
}
