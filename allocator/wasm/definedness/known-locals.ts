// Which locals are known to hold defined values at the instruction where the pass stands, so that no code looks at their shadows.
// A fact begins with a defined value that is set, or with a report; it ends with an undefined one, and where control flow joins
// from a place without it. Cost: a byte a local, and an entry a fact.

export class KnownLocals {
  private known = new Uint8Array(64);
  /** Locals that became known, in order, since the function's begin; a block's facts are those behind its mark. */
  private log: number[] = [];
  private marks: number[] = [];
  private count = 0;

  /** Begins a function: parameters are not known, declared locals are zero and so defined. */
  begin(params: number, count: number): void {
    if (count > this.known.length) this.known = new Uint8Array(count * 2);
    this.known.fill(0, 0, params);
    this.known.fill(1, params, count);
    this.count = count;
    this.log.length = 0;
    this.marks.length = 0;
  }

  has(local: number): boolean {
    return this.known[local] === 1;
  }

  add(local: number): void {
    if (this.known[local] === 1) return;
    this.known[local] = 1;
    this.log.push(local);
  }

  /** The local may have undefined bits from now on. */
  remove(local: number): void {
    this.known[local] = 0;
  }

  /** A block begins. A loop's begin is reached from its end, too: nothing is known there. */
  open(isLoop: boolean): void {
    if (isLoop) this.known.fill(0, 0, this.count);
    this.marks.push(this.log.length);
  }

  /** The other arm of an if: facts of the first do not hold. */
  alternate(): void {
    this.undo(this.marks[this.marks.length - 1] ?? 0);
  }

  /** A block ends, to which branches come from anywhere in it. */
  close(): void {
    this.undo(this.marks.pop() ?? 0);
  }

  private undo(mark: number): void {
    for (let i = mark; i < this.log.length; i++) this.known[this.log[i]] = 0;
    this.log.length = mark;
  }
}
