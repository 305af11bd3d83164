// Units of `.debug_info`: their headers, what their root entry says for all below it, and the values that need it
// (addresses and strings by index). DWARF 5, 7.5.1; DWARF 4 where it differs.

import { ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import type { AbbreviationCache, AbbreviationTable } from "./abbreviations.ts";
import { ATTRIBUTE, FORM, UNIT_TYPE } from "./constants.ts";
import { Entry, isAddressIndex, isStringIndex } from "./entry.ts";
import type { Encoding } from "./forms.ts";
import type { DwarfSections } from "./sections.ts";

/** Lengths from here on are not lengths: the last one says that a 64-bit length follows (7.4). */
const RESERVED_LENGTHS = 0xfffffff0;
const LONG_LENGTH = 0xffffffff;
/** DWARF 2 and 3 differ from 4 in nothing that is read here. */
const OLDEST_VERSION = 2;
const NEWEST_VERSION = 5;

export interface Unit extends Encoding {
  /** Where its header starts in `.debug_info`: what its references count from. */
  readonly start: number;
  readonly end: number;
  /** Where its root entry starts. */
  readonly root: number;
  readonly abbreviations: AbbreviationTable;
  /** What the root entry says; -1 where it does not. */
  stringOffsetsBase: number;
  addressBase: number;
  rangeListsBase: number;
  lowPc: number;
  statementList: number;
  compilationDirectory: string;
}

/** A length and the width of offsets that it stands for (7.4, 7.5.1.1). */
export function readInitialLength(reader: ByteReader): { lengthBytes: number; offsetBytes: number } {
  const lengthBytes = reader.u32();
  if (lengthBytes < RESERVED_LENGTHS) return { lengthBytes, offsetBytes: 4 };
  if (lengthBytes !== LONG_LENGTH) throw new MalformedDebugData(`a reserved length ${lengthBytes}`);
  return { lengthBytes: reader.u64(), offsetBytes: 8 };
}

/**
 * Reads the header of the unit at `reader`, and moves it behind the whole unit; null for a unit without code (of types).
 * @throws MalformedDebugData the length passes the section; nothing after it can be found either
 */
export function readUnitHeader(reader: ByteReader, abbreviations: AbbreviationCache): Unit | null {
  const start = reader.offset;
  const { lengthBytes, offsetBytes } = readInitialLength(reader);
  const header = reader.slice(lengthBytes);
  const version = header.u16();
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) return null;
  let abbreviationOffset = 0;
  let addressBytes = 0;
  if (version >= 5) {
    const unitType = header.u8();
    addressBytes = header.u8();
    abbreviationOffset = header.unsigned(offsetBytes);
    if (unitType === UNIT_TYPE.type || unitType === UNIT_TYPE.splitType) return null;
    if (unitType === UNIT_TYPE.skeleton || unitType === UNIT_TYPE.splitCompile) header.skip(8);
  } else {
    abbreviationOffset = header.unsigned(offsetBytes);
    addressBytes = header.u8();
  }
  if (addressBytes !== 4 && addressBytes !== 8) return null;
  const encoding = { version, offsetBytes, addressBytes };
  return {
    ...encoding,
    start,
    end: header.end,
    root: header.offset,
    abbreviations: abbreviations.at(abbreviationOffset, encoding),
    stringOffsetsBase: -1,
    addressBase: -1,
    rangeListsBase: -1,
    lowPc: -1,
    statementList: -1,
    compilationDirectory: "",
  };
}

/** Reads what the root entry says for the whole unit. */
export function readRoot(unit: Unit, sections: DwarfSections): void {
  const entry = new Entry();
  readEntryAt(unit, unit.root, entry, sections);
  const number = (attribute: number) => (entry.has(attribute) ? entry.valueOf(attribute) : -1);
  // Where no base is given, the table starts behind the header of its section (8 bytes in the 32-bit format).
  const behindHeader = unit.version >= 5 ? 2 * unit.offsetBytes : 0;
  unit.stringOffsetsBase = Math.max(number(ATTRIBUTE.stringOffsetsBase), behindHeader);
  unit.addressBase = Math.max(number(ATTRIBUTE.addressBase), behindHeader);
  unit.rangeListsBase = number(ATTRIBUTE.rangeListsBase);
  unit.statementList = number(ATTRIBUTE.statementList);
  unit.lowPc = entry.has(ATTRIBUTE.lowPc) ? addressOf(unit, entry, ATTRIBUTE.lowPc, sections) : -1;
  unit.compilationDirectory = stringOf(unit, entry, ATTRIBUTE.compilationDirectory, sections) ?? "";
}

/**
 * Reads the entry at `offset` of `.debug_info` into `entry`.
 * @throws MalformedDebugData there is none
 */
export function readEntryAt(unit: Unit, offset: number, entry: Entry, sections: DwarfSections): void {
  const reader = new ByteReader(sections.info, offset, unit.end);
  const abbreviation = unit.abbreviations.get(reader.uleb());
  if (abbreviation === undefined) throw new MalformedDebugData(`no entry at ${offset}`);
  entry.read(reader, abbreviation, unit);
}

/** An address, by value or by index in `.debug_addr`. */
export function addressOf(unit: Unit, entry: Entry, attribute: number, sections: DwarfSections): number {
  const value = entry.valueOf(attribute);
  return isAddressIndex(entry.formOf(attribute)) ? indexedAddress(unit, value, sections) : value;
}

/** @throws MalformedDebugData the index passes the section */
export function indexedAddress(unit: Unit, index: number, sections: DwarfSections): number {
  return new ByteReader(sections.addr, unit.addressBase + index * unit.addressBytes).unsigned(unit.addressBytes);
}

/** A string of any form; null if the entry has none, an empty one, or none that can be found. */
export function stringOf(unit: Unit, entry: Entry, attribute: number, sections: DwarfSections): string | null {
  if (!entry.has(attribute)) return null;
  try {
    const form = entry.formOf(attribute);
    const value = entry.valueOf(attribute);
    if (!isStringIndex(form)) return readString(form, value, sections.info, sections) || null;
    const at = unit.stringOffsetsBase + value * unit.offsetBytes;
    const offset = new ByteReader(sections.strOffsets, at).unsigned(unit.offsetBytes);
    return new ByteReader(sections.str, offset).string() || null;
  } catch (error) {
    if (!(error instanceof MalformedDebugData)) throw error;
    return null;
  }
}

/** A string that its form finds without a base; `inline` is the section that `DW_FORM_string` stands in. */
export function readString(form: number, value: number, inline: Uint8Array, sections: DwarfSections): string {
  if (form === FORM.string) return new ByteReader(inline, value).string();
  if (form === FORM.strp) return new ByteReader(sections.str, value).string();
  if (form === FORM.lineStrp) return new ByteReader(sections.lineStr, value).string();
  throw new MalformedDebugData(`a string of form ${form}`);
}
