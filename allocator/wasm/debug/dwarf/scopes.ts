// Which functions, and which functions inlined into them, cover which code: the tree of entries with code, flat and in
// order. Their names and call sites are read again from the entries when a report asks (dwarf.ts).

import { ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import { AbbreviationCache, skipEntry } from "./abbreviations.ts";
import type { Budget } from "./budget.ts";
import { Column } from "./column.ts";
import { TAG } from "./constants.ts";
import { Entry } from "./entry.ts";
import { addRanges, RangeList } from "./ranges.ts";
import type { DwarfSections } from "./sections.ts";
import { readRoot, readUnitHeader, type Unit } from "./unit.ts";

/** A unit that cannot be read costs this much of the budget, so that a section of nothing but faults ends soon. */
const FAULT_STEPS = 500;
/** Stands for no row where a column would have one. */
const NO_ROW = 0xffffffff;

/**
 * Functions that have code and all that is inlined into them, each unit's entries in order of the tree (a parent before its
 * children). Invariants: row r's descendants are the rows `[r + 1, subtreeEnd[r])`; its ranges are
 * `[firstRange[r], firstRange[r + 1])`; `parent[r] < r`, or NO_ROW for a function that stands in no other.
 */
export class Scopes {
  readonly units: Unit[] = [];
  /** Where each row's entry starts in `.debug_info`. */
  readonly entryOffset = new Column();
  readonly unitIndex = new Column();
  /** 1 for what is inlined, 0 for functions of their own. */
  readonly isInlined = new Column();
  readonly parent = new Column();
  readonly subtreeEnd = new Column();
  readonly firstRange = new Column();
  readonly ranges = new RangeList();
  /**
   * Ranges of the functions that are not inlined, ascending by their start. Of several at one start the first unit's comes
   * last, and so it is found: they are copies of one inline function, of which the linker kept the first.
   */
  private functionRanges: Int32Array = new Int32Array(0);
  private readonly rowOfRange = new Column();

  private readonly sections: DwarfSections;
  private readonly budget: Budget;

  constructor(sections: DwarfSections, budget: Budget) {
    this.sections = sections;
    this.budget = budget;
    this.firstRange.push(0);
    const reader = new ByteReader(sections.info);
    const abbreviations = new AbbreviationCache(sections.abbrev, budget);
    try {
      while (reader.offset < reader.end && !budget.isSpent) {
        const unit = readUnitHeader(reader, abbreviations);
        if (unit !== null) this.addUnit(unit);
      }
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
    }
    this.sortFunctions();
  }

  /** The function that covers `address` and has a frame of its own; -1 if none is known. */
  functionAt(address: number): number {
    const { functionRanges } = this;
    const starts = this.ranges.starts.values;
    let low = 0;
    let high = functionRanges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[functionRanges[middle]] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const range = functionRanges[low - 1];
    return address < this.ranges.ends.values[range] ? this.rowOfRange.values[range] : -1;
  }

  /**
   * The row inlined into `row`, however deep, whose range that covers `address` starts last, or `row` itself; of several the
   * last in the order of the tree. Where ranges nest this is the innermost. They need not: Binaryen's passes lose some
   * of those between. LLVM's address map decides in the same way.
   */
  innermostAt(row: number, address: number): number {
    const subtreeEnd = this.subtreeEnd.values;
    let innermost = row;
    let latest = 0;
    for (let inner = row + 1; inner < subtreeEnd[row]; inner++) {
      if (this.isInlined.values[inner] === 0) {
        inner = subtreeEnd[inner] - 1;
        continue;
      }
      const start = this.coveringStart(inner, address);
      if (start < latest) continue;
      innermost = inner;
      latest = start;
    }
    return innermost;
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

  /** Where the range of `row` that covers `address` starts; -1 if none does. */
  private coveringStart(row: number, address: number): number {
    const starts = this.ranges.starts.values;
    const ends = this.ranges.ends.values;
    const firstRange = this.firstRange.values;
    for (let range = firstRange[row]; range < firstRange[row + 1]; range++) {
      if (address >= starts[range] && address < ends[range]) return starts[range];
    }
    return -1;
  }

  private addUnit(unit: Unit): void {
    this.units.push(unit);
    /** For each open entry its row, or the row of the function around it if it has none; -1 outside functions. */
    const open: number[] = [];
    try {
      readRoot(unit, this.sections);
      this.addEntries(unit, open);
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
      this.budget.spend(FAULT_STEPS);
    }
    while (open.length > 0) this.close(open.pop()!);
  }

  private addEntries(unit: Unit, open: number[]): void {
    const { budget } = this;
    const reader = new ByteReader(this.sections.info, unit.root, unit.end);
    const entry = new Entry();
    while (reader.offset < reader.end) {
      const entryOffset = reader.offset;
      const code = reader.uleb();
      if (code === 0) {
        const closed = open.pop();
        if (closed === undefined) return;
        if (closed !== open[open.length - 1]) this.close(closed);
        continue;
      }
      const abbreviation = unit.abbreviations.get(code);
      if (abbreviation === undefined) throw new MalformedDebugData(`an entry of unknown shape ${code}`);
      if (!budget.spend(1 + abbreviation.plan.length)) return;
      const parent = open.length === 0 ? -1 : open[open.length - 1];
      let row = -1;
      if (abbreviation.tag === TAG.subprogram || abbreviation.tag === TAG.inlinedSubroutine) {
        if (!budget.spend(abbreviation.attributes.length)) return;
        entry.read(reader, abbreviation, unit);
        row = this.addRow(unit, entryOffset, entry, parent);
      } else skipEntry(reader, abbreviation, unit);
      if (abbreviation.hasChildren) open.push(row < 0 ? parent : row);
    }
  }

  /** Adds a row if the entry has code, or is inlined into one that has; gives it, else -1. */
  private addRow(unit: Unit, entryOffset: number, entry: Entry, parent: number): number {
    const isInlined = entry.abbreviation?.tag === TAG.inlinedSubroutine;
    if (isInlined && parent < 0) return -1;
    const rangesBefore = this.ranges.count;
    try {
      addRanges(unit, entry, this.sections, this.budget, this.ranges);
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
      this.budget.spend(FAULT_STEPS);
    }
    if (!isInlined && this.ranges.count === rangesBefore) return -1;
    if (isInlined) this.trimToParent(rangesBefore, parent);
    const row = this.entryOffset.count;
    this.entryOffset.push(entryOffset);
    this.unitIndex.push(this.units.length - 1);
    this.isInlined.push(isInlined ? 1 : 0);
    this.parent.push(parent < 0 ? NO_ROW : parent);
    this.subtreeEnd.push(row + 1);
    this.firstRange.push(this.ranges.count);
    for (let range = rangesBefore; range < this.ranges.count; range++) this.rowOfRange.push(row);
    return row;
  }

  /** Ends the ranges from `first` on where the range of `parent` ends that they start in: some of Binaryen's go on too far. */
  private trimToParent(first: number, parent: number): void {
    const { budget, ranges } = this;
    const starts = ranges.starts.values;
    const ends = ranges.ends.values;
    const parentStart = this.firstRange.values[parent];
    const parentEnd = this.firstRange.values[parent + 1];
    for (let range = first; range < ranges.count; range++) {
      for (let around = parentStart; around < parentEnd && budget.spend(1); around++) {
        if (starts[range] < starts[around] || starts[range] >= ends[around]) continue;
        ends[range] = Math.min(ends[range], ends[around]);
        break;
      }
    }
  }

  private close(row: number): void {
    if (row >= 0) this.subtreeEnd.values[row] = this.entryOffset.count;
  }

  private sortFunctions(): void {
    const starts = this.ranges.starts.values;
    const functionRanges: number[] = [];
    for (let range = 0; range < this.ranges.count; range++) {
      if (this.isInlined.values[this.rowOfRange.values[range]] === 0) functionRanges.push(range);
    }
    this.functionRanges = Int32Array.from(functionRanges).sort((a, b) => starts[a] - starts[b] || b - a);
  }
}
