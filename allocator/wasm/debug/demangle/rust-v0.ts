// Rust's second scheme, `_RNvCs1234_7mycrate3foo` (RFC 2603, "v0"): paths, types and constants, written as source would.
// Disambiguating hashes are left out, as in rustc-demangle's short form.

import { isDigit, MangledText, NotReadable, readableOrNull } from "./common/mangled-text.ts";
import { decodePunycode } from "./punycode.ts";

const BASIC_TYPES: Readonly<Record<string, string>> = {
  a: "i8",
  b: "bool",
  c: "char",
  d: "f64",
  e: "str",
  f: "f32",
  h: "u8",
  i: "isize",
  j: "usize",
  l: "i32",
  m: "u32",
  n: "i128",
  o: "u128",
  p: "_",
  s: "i16",
  t: "u16",
  u: "()",
  v: "...",
  x: "i64",
  y: "u64",
  z: "!",
};

/** The types whose constants are numbers. */
const INTEGER_TYPES = "ahijlmnostxy";

export function demangleRustV0(name: string): string | null {
  return readableOrNull(() => new RustV0(name).symbol());
}

/** A path in a type is written `Vec<T>`, one in an expression `Vec::<T>`. */
type Place = "type" | "value";

class RustV0 {
  private readonly input: MangledText;
  /** Lifetimes that `for<…>` binds around here. */
  private boundLifetimes = 0;

  constructor(name: string) {
    this.input = new MangledText(name, PREFIX.length);
  }

  symbol(): string {
    if (isDigit(this.input.peek())) throw new NotReadable("a version of the scheme that is not known");
    const path = this.path("value");
    const { input } = this;
    // The crate that a generic function was made for may follow, and what LLVM adds to copies of a function.
    if (!input.isAtEnd && !".$".includes(input.peek())) this.path("value");
    if (!input.isAtEnd && !".$".includes(input.peek())) throw new NotReadable("more than a path");
    return path;
  }

  private path(place: Place): string {
    return this.input.rule(() => this.input.checked(this.anyPath(place)));
  }

  private anyPath(place: Place): string {
    const { input } = this;
    switch (input.next()) {
      case "C":
        this.disambiguator();
        return this.identifier();
      case "M":
        this.implPath();
        return `<${this.type()}>`;
      case "X": {
        this.implPath();
        return `<${this.type()} as ${this.path("type")}>`;
      }
      case "Y":
        return `<${this.type()} as ${this.path("type")}>`;
      case "N":
        return this.nestedPath(place);
      case "I": {
        const path = this.path(place);
        return `${path}${place === "value" ? "::" : ""}<${this.list(() => this.genericArgument())}>`;
      }
      case "B":
        return this.backReference(() => this.path(place));
      default:
        throw new NotReadable("no path");
    }
  }

  private nestedPath(place: Place): string {
    const namespace = this.input.next();
    const parent = this.path(place);
    const disambiguator = this.disambiguator();
    const name = this.identifier();
    if (namespace >= "a" && namespace <= "z") return name === "" ? parent : `${parent}::${name}`;
    const kind = namespace === "C" ? "closure" : namespace === "S" ? "shim" : namespace;
    return `${parent}::{${kind}${name === "" ? "" : `:${name}`}#${disambiguator}}`;
  }

  /** Where an `impl` stands says nothing that its type does not say better. */
  private implPath(): void {
    this.disambiguator();
    this.path("value");
  }

  private genericArgument(): string {
    if (this.input.accept("L")) return this.lifetime();
    if (this.input.accept("K")) return this.constant();
    return this.type();
  }

  private type(): string {
    return this.input.rule(() => this.input.checked(this.anyType()));
  }

  private anyType(): string {
    const { input } = this;
    const code = input.next();
    const basic = BASIC_TYPES[code];
    if (basic !== undefined) return basic;
    switch (code) {
      case "A":
        return `[${this.type()}; ${this.constant()}]`;
      case "S":
        return `[${this.type()}]`;
      case "T":
        return this.tuple();
      case "R":
        return `&${this.referenceLifetime()}${this.type()}`;
      case "Q":
        return `&${this.referenceLifetime()}mut ${this.type()}`;
      case "P":
        return `*const ${this.type()}`;
      case "O":
        return `*mut ${this.type()}`;
      case "F":
        return this.withBinder(() => this.functionType());
      case "D":
        return this.dynamicType();
      case "B":
        return this.backReference(() => this.type());
      default:
        input.position--;
        return this.path("type");
    }
  }

  private tuple(): string {
    let count = 0;
    const types = this.list(() => {
      count++;
      return this.type();
    });
    return count === 1 ? `(${types},)` : `(${types})`;
  }

