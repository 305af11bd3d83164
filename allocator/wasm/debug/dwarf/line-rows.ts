// Rows of line tables, side by side in columns that grow. What a row means is known to line-tables.ts.

import { Column } from "./column.ts";

/** Real programs take 6 to 8 bytes for a row. */
const BYTES_PER_ROW = 8;
const MOST = 0xffffffff;

export class LineRows {
  readonly address: Column;
  readonly file: Column;
  readonly line: Column;
  readonly column: Column;

  /** @param lengthBytes of the section that the rows come from */
  constructor(lengthBytes: number) {
    const capacity = Math.ceil(lengthBytes / BYTES_PER_ROW);
    this.address = new Column(capacity);
    this.file = new Column(capacity);
    this.line = new Column(capacity);
    this.column = new Column(capacity);
  }

  get count(): number {
    return this.address.count;
  }

  add(address: number, file: number, line: number, column: number): void {
    this.address.push(address);
    this.file.push(0);
    this.line.push(0);
    this.column.push(0);
    this.set(this.count - 1, file, line, column);
  }

  /** Numbers that 32 bits do not hold come of programs that make no sense: they become what is unknown. */
  set(row: number, file: number, line: number, column: number): void {
    this.file.values[row] = Math.min(file, MOST);
    this.line.values[row] = line > 0 && line <= MOST ? line : 0;
    this.column.values[row] = column <= MOST ? column : 0;
  }

  /** Takes the rows from `count` on back. */
  truncate(count: number): void {
    for (const column of [this.address, this.file, this.line, this.column]) column.count = count;
  }
}
