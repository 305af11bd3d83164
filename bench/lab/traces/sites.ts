// Call sites of a trace, for the formats that know them: names by number, in the order in which they were first met.

/** Number 0 is no site. */
export class CallSites {
  readonly names: string[] = [""];
  private readonly numbers = new Map<string, number>([["", 0]]);

  of(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const number = this.names.push(name) - 1;
    this.numbers.set(name, number);
    return number;
  }
}
