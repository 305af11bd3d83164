// What the code of the direct ways is put together from: loads of their tables, checksums, traces, loops. Where the heap's tables lie is
// heap-tables.ts; the ways themselves are direct-ways.ts.

import { lowBitsDifference, POINTER_LOW, SIZE_HIGH, SIZE_LOW, WORD_LOW } from "../../combined/checksum.ts";
import { HEADER_SIZE, ORIGIN_MALLOC } from "../../combined/chunk-header.ts";
import {
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_END,
  OP_F64_CONVERT_I32_U,
  OP_F64_LOAD,
  OP_F64_STORE,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQZ,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_LOAD16_U,
  OP_I32_LT_U,
  OP_I32_MUL,
  OP_I32_STORE,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I32_XOR,
  OP_I64_EQZ,
  OP_I64_EXTEND_I32_U,
  OP_I64_LOAD,
  OP_I64_NE,
  OP_I64_SHL,
  OP_I64_SHR_U,
  OP_I64_XOR,
  OP_IF,
  OP_LOOP,
} from "../binary/instructions.ts";
import { Code } from "./code.ts";
import * as tables from "./heap-tables.ts";
import { callHost, type HostSlot } from "./helpers.ts";
import { type Layout, PATH_BYTES } from "./layout.ts";

/** Where a direct way finds the host: its whole function, and what fills or empties a class's stack of the cache, (class) → done. */
export interface DirectHosts {
  readonly ask: HostSlot;
  readonly cache: HostSlot;
}

/** What a direct way is of. */
export interface DirectWay {
  readonly kind: "allocate" | "free";
  /** What the chunk is made by, as its header has it. */
  readonly origin: number;
  /** The parameter that is a size, or a pointer. */
  readonly operand: number;
  /** calloc's other factor; −1: none. */
  readonly factor: number;
  /** Whether the chunk is zeroed. */
  readonly isZeroed: boolean;
  /** The parameter that is an alignment, of which only up to 16 is direct; −1: none. */
  readonly alignment: number;
}

/** Locals of type i32 behind the parameters, and of type i64 after them. */
export const LOCALS = 9;
export const LONG_LOCALS = 2;

/** By which bits headers of other low bits, which are class, state and origin, differ: those themselves, and of the checksum. */
export function headerDifference(lowBits: number): bigint {
  return BigInt(lowBits) | (BigInt(lowBitsDifference(lowBits)) << 48n);
}

/** Labels are counted from the block that is left to ask the host, in which everything is. */
export class DirectCode extends Code {
  readonly way: DirectWay;
  readonly layout: Layout;
  private readonly cacheHost: HostSlot;
  /** Four times the class: its place in the tables' rows. */
  readonly row: number;
  readonly count: number;
  readonly block: number;
  readonly low: number;
  readonly trace: number;
  readonly size: number;
  readonly at: number;
  readonly left: number;
  readonly origin: number;
  readonly word: number;
  readonly header: number;

  constructor(params: number, way: DirectWay, layout: Layout, cacheHost: HostSlot) {
    super(1024);
    this.cacheHost = cacheHost;
    this.way = way;
    this.layout = layout;
    [this.row, this.count, this.block, this.low, this.trace, this.size, this.at, this.left, this.origin] = Array.from(
      { length: LOCALS },
      (_, index) => params + index,
    );
    this.word = params + LOCALS;
    this.header = this.word + 1;
  }

  /** A load or store of the tables, from the row or place on the stack. */
  table(opcode: number, offset: number): void {
    this.memory(opcode, this.layout.pathBase + offset);
  }

  loadWord(offset: number): void {
    this.constant(0);
    this.table(OP_I32_LOAD, offset);
  }

  fromRow(column: number): void {
    this.localGet(this.row);
    this.table(OP_I32_LOAD, column);
  }

  pushPointer(): void {
    if (this.way.kind === "free") this.localGet(this.way.operand);
    else {
      this.localGet(this.block);
      this.constant(HEADER_SIZE);
      this.byte(OP_I32_ADD);
    }
  }

  /** The host fills or empties the class's stack, whose new count is on the stack. Leaves if it cannot; within an `if`. */
  askForCache(): void {
    this.localGet(this.row);
    this.shiftRight(2);
    callHost(this, this.cacheHost);
    this.byte(OP_I32_EQZ);
    this.branch(OP_BR_IF, 1);
    this.fromRow(tables.COUNTS);
    this.localSet(this.count);
  }

  /** From a count on the stack to the address of that entry of the class's stack. */
  stackEntry(): void {
    this.shiftLeft(2);
    this.fromRow(tables.STACKS);
    this.byte(OP_I32_ADD);
  }

  /** From an address on the stack to 1 if its page can be loaded and stored, with no fault and no check. */
  ready(): void {
    this.shiftRight(12);
    this.memory(OP_I32_LOAD8_U, this.layout.readyBase);
  }

  /** Pushes what the pointer and the cookie contribute to the checksum of the chunk's header. */
  pointerSum(): void {
    this.pushPointer();
    this.shiftRight(tables.PLACE_SHIFT);
    this.shiftLeft(1);
    this.table(OP_I32_LOAD16_U, tables.PLACE_SUMS);
    this.addPart(() => this.pushPointer(), 4, 0xfff, POINTER_LOW);
  }

