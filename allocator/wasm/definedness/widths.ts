// The integer instructions of both widths by one name each, and which type a value's shadow has.
// A shadow is an integer of the value's width (v128: v128) in which a bit is 1 where the value's bit is undefined.

import { F32, F64, I32, I64, V128 } from "../binary/instructions.ts";

/** Opcodes of one integer width. */
export interface Width {
  readonly type: number;
  readonly bits: number;
  readonly constant: number;
  readonly eqz: number;
  readonly eq: number;
  readonly ne: number;
  readonly ltS: number;
  readonly ltU: number;
  readonly clz: number;
  readonly ctz: number;
  readonly add: number;
  readonly sub: number;
  readonly and: number;
  readonly or: number;
  readonly xor: number;
  readonly shl: number;
  readonly shrU: number;
}

export const WIDTH_32: Width = {
  type: I32,
  bits: 32,
  constant: 0x41,
  eqz: 0x45,
  eq: 0x46,
  ne: 0x47,
  ltS: 0x48,
  ltU: 0x49,
  clz: 0x67,
  ctz: 0x68,
  add: 0x6a,
  sub: 0x6b,
  and: 0x71,
  or: 0x72,
  xor: 0x73,
  shl: 0x74,
  shrU: 0x76,
};

export const WIDTH_64: Width = {
  type: I64,
  bits: 64,
  constant: 0x42,
  eqz: 0x50,
  eq: 0x51,
  ne: 0x52,
  ltS: 0x53,
  ltU: 0x54,
  clz: 0x79,
  ctz: 0x7a,
  add: 0x7c,
  sub: 0x7d,
  and: 0x83,
  or: 0x84,
  xor: 0x85,
  shl: 0x86,
  shrU: 0x88,
};

/** Type of the shadow of a value of `type`; 0 for references, which are always defined. */
export function shadowType(type: number): number {
  switch (type) {
    case I32:
    case F32:
      return I32;
    case I64:
    case F64:
      return I64;
    case V128:
      return V128;
    default:
      return 0;
  }
}

export function widthOf(type: number): Width {
  return shadowType(type) === I64 ? WIDTH_64 : WIDTH_32;
}