  private referenceLifetime(): string {
    if (!this.input.accept("L")) return "";
    const lifetime = this.lifetime();
    return lifetime === "'_" ? "" : `${lifetime} `;
  }

  private functionType(): string {
    const { input } = this;
    const isUnsafe = input.accept("U");
    let convention = "";
    if (input.accept("K")) convention = input.accept("C") ? "C" : this.identifier().replaceAll("_", "-");
    const parameters = this.list(() => this.type());
    const result = this.type();
    const head = `${isUnsafe ? "unsafe " : ""}${convention === "" ? "" : `extern "${convention}" `}`;
    return `${head}fn(${parameters})${result === "()" ? "" : ` -> ${result}`}`;
  }

  private dynamicType(): string {
    const traits = this.withBinder(() => this.list(() => this.dynamicTrait(), " + "));
    this.input.expect("L");
    const lifetime = this.lifetime();
    return `dyn ${traits}${lifetime === "'_" ? "" : ` + ${lifetime}`}`;
  }

  /** A trait, with the associated types that the object's type fixes among its arguments. */
  private dynamicTrait(): string {
    let path = this.path("type");
    while (this.input.accept("p")) {
      const binding = `${this.identifier()} = ${this.type()}`;
      path = path.endsWith(">") && !path.startsWith("<") ? `${path.slice(0, -1)}, ${binding}>` : `${path}<${binding}>`;
    }
    return path;
  }

  private constant(): string {
    return this.input.rule(() => {
      const { input } = this;
      if (input.accept("B")) return this.backReference(() => this.constant());
      const type = input.next();
      if (type === "p") return "_";
      const sign = input.accept("n") ? "-" : "";
      const digits = input.takeWhile((character) => isDigit(character) || (character >= "a" && character <= "f"));
      input.expect("_");
      const value = BigInt(`0x${digits === "" ? "0" : digits}`);
      if (type === "b" && value <= 1n) return value === 1n ? "true" : "false";
      if (type === "c" && value <= 0x10ffffn) return `'${String.fromCodePoint(Number(value))}'`;
      if (!INTEGER_TYPES.includes(type)) throw new NotReadable(`a constant of type ${type}`);
      return `${sign}${value}`;
    });
  }

  /** Items up to `E`. */
  private list(item: () => string, separator = ", "): string {
    const items: string[] = [];
    while (!this.input.accept("E")) items.push(item());
    return items.join(separator);
  }

  /** Lifetimes count from the innermost binder: 1 is the last one bound. */
  private lifetime(): string {
    const index = this.base62();
    if (index === 0) return "'_";
    const depth = this.boundLifetimes - index;
    if (depth < 0) throw new NotReadable("a lifetime that is not bound");
    return lifetimeName(depth);
  }

  private withBinder(read: () => string): string {
    const count = this.input.accept("G") ? this.base62() + 1 : 0;
    if (count > MOST_BOUND) throw new NotReadable("too many lifetimes");
    const outer = this.boundLifetimes;
    const names = Array.from({ length: count }, (_, index) => lifetimeName(outer + index));
    this.boundLifetimes += count;
    const bound = read();
    this.boundLifetimes = outer;
    return count === 0 ? bound : `for<${names.join(", ")}> ${bound}`;
  }

  /** Reads again what stands at an earlier place, counted from behind the prefix. */
  private backReference(read: () => string): string {
    const here = this.input.position - 1;
    const target = PREFIX.length + this.base62();
    if (target >= here) throw new NotReadable("a reference that does not go back");
    const after = this.input.position;
    this.input.position = target;
    const result = read();
    this.input.position = after;
    return result;
  }

  private disambiguator(): number {
    return this.input.accept("s") ? this.base62() + 1 : 0;
  }

  private identifier(): string {
    const isPunycode = this.input.accept("u");
    const length = this.input.accept("0") ? 0 : this.input.decimal();
    this.input.accept("_");
    const text = this.input.take(length);
    return isPunycode ? decodePunycode(text) : text;
  }

  /** `_` is 0; otherwise digits before `_` are one less than the value. Crates' hashes pass 2^53, and are not written. */
  private base62(): number {
    if (this.input.accept("_")) return 0;
    const digits = this.input.takeWhile((character) => /[0-9A-Za-z]/.test(character));
    this.input.expect("_");
    let value = 0;
    for (const digit of digits) value = value * 62 + BASE62.indexOf(digit);
    if (digits === "") throw new NotReadable("no number in base 62");
    return value + 1;
  }
}

const PREFIX = "_R";
const MOST_BOUND = 64;
const BASE62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

function lifetimeName(depth: number): string {
  return depth < 26 ? `'${String.fromCharCode(97 + depth)}` : `'z${depth - 25}`;
}
