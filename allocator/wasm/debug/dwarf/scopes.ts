// Which functions, and which functions inlined into them, cover which code: the tree of entries with code, flat and in
// order. Their names and call sites are read again from the entries when a report asks (call-chain.ts).

import { ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import { AbbreviationCache, skipEntry } from "./abbreviations.ts";
import type { Budget } from "./budget.ts";
import { TAG } from "./constants.ts";
import { Entry } from "./entry.ts";
import { addRanges, RangeList } from "./ranges.ts";
import type { DwarfSections } from "./sections.ts";
import { readRoot, readUnitHeader, type Unit } from "./unit.ts";

/** A unit that cannot be read costs this much of the budget, so that a section of nothing but faults ends soon. */
const FAULT_STEPS = 500;

/**
 * Functions and inlined functions that have code, each unit's entries in order of the tree (a parent before its children).
 * Invariants: row r's descendants are the rows `[r + 1, subtreeEnd[r])`; its ranges are `[firstRange[r], firstRange[r + 1])`.
 */
export class Scopes {
  readonly units: Unit[] = [];
  /** Where each row's entry starts in `.debug_info`. */
  readonly entryOffset: number[] = [];
  readonly unitIndex: number[] = [];
  readonly isInlined: boolean[] = [];
  readonly subtreeEnd: number[] = [];
  readonly firstRange: number[] = [0];
  readonly ranges = new RangeList();
  /**
   * Ranges of the functions that are not inlined, ascending by their start. Of several at one start the first unit's comes
   * last, and so it is found: they are copies of one inline function, of which the linker kept the first.
   */
  private functionRanges: Int32Array = new Int32Array(0);
  private readonly rowOfRange: number[] = [];

  constructor(sections: DwarfSections, budget: Budget) {
    const reader = new ByteReader(sections.info);
    const abbreviations = new AbbreviationCache(sections.abbrev, budget);
    try {
      while (reader.offset < reader.end && !budget.isSpent) {
        const unit = readUnitHeader(reader, abbreviations);
        if (unit !== null) this.addUnit(unit, sections, budget);
      }
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
    }
    this.sortFunctions();
  }

  /** The function that covers `address` and has a frame of its own; -1 if none is known. */
  functionAt(address: number): number {
    const { functionRanges, ranges } = this;
    let low = 0;
    let high = functionRanges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ranges.starts[functionRanges[middle]] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const range = functionRanges[low - 1];
    return address < ranges.ends[range] ? this.rowOfRange[range] : -1;
  }

  /** The row that covers `address` among those directly inlined into `row`; -1 if none does. */
  inlinedAt(row: number, address: number): number {
    for (let child = row + 1; child < this.subtreeEnd[row]; child = this.subtreeEnd[child]) {
      if (this.isInlined[child] && this.covers(child, address)) return child;
    }
    return -1;
  }

  /** The unit whose entries hold the offset `infoOffset`, or null. */
  unitAt(infoOffset: number): Unit | null {
    let low = 0;
    let high = this.units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.units[middle].start <= infoOffset) low = middle + 1;
      else high = middle;
    }
    const unit = this.units[low - 1];
    return unit !== undefined && infoOffset < unit.end ? unit : null;
  }

  private covers(row: number, address: number): boolean {
    for (let range = this.firstRange[row]; range < this.firstRange[row + 1]; range++) {
      if (address >= this.ranges.starts[range] && address < this.ranges.ends[range]) return true;
    }
    return false;
  }

  private addUnit(unit: Unit, sections: DwarfSections, budget: Budget): void {
    this.units.push(unit);
    /** For each open entry its row, or -1 if it is no function with code. */
    const open: number[] = [];
    try {
      readRoot(unit, sections);
      this.addEntries(unit, open, sections, budget);
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
      budget.spend(FAULT_STEPS);
    }
    while (open.length > 0) this.close(open.pop()!);
  }

  private addEntries(unit: Unit, open: number[], sections: DwarfSections, budget: Budget): void {
    const reader = new ByteReader(sections.info, unit.root, unit.end);
    const entry = new Entry();
    while (reader.offset < reader.end) {
      const entryOffset = reader.offset;
      const code = reader.uleb();
      if (code === 0) {
        if (open.length === 0) return;
        this.close(open.pop()!);
        continue;
      }
      const abbreviation = unit.abbreviations.get(code);
      if (abbreviation === undefined) throw new MalformedDebugData(`an entry of unknown shape ${code}`);
      if (!budget.spend(1 + abbreviation.plan.length)) return;
      let row = -1;
      if (abbreviation.tag === TAG.subprogram || abbreviation.tag === TAG.inlinedSubroutine) {
        if (!budget.spend(abbreviation.attributes.length)) return;
        entry.read(reader, abbreviation, unit);
        row = this.addRow(unit, entryOffset, entry, sections, budget);
      } else skipEntry(reader, abbreviation, unit);
      if (abbreviation.hasChildren) open.push(row);
      else this.close(row);
    }
  }

  /** Adds a row if the entry has code, and gives it, else -1. */
  private addRow(unit: Unit, entryOffset: number, entry: Entry, sections: DwarfSections, budget: Budget): number {
    const rangesBefore = this.ranges.count;
    try {
      addRanges(unit, entry, { sections, budget, ranges: this.ranges });
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
      budget.spend(FAULT_STEPS);
    }
    if (this.ranges.count === rangesBefore) return -1;
    const row = this.entryOffset.length;
    this.entryOffset.push(entryOffset);
    this.unitIndex.push(this.units.length - 1);
    this.isInlined.push(entry.abbreviation?.tag === TAG.inlinedSubroutine);
    this.subtreeEnd.push(row + 1);
    this.firstRange.push(this.ranges.count);
    for (let range = rangesBefore; range < this.ranges.count; range++) this.rowOfRange.push(row);
    return row;
  }

  private close(row: number): void {
    if (row >= 0) this.subtreeEnd[row] = this.entryOffset.length;
  }

  private sortFunctions(): void {
    const { starts } = this.ranges;
    const functionRanges: number[] = [];
    for (let range = 0; range < starts.length; range++) {
      if (!this.isInlined[this.rowOfRange[range]]) functionRanges.push(range);
    }
    this.functionRanges = Int32Array.from(functionRanges).sort((a, b) => starts[a] - starts[b] || b - a);
  }
}
