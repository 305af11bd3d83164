// S-expressions of WebAssembly's text format, with their places: what splits a script of the official tests into its commands.
// What stands inside a module is the assembler's to read (assemble.ts); a command's meaning is commands.ts.
import { ScriptError } from "../script.ts";

/** A bracket with what is in it, or a word, or a string; `[start, end)` of the script's text. */
export interface Expression {
  readonly kind: "list" | "word" | "string";
  readonly start: number;
  readonly end: number;
  /** Of a list. */
  readonly items: readonly Expression[];
  /** Of a word, or of a list its first word, or "". */
  readonly word: string;
  /** Of a string: its bytes, with escapes resolved. */
  readonly bytes: Uint8Array;
}

const NOTHING: readonly Expression[] = [];
const NO_BYTES = new Uint8Array(0);
const WORD_END = /[\s()";]/;
const encoder = new TextEncoder();
const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, '"': 34, "'": 39, "\\": 92 };

/** @throws ScriptError: a bracket, string or comment that does not end, or an end that has no begin */
export function readExpressions(text: string): readonly Expression[] {
  return new ExpressionReader(text).all();
}

/** Number of the line, from 1, that the place is in. */
export function lineOf(text: string, place: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < place; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

class ExpressionReader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  all(): readonly Expression[] {
    const items = this.items();
    if (this.at < this.text.length) this.fail("a bracket ends that did not begin");
    return items;
  }

  /** Up to a closing bracket or the text's end. */
  private items(): readonly Expression[] {
    const items: Expression[] = [];
    for (;;) {
      this.skipSpace();
      const next = this.text[this.at];
      if (next === undefined || next === ")") return items;
      if (next === "(") {
        const list = this.list();
        // Annotations may stand anywhere and mean nothing here.
        if (!list.word.startsWith("@")) items.push(list);
      } else items.push(next === '"' ? this.string() : this.word());
    }
  }

  private list(): Expression {
    const start = this.at++;
    const items = this.items();
    if (this.text[this.at] !== ")") this.fail("a bracket does not end", start);
    this.at++;
    const word = items[0]?.kind === "word" ? items[0].word : "";
    return { kind: "list", start, end: this.at, items, word, bytes: NO_BYTES };
  }

  private word(): Expression {
    const start = this.at;
    while (this.at < this.text.length && !WORD_END.test(this.text[this.at])) this.at++;
    // A lone semicolon, which only an annotation may have.
    if (this.at === start) this.at++;
    const word = this.text.slice(start, this.at);
    return { kind: "word", start, end: this.at, items: NOTHING, word, bytes: NO_BYTES };
  }

  private string(): Expression {
    const start = this.at++;
    const bytes: number[] = [];
    for (;;) {
      const character = this.text[this.at];
      if (character === undefined) this.fail("a string does not end", start);
      if (character === '"') break;
      if (character === "\\") this.escape(bytes);
      else {
        const point = String.fromCodePoint(this.text.codePointAt(this.at) ?? 0);
        bytes.push(...encoder.encode(point));
        this.at += point.length;
      }
    }
    this.at++;
    return { kind: "string", start, end: this.at, items: NOTHING, word: "", bytes: Uint8Array.from(bytes) };
  }

  private escape(bytes: number[]): void {
    const escaped = /\\(?:u\{([0-9a-fA-F_]+)\}|([0-9a-fA-F]{2})|([ntr"'\\]))/y;
    escaped.lastIndex = this.at;
    const match = escaped.exec(this.text);
    if (match === null) this.fail("an escape that there is not");
    const [whole, point, byte, letter] = match;
    if (point !== undefined)
      bytes.push(...encoder.encode(String.fromCodePoint(Number.parseInt(point.replaceAll("_", ""), 16))));
    else bytes.push(byte === undefined ? ESCAPES[letter] : Number.parseInt(byte, 16));
    this.at += whole.length;
  }

  private skipSpace(): void {
    const { text } = this;
    for (;;) {
      while (this.at < text.length && /\s/.test(text[this.at])) this.at++;
      if (text.startsWith(";;", this.at)) {
        const end = text.indexOf("\n", this.at);
        this.at = end < 0 ? text.length : end;
      } else if (text.startsWith("(;", this.at)) this.skipComment();
      else return;
    }
  }

  /** Such comments nest. */
  private skipComment(): void {
    const start = this.at;
    let depth = 0;
    do {
      if (this.text.startsWith("(;", this.at)) depth++;
      else if (this.text.startsWith(";)", this.at)) depth--;
      else {
        if (this.at >= this.text.length) this.fail("a comment does not end", start);
        this.at++;
        continue;
      }
      this.at += 2;
    } while (depth > 0);
  }

  private fail(what: string, place = this.at): never {
    throw new ScriptError(`line ${lineOf(this.text, place)}: ${what}`);
  }
}
