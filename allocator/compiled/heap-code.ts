// What the bodies of the compiled malloc and free are put together from: loads of their tables, the place of a block in RAM, its
// header's checksum. The bodies are code.ts, the tables' places places.ts.

import { RAM_BEGIN, TABLE_BEGIN } from "../../platform/hardware/host-memory.ts";
import {
  ADDRESS_BITS,
  GRANULE_SHIFT,
  GRANULE_SIZE,
  PAGE_SHIFT,
  PAGE_SIZE,
  PTE_CHECKED,
  PTE_FRAME_MASK,
  PTE_READ,
  PTE_WRITE,
} from "../../platform/hardware/layout.ts";
import { POINTER_LOW, POINTER_MIDDLE, POINTER_TOP, SIZE_HIGH, SIZE_LOW, WORD_LOW } from "../combined/checksum.ts";
import { STAT_ALLOCATED } from "../primary/local-cache.ts";
import {
  F64,
  I32,
  I64,
  OP_BR_IF,
  OP_F64_LOAD,
  OP_F64_STORE,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_LOAD,
  OP_I32_LOAD16_U,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I32_WRAP_I64,
  OP_I32_XOR,
  OP_I64_ADD,
  OP_I64_EXTEND_I32_S,
  OP_I64_EXTEND_I32_U,
  OP_I64_GE_U,
  OP_I64_LOAD,
  OP_I64_SHL,
  OP_I64_SHR_U,
  V128,
} from "../wasm/binary/instructions.ts";
import { Code } from "../wasm/rewriting/code.ts";
import * as places from "./places.ts";

/** Locals of each type, behind the two parameters. */
const WORDS = 14;
const LONGS = 2;
const F64_CONST = 0x44;
/** Both a load and a store may go on, without a fault and without a check. */
const PLAIN = PTE_READ | PTE_WRITE;
const PLAIN_MASK = PLAIN | PTE_CHECKED;
/** Blocks that begin below this end below 2^38: of a size a header has 20 bits. */
const BLOCKS_END = (1n << BigInt(ADDRESS_BITS)) - (1n << 20n);
/** The granule's place in its page, of an address. */
const GRANULE_MASK = PAGE_SIZE - GRANULE_SIZE;

export class HeapCode extends Code {
  /** Parameters: where the heap's tables begin, and a size or pointer. */
  readonly area = 0;
  readonly operand = 1;
  /** Where the class's row is, but for the begin of all rows. */
  readonly row = 2;
  /** The running thread's cache, and the class's place in it, but for the begin of counts. */
  readonly cache = 3;
  readonly inCache = 4;
  readonly count = 5;
  /** The page's entry; where the block is in RAM. */
  readonly entry = 6;
  readonly at = 7;
  readonly next = 8;
  readonly end = 9;
  /** The low word of a header. */
  readonly low = 10;
  /** Of a tagged heap: a chunk's tag, bytes and their place that get a tag, a place among tags, a draw. */
  readonly tag = 11;
  readonly tagBytes = 12;
  readonly place = 13;
  readonly pair = 14;
  readonly draw = 15;
  /** The address of the block at first, then that of the chunk; or the other way round. */
  readonly address = 16;
  readonly header = 17;
  readonly double = 18;
  readonly vector = 19;

  constructor() {
    super(1024);
    this.byte(4);
    this.two(WORDS, I32);
    this.two(LONGS, I64);
    this.two(1, F64);
    this.two(1, V128);
  }

  constantDouble(value: number): void {
    this.byte(F64_CONST);
    for (const byte of new Uint8Array(new Float64Array([value]).buffer)) this.byte(byte);
  }

  shiftLeft(bits: number): void {
    this.constant(bits);
    this.byte(OP_I32_SHL);
  }

  shiftRight(bits: number): void {
    this.constant(bits);
    this.byte(OP_I32_SHR_U);
  }

  /** Leaves the outermost block, and so answers 0, if what is on the stack is not 0. In no other block. */
  giveUpIf(): void {
    this.branch(OP_BR_IF, 0);
  }

  /** Pushes a word of the heap's tables. */
  areaWord(place: number): void {
    this.localGet(this.area);
    this.memory(OP_I32_LOAD, place);
  }

  /** The first step: gives up while the gate is closed. */
  enter(): void {
    this.areaWord(places.GATE);
    this.localTee(this.cache);
    this.constant(1);
    this.byte(OP_I32_AND);
    this.giveUpIf();
  }

  /** Takes a class: its row and its place in the cache are meant from now on. */
  toRow(): void {
    const { row, cache, inCache, area } = this;
    this.localTee(row);
    this.shiftLeft(2);
    this.localGet(cache);
    this.byte(OP_I32_ADD);
    this.localSet(inCache);
    this.localGet(row);
    this.shiftLeft(places.ROW_SHIFT);
    this.localGet(area);
    this.byte(OP_I32_ADD);
    this.localSet(row);
  }

