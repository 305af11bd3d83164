// Short sequences of instructions, written to a code buffer: what passes and helper functions are put together from.
// Each method is one instruction or one idiom; each pass picks those it needs.

import { ByteWriter } from "../binary/byte-writer.ts";
import {
  F32,
  F64,
  I32,
  I64,
  OP_CALL,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I32_CONST,
  OP_I32_SHL,
  OP_I32_SHR_U,
  OP_I64_CONST,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  PREFIX_SIMD,
  V128,
} from "../binary/instructions.ts";

export const EMPTY = 0x40;
const V128_CONST = 0x0c;
const ZERO_CONSTANTS: Readonly<Record<number, number>> = { [I32]: 0x41, [I64]: 0x42, [F32]: 0x43, [F64]: 0x44 };
/** Bytes of a zero constant's number, where it is not a byte of LEB128. */
const ZERO_BYTES: Readonly<Record<number, number>> = { [F32]: 4, [F64]: 8, [V128]: 16 };

export class Code extends ByteWriter {
  localGet(index: number): void {
    this.byte(OP_LOCAL_GET);
    this.u32(index);
  }

  localSet(index: number): void {
    this.byte(OP_LOCAL_SET);
    this.u32(index);
  }

  localTee(index: number): void {
    this.byte(OP_LOCAL_TEE);
    this.u32(index);
  }

  globalGet(index: number): void {
    this.byte(OP_GLOBAL_GET);
    this.u32(index);
  }

  globalSet(index: number): void {
    this.byte(OP_GLOBAL_SET);
    this.u32(index);
  }

  /** `i32.const` of the 32 bits of `value`. */
  constant(value: number): void {
    this.byte(OP_I32_CONST);
    this.s32(value | 0);
  }

  /** `i64.const`. */
  constant64(value: bigint): void {
    this.byte(OP_I64_CONST);
    this.s64(value);
  }

  /** The constant zero of a number's or vector's type. */
  zero(type: number): void {
    if (type === V128) this.two(PREFIX_SIMD, V128_CONST);
    else this.byte(ZERO_CONSTANTS[type]);
    for (let byte = 0; byte < (ZERO_BYTES[type] ?? 1); byte++) this.byte(0);
  }

  shiftLeft(bits: number): void {
    this.constant(bits);
    this.byte(OP_I32_SHL);
  }

  shiftRight(bits: number): void {
    this.constant(bits);
    this.byte(OP_I32_SHR_U);
  }

  call(index: number): void {
    this.byte(OP_CALL);
    this.u32(index);
  }

  /** A load or store with the alignment of one byte. */
  memory(opcode: number, offset: number): void {
    this.two(opcode, 0);
    this.u32(offset);
  }

  /** `memory.fill` of what is on the stack. */
  fillMemory(): void {
    this.plain(0xfc, 11, 0);
  }

  /** Opcodes without immediates. */
  plain(...opcodes: readonly number[]): void {
    for (const opcode of opcodes) this.byte(opcode);
  }

  /** A block, loop or if with no parameters and results. */
  open(opcode: number): void {
    this.two(opcode, EMPTY);
  }

  /** A branch: `br`, `br_if`. */
  branch(opcode: number, label: number): void {
    this.byte(opcode);
    this.u32(label);
  }

  callIndirect(type: number, table: number): void {
    this.byte(0x11);
    this.u32(type);
    this.u32(table);
  }
}
