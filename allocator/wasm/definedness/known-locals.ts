// Which locals are known to hold defined values at the instruction where the pass stands, so that no code looks at their shadows.
// A fact begins with a defined value that is set, or with a report; it ends with an undefined one, and where control flow joins
// from a place without it. Cost: a byte a local, and an entry a fact.
//
// A loop's begin is reached from its end, too, which lies ahead. What is known in front of a loop is taken to hold at its begin, and
// looked at again where a branch goes back: if it does not hold there, the function is rewritten without it (isWrong).

/** Walks of a function after which nothing is taken to be known at the begin of a loop. */
const MOST_WALKS = 6;

export class KnownLocals {
  private known = new Uint8Array(64);
  /** Locals that became known, in order, since the function's begin; a block's facts are those behind its mark. */
  private log: number[] = [];
  private marks: number[] = [];
  private count = 0;
  /** Of each open block: a loop's number in the function and what is taken to be known at its begin; null: no loop. */
  private readonly openBlocks: ({ readonly loop: number; readonly assumed: readonly number[] } | null)[] = [];
  private loops = 0;
  /** Locals that must not be taken to be known, by loop: found out by earlier walks of the function. */
  private readonly refuted = new Map<number, Set<number>>();
  private walks = 0;
  /** Whether this walk took something to be known that is not. */
  isWrong = false;

  /** Begins a function: parameters are not known, declared locals are zero and so defined. */
  begin(params: number, count: number): void {
    if (count > this.known.length) this.known = new Uint8Array(count * 2);
    this.known.fill(0, 0, params);
    this.known.fill(1, params, count);
    this.count = count;
    this.log.length = 0;
    this.marks.length = 0;
    this.openBlocks.length = 0;
    this.loops = 0;
    this.isWrong = false;
    this.walks++;
  }

  /** The next function begins, of which no walk has found out anything. */
  forget(): void {
    this.refuted.clear();
    this.walks = 0;
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

  /** A block begins. */
  open(isLoop: boolean): void {
    this.openBlocks.push(isLoop ? this.openLoop() : null);
    this.marks.push(this.log.length);
  }

  private openLoop(): { readonly loop: number; readonly assumed: readonly number[] } {
    const loop = this.loops++;
    if (this.walks > MOST_WALKS) this.known.fill(0, 0, this.count);
    for (const local of this.refuted.get(loop) ?? []) this.known[local] = 0;
    const assumed: number[] = [];
    for (let local = 0; local < this.count; local++) if (this.known[local] === 1) assumed.push(local);
    return { loop, assumed };
  }

  /** A branch to the block that lies `label` blocks further out. */
  branch(label: number): void {
    const target = this.openBlocks[this.openBlocks.length - 1 - label];
    if (target === undefined || target === null) return;
    for (const local of target.assumed) {
      if (this.known[local] === 1) continue;
      this.isWrong = true;
      let refuted = this.refuted.get(target.loop);
      if (refuted === undefined) {
        refuted = new Set();
        this.refuted.set(target.loop, refuted);
      }
      refuted.add(local);
    }
  }

  /** The other arm of an if: facts of the first do not hold. */
  alternate(): void {
    this.undo(this.marks[this.marks.length - 1] ?? 0);
  }

  /** A block ends, to which branches come from anywhere in it. */
  close(): void {
    this.openBlocks.pop();
    this.undo(this.marks.pop() ?? 0);
  }

  private undo(mark: number): void {
    for (let i = mark; i < this.log.length; i++) this.known[this.log[i]] = 0;
    this.log.length = mark;
  }
}
