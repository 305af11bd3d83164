// The locals that a pass adds to a function, one for each value type that it needs and purpose, and the declaration of all of them.

import type { ByteWriter } from "../binary/byte-writer.ts";

export class ScratchLocals {
  private first = 0;
  private readonly types: number[] = [];
  private readonly byKey = new Map<number, number>();

  /** Begins a function that has `count` locals, parameters included. */
  begin(count: number): void {
    this.first = count;
    this.types.length = 0;
    this.byKey.clear();
  }

  /** The local of a type for a purpose (0 to 255): the same one each time it is asked for. */
  of(type: number, purpose: number): number {
    const key = purpose * 256 + type;
    let index = this.byKey.get(key);
    if (index === undefined) {
      index = this.fresh(type);
      this.byKey.set(key, index);
    }
    return index;
  }

  /** A local of its own. */
  fresh(type: number): number {
    this.types.push(type);
    return this.first + this.types.length - 1;
  }

  /** Writes a body's declarations: the `groups` that it had, which are `source[from, to)`, and these, runs of one type joined. */
  declare(out: ByteWriter, groups: number, source: Uint8Array, from: number, to: number): void {
    let runs = 0;
    for (let i = 0; i < this.types.length; i++) if (i === 0 || this.types[i] !== this.types[i - 1]) runs++;
    out.u32(groups + runs);
    out.append(source, from, to);
    for (let i = 0; i < this.types.length; ) {
      let end = i;
      while (end < this.types.length && this.types[end] === this.types[i]) end++;
      out.u32(end - i);
      out.byte(this.types[i]);
      i = end;
    }
  }
}
