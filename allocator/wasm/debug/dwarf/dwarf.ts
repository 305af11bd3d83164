// DWARF asked by code address: the chain of functions there, innermost first, each with its place in the source.
// The sections are read whole at the first question (Scopes, LineTables), and entries again for each answer.

import { MalformedDebugData } from "../sections/byte-reader.ts";
import { Budget } from "./budget.ts";
import { ATTRIBUTE } from "./constants.ts";
import { Entry, isUnitReference } from "./entry.ts";
import { LineTables } from "./line-tables.ts";
import { Scopes } from "./scopes.ts";
import { type DwarfSections, totalBytes } from "./sections.ts";
import { readEntryAt, stringOf, type Unit } from "./unit.ts";

export interface SourcePlace {
  readonly file: string | null;
  /** 1-based; null where none is known. */
  readonly line: number | null;
  /** 1-based, in bytes as the compiler counts; null where none is known. */
  readonly column: number | null;
  /** The compiler made the code for no line, or for several; `line` is that of the code before it. */
  readonly isApproximate: boolean;
}

export interface DwarfFrame extends SourcePlace {
  /** As the linker knows it (mangled), else as the source names it; null where neither is known. */
  readonly functionName: string | null;
  readonly isInlined: boolean;
}

/** An abstract origin that specifies a declaration takes two steps; more than this is a circle. */
const LONGEST_REFERENCE_CHAIN = 8;
/** Compilers inline a few dozen levels deep; deeper is not real. */
const DEEPEST_INLINING = 512;

const UNKNOWN: SourcePlace = { file: null, line: null, column: null, isApproximate: false };

export class Dwarf {
  private readonly sections: DwarfSections;
  private readonly scopes: Scopes;
  private readonly lines: LineTables;
  /** Units by their line table's offset, for the compilation directory. */
  private readonly unitOfTable = new Map<number, Unit>();

  /** Reads all sections; time and memory are proportional to their bytes. Malformed parts are left out. */
  constructor(sections: DwarfSections) {
    this.sections = sections;
    this.scopes = new Scopes(sections, new Budget(totalBytes(sections)));
    this.lines = new LineTables(sections);
    for (const unit of this.scopes.units) {
      if (!this.unitOfTable.has(unit.statementList)) this.unitOfTable.set(unit.statementList, unit);
    }
  }

  /** Frames at `address` (an offset in the Code section's contents), innermost first; none where nothing is known. */
  framesAt(address: number): DwarfFrame[] {
    const chain = this.chainAt(address);
    const row = this.lines.at(address);
    if (chain.length === 0 && row === null) return [];
    const directory = row === null ? "" : this.directoryOf(row.table);
    const file = row === null ? null : this.lines.pathOf(row.table, row.file, directory);
    let place = row === null ? UNKNOWN : toPlace(file, row.line, row.column);
    if (file !== null && row !== null && row.lineBefore > 0 && row.lineBefore <= MOST_LINES) {
      place = { file, line: row.lineBefore, column: null, isApproximate: true };
    }
    if (chain.length === 0) return [{ ...place, functionName: null, isInlined: false }];
    const frames: DwarfFrame[] = [];
    const entry = new Entry();
    for (const scope of chain) {
      const unit = this.scopes.units[this.scopes.unitIndex.values[scope]];
      const offset = this.scopes.entryOffset.values[scope];
      const isInlined = this.scopes.isInlined.values[scope] === 1;
      frames.push({ ...place, functionName: this.nameOf(unit, offset), isInlined });
      if (isInlined) place = this.callSite(unit, offset, entry);
    }
    return frames;
  }

  /** The name of the function whose code is `[start, end)`, no byte more or less; null where there is none, or it has none. */
  functionOf(start: number, end: number): string | null {
    const { unitIndex, units, entryOffset } = this.scopes;
    const row = this.scopes.functionAt(start);
    if (row < 0 || !this.hasRange(row, start, end)) return null;
    return this.nameOf(units[unitIndex.values[row]], entryOffset.values[row]);
  }

