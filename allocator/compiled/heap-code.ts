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
import { HEADER_SIZE } from "../combined/chunk-header.ts";
import { STAT_ALLOCATED } from "../primary/local-cache.ts";
import {
  F64,
  I32,
  I64,
  OP_BR_IF,
  OP_END,
  OP_F64_ADD,
  OP_F64_LOAD,
  OP_F64_NE,
  OP_F64_STORE,
  OP_F64_SUB,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_LOAD,
  OP_I32_LOAD16_U,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_STORE,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I32_XOR,
  OP_I64_ADD,
  OP_I64_EXTEND_I32_S,
  OP_I64_EXTEND_I32_U,
  OP_I64_GE_U,
  OP_I64_LOAD,
  OP_I64_REINTERPRET_F64,
  OP_I64_SHL,
  OP_I64_SHR_U,
  OP_I64_STORE,
  OP_I64_SUB,
  OP_I64_XOR,
  OP_RETURN,
  PREFIX_SIMD,
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
/** Chunks lie below this. */
const ADDRESS_END = 1n << BigInt(ADDRESS_BITS);
/** Blocks that begin below this end below 2^38: of a size a header has 20 bits. */
const BLOCKS_END = ADDRESS_END - (1n << 20n);
/** A double of this and a whole number below it has the number in its lowest bits, above which it is always the same. */
const LARGE = 2 ** 52;
const LARGE_BITS = new BigInt64Array(new Float64Array([LARGE]).buffer)[0];
/** A class, of a header's low word. */
const CLASS_MASK = 0xff;
const SPLAT_8 = 0x0f;
const V128_STORE = 0x0b;
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

  /**
   * Pushes the whole number of 64 bits that the operand, a pointer, is, less `less`; gives up if it has a fraction. A sign, or nothing at all,
   * makes it too large for what follows.
   */
  wholePointer(less: bigint): void {
    const { operand, double } = this;
    this.localGet(operand);
    this.constantDouble(LARGE);
    this.byte(OP_F64_ADD);
    this.localTee(double);
    this.constantDouble(LARGE);
    this.byte(OP_F64_SUB);
    this.localGet(operand);
    this.byte(OP_F64_NE);
    this.giveUpIf();
    this.localGet(double);
    this.byte(OP_I64_REINTERPRET_F64);
    this.constant64(LARGE_BITS + less);
    this.byte(OP_I64_SUB);
  }

  /** Takes the `address` of a chunk's header; gives up if no chunk can be there: beyond the end, null's, or in the middle of a granule. */
  headerAddress(): void {
    const { address } = this;
    this.localTee(address);
    this.constant64(ADDRESS_END - BigInt(HEADER_SIZE));
    this.byte(OP_I64_GE_U);
    this.giveUpIf();
    this.localGet(address);
    this.byte(OP_I32_WRAP_I64);
    this.constant(GRANULE_SIZE - 1);
    this.byte(OP_I32_AND);
    this.giveUpIf();
  }

  /** Takes a header's low word, pushes its class. */
  classOf(): void {
    this.constant(CLASS_MASK);
    this.byte(OP_I32_AND);
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

  /** Takes a class, whose uppermost block gets `address` and whose `count` is without it; gives up if there is none, or where none can be. */
  popBlock(): void {
    const { inCache, count } = this;
    this.toRow();
    this.localGet(inCache);
    this.memory(OP_I32_LOAD, places.COUNTS);
    this.localTee(count);
    this.byte(OP_I32_EQZ);
    this.giveUpIf();
    this.localGet(count);
    this.constant(1);
    this.byte(OP_I32_SUB);
    this.localTee(count);
    this.toBlock();
  }

  /** The chunk whose `header` without its sum is on the stack takes the block: RAM, the stack and the statistics say so. */
  takeBlock(): void {
    this.memory(OP_I64_STORE, RAM_BEGIN);
    this.localGet(this.inCache);
    this.localGet(this.count);
    this.memory(OP_I32_STORE, places.COUNTS);
    this.countBlock(OP_F64_ADD);
  }

  /** Takes a class; gives up if its stack, with `count` blocks, has no room. A class that there is not has none. */
  roomForBlock(): void {
    const { inCache, count } = this;
    this.toRow();
    this.localGet(inCache);
    this.memory(OP_I32_LOAD, places.COUNTS);
    this.localTee(count);
    this.fromRow(OP_I32_LOAD, places.MOST);
    this.byte(OP_I32_EQ);
    this.giveUpIf();
  }

  /** Ends the chunk at `address`, by what its `header` changes, and the body with the answer 1, or 0 where it gave up. */
  pushBlock(difference: bigint): void {
    const { at, header, count, address, inCache } = this;
    this.localGet(at);
    this.localGet(header);
    this.constant64(difference);
    this.byte(OP_I64_XOR);
    this.memory(OP_I64_STORE, RAM_BEGIN);
    this.localGet(count);
    this.stackEntry();
    this.localGet(address);
    this.constant64(BigInt(HEADER_SIZE));
    this.byte(OP_I64_SUB);
    this.fromRow(OP_I64_LOAD, places.BEGIN);
    this.byte(OP_I64_SUB);
    this.constant64(BigInt(GRANULE_SHIFT));
    this.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
    this.memory(OP_I32_STORE, 0);
    this.localGet(inCache);
    this.localGet(count);
    this.constant(1);
    this.byte(OP_I32_ADD);
    this.memory(OP_I32_STORE, places.COUNTS);
    this.countBlock(OP_F64_SUB);
    this.constant(1);
    this.plain(OP_RETURN, OP_END);
    this.constant(0);
  }

  /** Pushes how far the block at `at` reaches from the begin of its page. */
  blockReach(): void {
    this.localGet(this.at);
    this.constant(PAGE_SIZE - 1);
    this.byte(OP_I32_AND);
    this.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
    this.byte(OP_I32_ADD);
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

  /** Pushes the header that malloc gives a chunk of the size in a local, but for its pointer's part of the sum. */
  headerOf(size: number): void {
    this.localGet(size);
    this.shiftLeft(3);
    this.localGet(this.area);
    this.byte(OP_I32_ADD);
    this.memory(OP_I64_LOAD, places.HEADERS);
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

  /** Adds the double that `push` pushes to the one at a fixed place. */
  addTo(place: number, push: () => void): void {
    this.constant(0);
    this.constant(0);
    this.memory(OP_F64_LOAD, place);
    push();
    this.byte(OP_F64_ADD);
    this.memory(OP_F64_STORE, place);
  }

  /** From a byte to sixteen of it. */
  splat(): void {
    this.two(PREFIX_SIMD, SPLAT_8);
  }

  /** Stores sixteen bytes so far behind a place in RAM. */
  storeVector(offset: number): void {
    this.two(PREFIX_SIMD, V128_STORE);
    this.byte(0);
    this.u32(RAM_BEGIN + offset);
  }
}