  /** Pushes a column of the class's row. */
  fromRow(opcode: number, place: number): void {
    this.localGet(this.row);
    this.memory(opcode, place);
  }

  /** From a number of blocks to the place in the class's stack that they end at. */
  stackEntry(): void {
    this.shiftLeft(2);
    this.fromRow(OP_I32_LOAD, places.STACK);
    this.byte(OP_I32_ADD);
    this.localGet(this.cache);
    this.byte(OP_I32_ADD);
  }

  /** From the number of a block in the class's stack to its `address`; gives up if the block may lie in pages that there are not. */
  toBlock(): void {
    this.stackEntry();
    this.memory(OP_I32_LOAD, 0);
    // A free of a forged header may have brought in any address, also one in front of the region.
    this.byte(OP_I64_EXTEND_I32_S);
    this.constant64(BigInt(GRANULE_SHIFT));
    this.byte(OP_I64_SHL);
    this.fromRow(OP_I64_LOAD, places.BEGIN);
    this.byte(OP_I64_ADD);
    this.localTee(this.address);
    this.constant64(BLOCKS_END);
    this.byte(OP_I64_GE_U);
    this.giveUpIf();
  }

  /** Moves `address` by a granule, up or down. */
  moveAddress(operation: number): void {
    this.localGet(this.address);
    this.constant64(BigInt(GRANULE_SIZE));
    this.byte(operation);
    this.localSet(this.address);
  }

  /**
   * Looks the page of `address` up: gives up if its entry does not have exactly the bits `wanted` of those in `mask`; `at` is the place in
   * RAM.
   */
  locate(mask = PLAIN_MASK, wanted = PLAIN): void {
    const { address, entry, at } = this;
    this.localGet(address);
    this.constant64(BigInt(PAGE_SHIFT));
    this.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
    this.shiftLeft(2);
    this.memory(OP_I32_LOAD, TABLE_BEGIN);
    this.localTee(entry);
    this.constant(mask);
    this.byte(OP_I32_AND);
    this.constant(wanted);
    this.byte(OP_I32_NE);
    this.giveUpIf();
    this.localGet(entry);
    this.constant(PTE_FRAME_MASK);
    this.byte(OP_I32_AND);
    this.shiftLeft(2);
    this.localGet(address);
    this.byte(OP_I32_WRAP_I64);
    this.constant(GRANULE_MASK);
    this.plain(OP_I32_AND, OP_I32_OR);
    this.localSet(at);
  }

  /** XORs what is below with a part of a sum, by the `bits` from `shift` on of what is on the stack. */
  private part(table: number, shift: number, bits: number): void {
    // A sum has two bytes.
    if (shift > 0) this.shiftRight(shift - 1);
    else this.shiftLeft(1);
    this.constant((2 << bits) - 2);
    this.byte(OP_I32_AND);
    this.memory(OP_I32_LOAD16_U, places.SUMS + 2 * table);
    this.byte(OP_I32_XOR);
  }

  /** Pushes what the cookie and the chunk's `address` contribute to its header's checksum (granuleChecksum of combined/checksum.ts). */
  private pointerSum(): void {
    const { address } = this;
    this.areaWord(places.COOKIE);
    this.localGet(address);
    this.byte(OP_I32_WRAP_I64);
    this.part(POINTER_LOW, 4, 12);
    this.localGet(address);
    this.byte(OP_I32_WRAP_I64);
    this.part(POINTER_MIDDLE, 16, 12);
    this.localGet(address);
    this.constant64(27n);
    this.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
    this.part(POINTER_TOP, 1, 10);
  }

  /** Pushes where a checksum is in a header, of the chunk at `address` and, if there is one, the low word in `low`. */
  sum(low: number | null): void {
    this.pointerSum();
    if (low !== null) {
      this.localGet(low);
      this.part(WORD_LOW, 0, 12);
      this.localGet(low);
      this.part(SIZE_LOW, 12, 10);
      this.localGet(low);
      this.part(SIZE_HIGH, 22, 10);
    }
    this.byte(OP_I64_EXTEND_I32_U);
    this.constant64(48n);
    this.byte(OP_I64_SHL);
  }

  /** Pushes the header in RAM. */
  loadHeader(): void {
    this.localGet(this.at);
    this.memory(OP_I64_LOAD, RAM_BEGIN);
  }

  /** Counts a block in the cache's statistics. */
  countBlock(operation: number): void {
    const place = places.STATISTICS + 8 * STAT_ALLOCATED;
    this.localGet(this.cache);
    this.localGet(this.cache);
    this.memory(OP_F64_LOAD, place);
    this.fromRow(OP_F64_LOAD, places.BLOCK_SIZE);
    this.byte(operation);
    this.memory(OP_F64_STORE, place);
  }
}
