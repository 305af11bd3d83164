// What the rules of the Itanium C++ ABI's grammar (section 5.1, "External Names") share: the place in the name, what
// substitutions and template parameters stand for, and the rules themselves, since they call each other across the files.

import { MangledText, NotReadable } from "../common/mangled-text.ts";

/**
 * A piece of C++: what stands before a declared name and what stands behind it, as `int (*` and `) [4]`.
 * Names have no right side.
 */
export interface Piece {
  readonly left: string;
  readonly right: string;
  /** What decides how a pointer, reference or qualifier is put to it. */
  readonly kind: "plain" | "function" | "array" | "lvalue" | "rvalue";
  /** The name that a constructor or destructor of it has. */
  readonly base: string;
  /** Its elements, for the arguments that a template parameter pack stands for. */
  readonly pack: readonly Piece[] | null;
  /** Which expansion of a pack it was made in, of one element: in another it would stand for others; 0 for none. */
  readonly expansion: number;
}

/** A name, and what the type behind it depends on. */
export interface Name {
  readonly piece: Piece;
  /** Qualifiers of a member function, behind the parameters. */
  readonly qualifiers: string;
  readonly endsWithArguments: boolean;
  /** Constructors, destructors and conversions have no return type in their encoding. */
  readonly hasNoResult: boolean;
}

export interface Grammar {
  encoding(state: ItaniumState): string;
  /** @param isEncoding the name's template arguments are those that the rest of the encoding means */
  name(state: ItaniumState, isEncoding: boolean): Name;
  unqualifiedName(state: ItaniumState, base: string): { text: string; base: string; hasNoResult: boolean };
  type(state: ItaniumState): Piece;
  templateArguments(state: ItaniumState, isEncoding: boolean): string;
  expression(state: ItaniumState): string;
}

export class ItaniumState {
  readonly input: MangledText;
  readonly grammar: Grammar;
  substitutions: Piece[] = [];
  templateArguments: Piece[] = [];
  /** Which element of packs is meant where a pack is expanded; -1 elsewhere. */
  packIndex = -1;
  /** Elements of the packs met in the expansion; -1 before the first. */
  packLength = -1;
  /** Counts the expansions of packs, from 1. */
  expansion = 0;

  constructor(text: string, position: number, grammar: Grammar) {
    this.input = new MangledText(text, position);
    this.grammar = grammar;
  }

  /** Remembers a piece that later parts of the name may mean. */
  remember(piece: Piece): Piece {
    this.input.checked(textOf(piece));
    this.substitutions.push(this.packLength >= 0 ? { ...piece, expansion: this.expansion } : piece);
    return piece;
  }

  /** The piece itself, or the element of it that is meant, if it is a pack. */
  elementOf(piece: Piece): Piece {
    const isOfThisExpansion = this.packIndex >= 0 && piece.expansion === this.expansion;
    if (piece.expansion !== 0 && !isOfThisExpansion) throw new NotReadable("a pack's pattern used again");
    if (piece.pack === null) return piece;
    if (this.packIndex < 0) {
      if (piece.pack.length !== 1) throw new NotReadable("a pack that is not expanded");
      return piece.pack[0];
    }
    this.packLength = piece.pack.length;
    return piece.pack[Math.min(this.packIndex, piece.pack.length - 1)] ?? plain("");
  }
}

export function plain(text: string, base = text): Piece {
  return { left: text, right: "", kind: "plain", base, pack: null, expansion: 0 };
}

export function packOf(pieces: readonly Piece[]): Piece {
  return { ...plain(pieces.map(textOf).join(", ")), pack: pieces };
}

export function textOf({ left, right }: Piece): string {
  return left + right;
}

/** A number of base 36 in front of `_`: `_` is 0, `0_` is 1. */
export function sequenceId(input: MangledText): number {
  if (input.accept("_")) return 0;
  const digits = input.takeWhile((character) => /[0-9A-Z]/.test(character));
  input.expect("_");
  const value = Number.parseInt(digits, 36);
  if (!(value < Number.MAX_SAFE_INTEGER)) throw new NotReadable("no sequence number");
  return value + 1;
}
