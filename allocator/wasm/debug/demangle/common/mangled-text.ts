// A cursor over a mangled name, with the limits that keep names of any making cheap: on depth, steps and length.
// Grammars are in the files beside.

/** Thrown inside this folder for a name that breaks its grammar or uses a part of it that is not read here. */
export class NotReadable extends Error {
  override readonly name = "NotReadable";
}

/** Real names nest a few dozen deep; back references can make more of a few bytes. */
const DEEPEST = 128;
const MOST_STEPS = 20_000;
const LONGEST_RESULT = 0x4000;

export class MangledText {
  readonly text: string;
  position: number;
  private depth = 0;
  private steps = 0;

  constructor(text: string, position: number) {
    this.text = text;
    this.position = position;
  }

  get isAtEnd(): boolean {
    return this.position >= this.text.length;
  }

  /** The character `ahead` places on; "" behind the end. */
  peek(ahead = 0): string {
    return this.text.charAt(this.position + ahead);
  }

  startsWith(prefix: string): boolean {
    return this.text.startsWith(prefix, this.position);
  }

  /** Passes over `prefix` if it is here. */
  accept(prefix: string): boolean {
    if (!this.startsWith(prefix)) return false;
    this.position += prefix.length;
    return true;
  }

  expect(prefix: string): void {
    if (!this.accept(prefix)) throw new NotReadable(`no ${prefix} at ${this.position}`);
  }

  next(): string {
    if (this.isAtEnd) throw new NotReadable("the name ends early");
    return this.text.charAt(this.position++);
  }

  take(length: number): string {
    if (length > this.text.length - this.position) throw new NotReadable("the name ends early");
    const taken = this.text.slice(this.position, this.position + length);
    this.position += length;
    return taken;
  }

  /** Characters from here on that `isPart` accepts. */
  takeWhile(isPart: (character: string) => boolean): string {
    const start = this.position;
    while (!this.isAtEnd && isPart(this.peek())) this.position++;
    return this.text.slice(start, this.position);
  }

  /** A decimal number without sign. */
  decimal(): number {
    const digits = this.takeWhile(isDigit);
    if (digits === "") throw new NotReadable(`no number at ${this.position}`);
    return Number(digits);
  }

  /** Runs one rule of the grammar, one level deeper. */
  rule<T>(read: () => T): T {
    if (++this.depth > DEEPEST || ++this.steps > MOST_STEPS) throw new NotReadable("nested too deep");
    const result = read();
    this.depth--;
    return result;
  }

  /** Holds what a rule made to a length that is still a name. */
  checked(made: string): string {
    if (made.length > LONGEST_RESULT) throw new NotReadable("the readable name is too long");
    return made;
  }
}

export function isDigit(character: string): boolean {
  return character >= "0" && character <= "9";
}

/** What `read` makes of a name, or null if it throws NotReadable. */
export function readableOrNull(read: () => string): string | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof NotReadable)) throw error;
    return null;
  }
}
