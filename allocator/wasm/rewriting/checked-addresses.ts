// Which addresses a function has checked already, at the instruction where a pass stands: bytes at a distance from a local's value.
// A fact ends when the local is set, at a call (which may free memory), and where control flow joins. Cost: a few integers.

const CAPACITY = 32;
const NONE = -1;

export class CheckedAddresses {
  private readonly locals = new Int32Array(CAPACITY);
  private readonly offsets = new Float64Array(CAPACITY);
  private readonly ends = new Float64Array(CAPACITY);
  private readonly stores = new Uint8Array(CAPACITY);
  private count = 0;
  /** How many facts there were where each open block began. */
  private marks = new Int32Array(64);
  private depth = 0;

  begin(): void {
    this.count = 0;
    this.depth = 0;
  }

  /** Whether `size` bytes at `local` + `offset` need no check for this kind of access. */
  has(local: number, offset: number, size: number, isStore: number): boolean {
    for (let i = 0; i < this.count; i++) {
      if (
        this.locals[i] === local &&
        this.stores[i] >= isStore &&
        this.offsets[i] <= offset &&
        this.ends[i] >= offset + size
      )
        return true;
    }
    return false;
  }

  add(local: number, offset: number, size: number, isStore: number): void {
    if (this.count === CAPACITY) return;
    const i = this.count++;
    this.locals[i] = local;
    this.offsets[i] = offset;
    this.ends[i] = offset + size;
    this.stores[i] = isStore;
  }

  /** `local` has another value from now on. */
  forgetLocal(local: number): void {
    for (let i = 0; i < this.count; i++) if (this.locals[i] === local) this.locals[i] = NONE;
  }

  /** Memory may have been freed. */
  forgetAll(): void {
    for (let i = 0; i < this.count; i++) this.locals[i] = NONE;
  }

  /** A block begins: facts from before hold in it, unless it is a loop, whose begin is reached from its end, too. */
  open(isLoop: boolean): void {
    if (isLoop) this.forgetAll();
    if (this.depth === this.marks.length) {
      const longer = new Int32Array(this.depth * 2);
      longer.set(this.marks);
      this.marks = longer;
    }
    this.marks[this.depth++] = this.count;
  }

  /** The other arm of an if. */
  alternate(): void {
    if (this.depth > 0) this.count = Math.min(this.count, this.marks[this.depth - 1]);
  }

  /** A block ends, to which branches may come from anywhere in it. */
  close(): void {
    if (this.depth > 0) this.count = Math.min(this.count, this.marks[--this.depth]);
  }
}