  /** Whether what is known of the code of a function at `[start, end)` is of a function that begins or ends elsewhere. */
  isOfOtherCode(start: number, end: number): boolean {
    const row = this.scopes.functionAt(start);
    if (row < 0) return this.scopes.functionAt(end - 1) >= 0;
    return !this.hasRange(row, start, end);
  }

  private hasRange(row: number, start: number, end: number): boolean {
    const { firstRange, ranges } = this.scopes;
    for (let range = firstRange.values[row]; range < firstRange.values[row + 1]; range++)
      if (ranges.starts.values[range] === start && ranges.ends.values[range] === end) return true;
    return false;
  }

  /** Rows of the scopes at `address`, innermost first; the last one is the function itself. */
  private chainAt(address: number): number[] {
    const chain: number[] = [];
    const root = this.scopes.functionAt(address);
    if (root < 0) return chain;
    let scope = this.scopes.innermostAt(root, address);
    for (; scope !== root; scope = this.scopes.parent.values[scope]) {
      if (chain.length === DEEPEST_INLINING) return [];
      chain.push(scope);
    }
    chain.push(root);
    return chain;
  }

  private directoryOf(table: number): string {
    return this.unitOfTable.get(this.lines.offsetOf(table))?.compilationDirectory ?? "";
  }

  /** Where the inlined function of the entry at `offset` was called. */
  private callSite(unit: Unit, offset: number, entry: Entry): SourcePlace {
    if (!this.read(unit, offset, entry)) return UNKNOWN;
    const number = (attribute: number) => (entry.has(attribute) ? entry.valueOf(attribute) : 0);
    const table = this.lines.tableAt(unit.statementList);
    const file = entry.has(ATTRIBUTE.callFile) && table >= 0 ? number(ATTRIBUTE.callFile) : -1;
    const path = file < 0 ? null : this.lines.pathOf(table, file, unit.compilationDirectory);
    return toPlace(path, number(ATTRIBUTE.callLine), number(ATTRIBUTE.callColumn));
  }

  /** The linkage name, found through the entries that this one stands for, else the name. */
  private nameOf(firstUnit: Unit, firstOffset: number): string | null {
    const entry = new Entry();
    let unit = firstUnit;
    let offset = firstOffset;
    let name: string | null = null;
    for (let step = 0; step < LONGEST_REFERENCE_CHAIN && this.read(unit, offset, entry); step++) {
      const linkageName = stringOf(unit, entry, ATTRIBUTE.linkageName, this.sections);
      // Clang gives `main` a linkage name by its parameters, which the source does not know.
      if (linkageName !== null && !linkageName.startsWith("__main_")) return linkageName;
      name ??= stringOf(unit, entry, ATTRIBUTE.name, this.sections);
      const reference = entry.has(ATTRIBUTE.abstractOrigin) ? ATTRIBUTE.abstractOrigin : ATTRIBUTE.specification;
      if (!entry.has(reference)) break;
      const isInUnit = isUnitReference(entry.formOf(reference));
      offset = isInUnit ? unit.start + entry.valueOf(reference) : entry.valueOf(reference);
      const next = isInUnit ? unit : this.scopes.unitAt(offset);
      if (next === null) break;
      unit = next;
    }
    return name;
  }

  private read(unit: Unit, offset: number, entry: Entry): boolean {
    try {
      readEntryAt(unit, offset, entry, this.sections);
      return true;
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
      return false;
    }
  }
}

/** No file has more lines: LLVM counts them in 32 bits. */
const MOST_LINES = 0xffffffff;

/** Line and column 0 stand for "none" in DWARF; others than 32 bits hold come of programs that make no sense. */
function toPlace(file: string | null, line: number, column: number): SourcePlace {
  const isKnown = file !== null && line > 0 && line <= MOST_LINES;
  return {
    file,
    line: isKnown ? line : null,
    column: isKnown && column > 0 && column <= MOST_LINES ? column : null,
    isApproximate: false,
  };
}
