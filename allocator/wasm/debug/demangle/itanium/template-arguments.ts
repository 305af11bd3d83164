// Template arguments of the Itanium C++ ABI (5.1.5.9, 5.1.5.10): types, packs and values.

import { isDigit, NotReadable } from "../common/mangled-text.ts";
import { type ItaniumState, type Piece, packOf, plain, textOf } from "./state.ts";
import { readType } from "./types.ts";

/** How a literal of a built-in type says its type: behind or before the number. */
const SUFFIXES: Readonly<Record<string, string>> = { i: "", j: "u", l: "l", m: "ul", x: "ll", y: "ull" };

/** `I argument… E`, as text with its brackets. */
export function readTemplateArguments(state: ItaniumState, isEncoding: boolean): string {
  return state.input.rule(() => {
    const { input } = state;
    input.expect("I");
    if (isEncoding) state.templateArguments = [];
    const pieces: Piece[] = [];
    while (!input.accept("E")) {
      const outer = state.templateArguments;
      const piece = readTemplateArgument(state);
      pieces.push(piece);
      if (isEncoding) state.templateArguments = [...outer, piece];
    }
    const text = pieces
      .map(textOf)
      .filter((argument) => argument !== "")
      .join(", ");
    return input.checked(`<${text}>`);
  });
}

export function readTemplateArgument(state: ItaniumState): Piece {
  const { input, grammar } = state;
  if (input.accept("J")) {
    const pieces: Piece[] = [];
    while (!input.accept("E")) pieces.push(readTemplateArgument(state));
    return packOf(pieces);
  }
  if (input.accept("X")) {
    const text = grammar.expression(state);
    input.expect("E");
    return plain(text);
  }
  if (input.peek() === "L") return plain(readLiteral(state));
  // The declaration of a parameter whose type is not plain stands in front of its argument; it is not written.
  const isPack = input.accept("Tp");
  if (input.accept("Tn")) {
    readType(state);
    return readTemplateArgument(state);
  }
  if (isPack) throw new NotReadable("a declaration that is not known");
  return readType(state);
}

/** `L type value E`, and `L _Z encoding E` for functions and objects. */
export function readLiteral(state: ItaniumState): string {
  const { input, grammar } = state;
  input.expect("L");
  if (input.accept("_Z")) {
    const text = grammar.encoding(state);
    input.expect("E");
    return text;
  }
  const code = input.peek();
  const isBuiltin = SUFFIXES[code] !== undefined || code === "b";
  const type = textOf(readType(state));
  if (type === "std::nullptr_t") {
    input.accept("0");
    input.expect("E");
    return "nullptr";
  }
  const sign = input.accept("n") ? "-" : "";
  const digits = input.takeWhile(isDigit);
  if (digits === "") throw new NotReadable("a literal that is no number");
  input.expect("E");
  if (code === "b" && digits.length === 1) return digits === "0" ? "false" : "true";
  return isBuiltin ? `${sign}${digits}${SUFFIXES[code] ?? ""}` : `(${type})${sign}${digits}`;
}
