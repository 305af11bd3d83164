// Forms: how the value of an attribute is written (DWARF 5, 7.5.5 and 7.5.6). Values come as plain numbers; what a number
// means (an index, an offset, a constant) its form still says, and entry.ts resolves it.

import { type ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import { FORM } from "./constants.ts";

/** What the width of a form depends on. */
export interface Encoding {
  readonly version: number;
  /** 4 in the 32-bit format of DWARF, 8 in the 64-bit one. */
  readonly offsetBytes: number;
  readonly addressBytes: number;
}

/** Bytes that a value takes; -1 where it depends on the value. */
export function fixedFormBytes(form: number, encoding: Encoding): number {
  switch (form) {
    case FORM.flagPresent:
    case FORM.implicitConst:
      return 0;
    case FORM.data1:
    case FORM.flag:
    case FORM.ref1:
    case FORM.strx1:
    case FORM.addrx1:
      return 1;
    case FORM.data2:
    case FORM.ref2:
    case FORM.strx2:
    case FORM.addrx2:
      return 2;
    case FORM.strx3:
    case FORM.addrx3:
      return 3;
    case FORM.data4:
    case FORM.ref4:
    case FORM.refSup4:
    case FORM.strx4:
    case FORM.addrx4:
      return 4;
    case FORM.data8:
    case FORM.ref8:
    case FORM.refSig8:
    case FORM.refSup8:
      return 8;
    case FORM.data16:
      return 16;
    case FORM.addr:
      return encoding.addressBytes;
    case FORM.refAddr:
      return encoding.version <= 2 ? encoding.addressBytes : encoding.offsetBytes;
    case FORM.strp:
    case FORM.lineStrp:
    case FORM.secOffset:
    case FORM.strpSup:
    case FORM.gnuRefAlt:
    case FORM.gnuStrpAlt:
      return encoding.offsetBytes;
    default:
      return -1;
  }
}

/** Passes over a value whose width is not fixed. */
export function skipVariableForm(reader: ByteReader, form: number, encoding: Encoding): void {
  if (form === FORM.indirect) skipForm(reader, directForm(reader), encoding);
  else readForm(reader, form, encoding);
}

export function skipForm(reader: ByteReader, form: number, encoding: Encoding): void {
  const lengthBytes = fixedFormBytes(form, encoding);
  if (lengthBytes >= 0) reader.skip(lengthBytes);
  else skipVariableForm(reader, form, encoding);
}

/** The form that `DW_FORM_indirect` names in front of the value; it may not be indirect again, nor constant. */
export function directForm(reader: ByteReader): number {
  const form = reader.uleb();
  if (form === FORM.indirect || form === FORM.implicitConst) throw new MalformedDebugData(`an indirect form ${form}`);
  return form;
}

/**
 * Reads a value: a number as it is, an inline string as its offset in the bytes read, a block as 0.
 * The forms that carry no value here, indirect and implicit_const, are the caller's.
 */
export function readForm(reader: ByteReader, form: number, encoding: Encoding): number {
  switch (form) {
    case FORM.string: {
      const start = reader.offset;
      reader.skipString();
      return start;
    }
    case FORM.udata:
    case FORM.refUdata:
    case FORM.strx:
    case FORM.addrx:
    case FORM.loclistx:
    case FORM.rnglistx:
    case FORM.gnuAddrIndex:
    case FORM.gnuStrIndex:
      return reader.uleb();
    case FORM.sdata:
      return reader.sleb();
    case FORM.block:
    case FORM.exprloc:
      reader.skip(reader.uleb());
      return 0;
    case FORM.block1:
      reader.skip(reader.u8());
      return 0;
    case FORM.block2:
      reader.skip(reader.u16());
      return 0;
    case FORM.block4:
      reader.skip(reader.u32());
      return 0;
    case FORM.flagPresent:
      return 1;
    case FORM.data16:
      reader.skip(16);
      return 0;
    default: {
      const lengthBytes = fixedFormBytes(form, encoding);
      if (lengthBytes <= 0) throw new MalformedDebugData(`unknown form ${form}`);
      return reader.unsigned(lengthBytes);
    }
  }
}
