// Short sequences of instructions, written to a code buffer: what passes and helper functions are put together from.
// Each method is one instruction or one idiom; which ones a pass needs is its own affair.

import { ByteWriter } from "../binary/byte-writer.ts";
import {
  OP_CALL,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I32_CONST,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
} from "../binary/instructions.ts";

export const EMPTY = 0x40;

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

  call(index: number): void {
    this.byte(OP_CALL);
    this.u32(index);
  }

  /** A load or store with the alignment of one byte. */
  memory(opcode: number, offset: number): void {
    this.two(opcode, 0);
    this.u32(offset);
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
