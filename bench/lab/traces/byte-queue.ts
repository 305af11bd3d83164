// Exact numbers of bytes out of chunks of any size.
// Used by the binary reader and to peek at a file's beginning; it holds no more than what was asked for and a chunk.

export class ByteQueue {
  private readonly source: AsyncIterator<Uint8Array>;
  private chunk: Uint8Array = new Uint8Array(0);
  private position = 0;
  private ended = false;
  /** Bytes taken so far. */
  consumed = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.source = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, or null if the source ends before. The bytes may be a view on the source's chunk. */
  async take(length: number): Promise<Uint8Array | null> {
    if (!(await this.fill(length))) return null;
    const bytes = this.chunk.subarray(this.position, this.position + length);
    this.position += length;
    this.consumed += length;
    return bytes;
  }

  /** Up to `length` bytes, fewer only at the source's end; they stay to be read. */
  async peek(length: number): Promise<Uint8Array> {
    await this.fill(length);
    return this.chunk.subarray(this.position, this.position + length);
  }

  /** What is left, as chunks. */
  async *rest(): AsyncGenerator<Uint8Array> {
    const first = this.chunk.subarray(this.position);
    this.chunk = new Uint8Array(0);
    this.position = 0;
    if (first.length > 0) yield first;
    if (this.ended) return;
    for (;;) {
      const { value, done } = await this.source.next();
      if (done) return;
      yield value;
    }
  }

  /** Lets go of the source, so that a file that is not read to its end gets closed. */
  async close(): Promise<void> {
    await this.source.return?.();
  }

  private async fill(length: number): Promise<boolean> {
    const parts = [this.chunk.subarray(this.position)];
    let available = parts[0].length;
    while (available < length && !this.ended) {
      const { value, done } = await this.source.next();
      if (done) {
        this.ended = true;
      } else {
        parts.push(value);
        available += value.length;
      }
    }
    if (parts.length > 1) {
      this.chunk = Buffer.concat(parts);
      this.position = 0;
    }
    return available >= length;
  }
}