  /** A sum on the stack becomes that of the header whose low word is `low`. */
  wordSum(): void {
    const low = () => this.localGet(this.low);
    this.addPart(low, 0, 0xfff, WORD_LOW);
    this.addPart(low, 12, 0x3ff, SIZE_LOW);
    this.addPart(low, 22, 0x3ff, SIZE_HIGH);
  }

  private addPart(push: () => void, shift: number, mask: number, first: number): void {
    push();
    // Entries are two bytes: a bit less far to the right, and the lowest bit masked.
    if (shift === 0) this.shiftLeft(1);
    else this.shiftRight(shift - 1);
    this.constant(mask * 2);
    this.byte(OP_I32_AND);
    this.table(OP_I32_LOAD16_U, tables.SUMS + first * 2);
    this.byte(OP_I32_XOR);
  }

  /** Pushes the header of a chunk of `size` bytes; on the stack is what its pointer contributes to the checksum. */
  headerOfSize(): void {
    this.byte(OP_I64_EXTEND_I32_U);
    this.constant64(48n);
    this.byte(OP_I64_SHL);
    this.fromSize(OP_I64_LOAD);
    this.byte(OP_I64_XOR);
    const { origin } = this.way;
    if (origin === 0) return;
    this.constant64(headerDifference(origin << 10));
    this.byte(OP_I64_XOR);
  }

  /** A load of the header that malloc gives a chunk of `size` bytes, or of its first byte, the class. */
  fromSize(opcode: number): void {
    this.localGet(this.size);
    this.shiftLeft(3);
    this.table(opcode, tables.HEADERS);
  }

  /** Adds the bytes of the block to, or takes them from, a double. */
  countBytes(place: number, operation: number): void {
    this.constant(0);
    this.constant(0);
    this.table(OP_F64_LOAD, place);
    this.fromRow(tables.BLOCK_SIZES);
    this.plain(OP_F64_CONVERT_I32_U, operation);
    this.table(OP_F64_STORE, place);
  }

  noteChange(): void {
    this.constant(0);
    this.constant(1);
    this.table(OP_I32_STORE, tables.CHANGED);
  }

  /** The number of the trace by which the module comes here, or 0: none is kept. Leaves if it is to be taken first. */
  findTrace(): void {
    const { trace, word, left } = this;
    this.loadWord(tables.KEEPS_TRACES);
    this.localTee(trace);
    this.open(OP_IF);
    // The path in the guest, and what stands for the host's frames; the host looks at them if either is 0.
    for (const part of [0, PATH_BYTES]) {
      this.constant(0);
      this.table(OP_I64_LOAD, part);
      this.localTee(word);
      this.byte(OP_I64_EQZ);
      this.branch(OP_BR_IF, 1);
    }
    this.localGet(word);
    this.constant(0);
    this.table(OP_I64_LOAD, 0);
    this.byte(OP_I64_XOR);
    this.changeByOrigin();
    this.localTee(word);
    this.localGet(word);
    this.constant64(32n);
    this.plain(OP_I64_SHR_U, OP_I64_XOR, OP_I32_WRAP_I64);
    this.constant(tables.PATH_ROWS - 1);
    this.byte(OP_I32_AND);
    this.constant(tables.PATH_ROW_BYTES);
    this.byte(OP_I32_MUL);
    this.localTee(left);
    this.table(OP_I64_LOAD, tables.PATHS);
    this.localGet(word);
    this.byte(OP_I64_NE);
    this.branch(OP_BR_IF, 1);
    this.localGet(left);
    this.table(OP_I32_LOAD, tables.PATHS + tables.PATH_TRACE);
    this.localTee(trace);
    this.byte(OP_I32_EQZ);
    this.branch(OP_BR_IF, 1);
    this.byte(OP_END);
  }

  private changeByOrigin(): void {
    const { kind, origin } = this.way;
    if (kind === "free" || origin === ORIGIN_MALLOC) return;
    const [low, high] = tables.originBits(origin);
    this.constant64((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
    this.byte(OP_I64_XOR);
  }

  noteTrace(store: () => void): void {
    this.localGet(this.trace);
    this.open(OP_IF);
    store();
    this.byte(OP_END);
  }

  storeTrace(opcode: number, offset: number): void {
    this.pushPointer();
    this.shiftRight(2);
    this.localGet(this.trace);
    this.memory(opcode, this.layout.tracesBase + offset);
  }

  advance(local: number, by: number): void {
    this.localGet(local);
    this.constant(by);
    this.byte(OP_I32_ADD);
    this.localSet(local);
  }

  /** Repeats `step` for each `bytes` of what is left. */
  whileAtLeast(left: number, bytes: number, step: () => void): void {
    this.open(OP_BLOCK);
    this.open(OP_LOOP);
    this.localGet(left);
    this.constant(bytes);
    this.byte(OP_I32_LT_U);
    this.branch(OP_BR_IF, 1);
    step();
    this.localGet(left);
    this.constant(bytes);
    this.byte(OP_I32_SUB);
    this.localSet(left);
    this.branch(OP_BR, 0);
    this.plain(OP_END, OP_END);
  }
}
