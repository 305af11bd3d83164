// Ranges of code that an entry covers: from two addresses, from `.debug_ranges` (DWARF 4, 2.17.3) or from
// `.debug_rnglists` (DWARF 5, 2.17.3 and 7.25). Ranges of removed code and those that make no sense are left out.

import { ByteReader } from "../sections/byte-reader.ts";
import type { Budget } from "./budget.ts";
import { Column } from "./column.ts";
import { ATTRIBUTE, FORM, RANGE_LIST } from "./constants.ts";
import { type Entry, isAddressForm } from "./entry.ts";
import { type DwarfSections, isTombstone } from "./sections.ts";
import { addressOf, indexedAddress, type Unit } from "./unit.ts";

/** A WebAssembly module has less than 2^32 bytes. */
const ADDRESS_LIMIT = 0x1_0000_0000;

/** A range is kept, and sorted, which costs more than passing over an entry. */
const RANGE_STEPS = 4;

/** Ranges as pairs: start (inclusive), end (exclusive). */
export class RangeList {
  readonly starts = new Column();
  readonly ends = new Column();

  get count(): number {
    return this.starts.count;
  }

  add(start: number, end: number): void {
    if (isTombstone(start) || end <= start || end > ADDRESS_LIMIT) return;
    this.starts.push(start);
    this.ends.push(Math.min(end, ADDRESS_LIMIT - 1));
  }
}

/**
 * Adds the ranges of `entry` to `ranges`; none for a declaration or an abstract function.
 * @throws MalformedDebugData the list is cut short; ranges before that were added
 */
export function addRanges(unit: Unit, entry: Entry, sections: DwarfSections, budget: Budget, ranges: RangeList): void {
  if (entry.has(ATTRIBUTE.ranges)) {
    const value = entry.valueOf(ATTRIBUTE.ranges);
    const isIndex = entry.formOf(ATTRIBUTE.ranges) === FORM.rnglistx;
    if (unit.version >= 5)
      addRangeList(unit, isIndex ? indexedList(unit, value, sections) : value, sections, budget, ranges);
    else addPairs(unit, value, sections, budget, ranges);
    return;
  }
  if (!entry.has(ATTRIBUTE.lowPc) || !entry.has(ATTRIBUTE.highPc)) return;
  const start = addressOf(unit, entry, ATTRIBUTE.lowPc, sections);
  const isAddress = isAddressForm(entry.formOf(ATTRIBUTE.highPc));
  const high = isAddress ? addressOf(unit, entry, ATTRIBUTE.highPc, sections) : start + entry.valueOf(ATTRIBUTE.highPc);
  ranges.add(start, high);
}

/** The offset of a list that `DW_FORM_rnglistx` names: an entry of the table of offsets, which count from that table. */
function indexedList(unit: Unit, index: number, sections: DwarfSections): number {
  const base = unit.rangeListsBase;
  return base + new ByteReader(sections.rnglists, base + index * unit.offsetBytes).unsigned(unit.offsetBytes);
}

/** `.debug_ranges`: pairs of offsets from a base; (0, 0) ends them, a start of all ones gives a new base. */
function addPairs(unit: Unit, offset: number, sections: DwarfSections, budget: Budget, ranges: RangeList): void {
  const reader = new ByteReader(sections.ranges, offset);
  const newBase = unit.addressBytes === 4 ? 0xffffffff : 2 ** 64;
  let base = Math.max(unit.lowPc, 0);
  let isRemoved = false;
  while (budget.spend(RANGE_STEPS)) {
    const start = reader.unsigned(unit.addressBytes);
    const end = reader.unsigned(unit.addressBytes);
    if (start === 0 && end === 0) return;
    if (start === newBase) {
      base = end;
      isRemoved = isTombstone(base);
    } else if (!isRemoved) ranges.add(base + start, base + end);
  }
}

/** `.debug_rnglists`: entries of eight kinds. */
function addRangeList(unit: Unit, offset: number, sections: DwarfSections, budget: Budget, ranges: RangeList): void {
  const reader = new ByteReader(sections.rnglists, offset);
  const address = () => reader.unsigned(unit.addressBytes);
  const indexed = () => indexedAddress(unit, reader.uleb(), sections);
  let base = Math.max(unit.lowPc, 0);
  let isRemoved = false;
  while (budget.spend(RANGE_STEPS)) {
    const kind = reader.u8();
    if (kind === RANGE_LIST.endOfList) return;
    if (kind === RANGE_LIST.baseAddressx || kind === RANGE_LIST.baseAddress) {
      base = kind === RANGE_LIST.baseAddressx ? indexed() : address();
      isRemoved = isTombstone(base);
    } else if (kind === RANGE_LIST.offsetPair) {
      const start = reader.uleb();
      const end = reader.uleb();
      if (!isRemoved) ranges.add(base + start, base + end);
    } else if (kind === RANGE_LIST.startxEndx) ranges.add(indexed(), indexed());
    else if (kind === RANGE_LIST.startEnd) ranges.add(address(), address());
    else if (kind === RANGE_LIST.startxLength) addLength(ranges, indexed(), reader.uleb());
    else if (kind === RANGE_LIST.startLength) addLength(ranges, address(), reader.uleb());
    else return;
  }
}

function addLength(ranges: RangeList, start: number, lengthBytes: number): void {
  ranges.add(start, start + lengthBytes);
}
