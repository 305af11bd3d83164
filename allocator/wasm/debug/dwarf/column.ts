// A column of a table that grows row by row: 32-bit numbers in a typed array, which costs a third of what a plain array
// costs to fill. What the numbers mean is known to the tables.

const ROWS_AT_LEAST = 256;

export class Column {
  count = 0;
  /** The first `count` are in use; growing replaces the array. */
  values: Uint32Array;

  constructor(capacity = ROWS_AT_LEAST) {
    this.values = new Uint32Array(Math.max(capacity, ROWS_AT_LEAST));
  }

  /** @param value 0 to 2^32 - 1 */
  push(value: number): void {
    if (this.count === this.values.length) this.grow();
    this.values[this.count++] = value;
  }

  private grow(): void {
    const larger = new Uint32Array(2 * this.values.length);
    larger.set(this.values);
    this.values = larger;
  }
}
