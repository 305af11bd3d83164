// Call sites of a trace, for the formats that know them: names by number, in the order in which they were first met.

/** Number 0 is no site. */
export class CallSites {
  readonly names: string[] = [""];
  private readonly numbers = new Map<string, number>([["", 0]]);
  /** Numbers of names by a hash of their bytes, and those bytes by number. */
  private readonly byHash = new Map<number, number[]>();
  private readonly bytesOf = new Map<number, Uint8Array>();

  of(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const number = this.names.push(name) - 1;
    this.numbers.set(name, number);
    return number;
  }

  /** As {@link of}, for a name of Latin-1 bytes in `[start, end)`: no string is made of one that is known. */
  ofBytes(bytes: Uint8Array, start: number, end: number): number {
    // FNV-1a, cut to what the engine keeps without an object.
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
    hash &= 0x3fffffff;
    const candidates = this.byHash.get(hash);
    if (candidates !== undefined) {
      for (const number of candidates) if (equals(this.bytesOf.get(number)!, bytes, start, end)) return number;
    }
    const own = bytes.slice(start, end);
    const number = this.of(Buffer.from(own).toString("latin1"));
    this.bytesOf.set(number, own);
    if (candidates === undefined) this.byHash.set(hash, [number]);
    else candidates.push(number);
    return number;
  }
}

function equals(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let index = 0; index < name.length; index++) if (name[index] !== bytes[start + index]) return false;
  return true;
}
