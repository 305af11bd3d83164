// All line tables of a module, as one sorted list of sequences over rows of plain numbers; look-up is a binary search.
// Sequences of removed code are dropped here.

import { ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import { type LineFiles, type LineHeader, pathOfFile, readLineFiles, readLineHeader } from "./line-header.ts";
import { type LineSink, runLineProgram } from "./line-program.ts";
import { LineRows } from "./line-rows.ts";
import { type DwarfSections, isTombstone } from "./sections.ts";

/** A module has less than 2^32 bytes. */
const HIGHEST_ADDRESS = 0xffffffff;

export interface LinePlace {
  /** Which table the file's index counts in. */
  readonly table: number;
  readonly file: number;
  /** 1-based; 0 where the compiler says that no line is meant. */
  readonly line: number;
  /** 1-based; 0 where it is not known. */
  readonly column: number;
  /** Where the line is 0: the last line before it of the same file in the same sequence; else 0. */
  readonly lineBefore: number;
}

/**
 * Rows of sequence s are `[firstRow[s], firstRow[s + 1])`, their addresses ascending from `start[s]` and all below `end[s]`.
 * Row r holds from `address[r]` until the next row's address.
 */
export class LineTables implements LineSink {
  private readonly headers: LineHeader[] = [];
  private readonly tableAtOffset = new Map<number, number>();
  private readonly files = new Map<number, LineFiles | null>();
  private readonly sections: DwarfSections;

  private readonly rows: LineRows;
  /** Whether the program is where code was removed, as at address 0, where every sequence starts. */
  private isRemoved = true;
  private readonly firstRow: number[] = [0];
  private readonly start: number[] = [];
  private readonly end: number[] = [];
  private readonly tableOfSequence: number[] = [];
  /**
   * Sequences by their starts, ascending. Of several at one start the first table's comes last, and so it is found: they are
   * copies of one inline function, of which the linker kept the first.
   */
  private readonly sorted: Int32Array;

  constructor(sections: DwarfSections) {
    this.sections = sections;
    this.rows = new LineRows(sections.line.length);
    const reader = new ByteReader(sections.line);
    try {
      while (reader.offset < reader.end) this.addTable(readLineHeader(reader));
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
    }
    const { start } = this;
    this.sorted = Int32Array.from(start.keys()).sort((a, b) => start[a] - start[b] || b - a);
  }

  /** The row that holds at `address`, or null. */
  at(address: number): LinePlace | null {
    const sequence = this.sequenceAt(address);
    if (sequence < 0) return null;
    const { rows } = this;
    let low = this.firstRow[sequence];
    let high = this.firstRow[sequence + 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rows.address.values[middle] <= address) low = middle + 1;
      else high = middle;
    }
    const row = low - 1;
    const table = this.tableOfSequence[sequence];
    const [file, line, column] = [rows.file.values, rows.line.values, rows.column.values];
    const lineBefore = line[row] === 0 ? this.lineBefore(row, this.firstRow[sequence]) : 0;
    return { table, file: file[row], line: line[row], column: column[row], lineBefore };
  }

  /** The table that starts at `offset` of `.debug_line`; -1 if none does. */
  tableAt(offset: number): number {
    return this.tableAtOffset.get(offset) ?? -1;
  }

  /** Where table `table` starts in `.debug_line`. */
  offsetOf(table: number): number {
    return this.headers[table].start;
  }

  /** The path of a file of a table; null where the table does not say. */
  pathOf(table: number, file: number, compilationDirectory: string): string | null {
    const list = this.filesOf(table);
    return list === null ? null : pathOfFile(list, file, compilationDirectory);
  }

  setAddress(address: number): void {
    this.isRemoved = isTombstone(address);
    if (this.isRemoved) this.endAtLastRow();
  }

  row(address: number, file: number, line: number, column: number): void {
    const { rows } = this;
    const last = rows.count - 1;
    const isFirst = last < this.firstRow[this.firstRow.length - 1];
    if (this.isRemoved || address > HIGHEST_ADDRESS) return;
    // An address that goes down starts another sequence, though the program says nothing of it.
    if (isFirst || address > rows.address.values[last]) rows.add(address, file, line, column);
    else if (address === rows.address.values[last]) rows.set(last, file, line, column);
    else {
      this.endAtLastRow();
      rows.add(address, file, line, column);
    }
  }

  endSequence(address: number): void {
    this.closeSequence(address);
    this.isRemoved = true;
  }

  private endAtLastRow(): void {
    const { rows } = this;
    if (rows.count > 0) this.closeSequence(rows.address.values[rows.count - 1]);
  }

  private closeSequence(address: number): void {
    const { rows } = this;
    const firstRow = this.firstRow[this.firstRow.length - 1];
    if (firstRow === rows.count) return;
    const start = rows.address.values[firstRow];
    if (address <= start) {
      rows.truncate(firstRow);
      return;
    }
    this.start.push(start);
    this.end.push(address);
    this.tableOfSequence.push(this.headers.length - 1);
    this.firstRow.push(rows.count);
  }

  private lineBefore(row: number, firstRow: number): number {
    const line = this.rows.line.values;
    const file = this.rows.file.values;
    for (let before = row - 1; before >= firstRow; before--) {
      if (line[before] > 0 && file[before] === file[row]) return line[before];
    }
    return 0;
  }

  private addTable(header: LineHeader | null): void {
    if (header === null) return;
    this.tableAtOffset.set(header.start, this.headers.length);
    this.headers.push(header);
    this.isRemoved = true;
    try {
      runLineProgram(header, new ByteReader(this.sections.line, header.program, header.end), this);
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
    }
    // A program that stops inside a sequence does not say where the last row ends.
    this.endAtLastRow();
  }

  private sequenceAt(address: number): number {
    const { sorted, start } = this;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (start[sorted[middle]] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const sequence = sorted[low - 1];
    return address < this.end[sequence] ? sequence : -1;
  }

  private filesOf(table: number): LineFiles | null {
    const known = this.files.get(table);
    if (known !== undefined) return known;
    const header = this.headers[table];
    let list: LineFiles | null = null;
    try {
      list = readLineFiles(header, new ByteReader(this.sections.line, header.names, header.program), this.sections);
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
    }
    this.files.set(table, list);
    return list;
  }
}
