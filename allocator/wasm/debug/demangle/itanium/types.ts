// Types of the Itanium C++ ABI (5.1.5), as C++ writes them: pointers to functions and arrays around the declared name.

import { isDigit, NotReadable } from "../common/mangled-text.ts";
import { type ItaniumState, type Piece, plain, sequenceId, textOf } from "./state.ts";

const BUILTIN: Readonly<Record<string, string>> = {
  a: "signed char",
  b: "bool",
  c: "char",
  d: "double",
  e: "long double",
  f: "float",
  g: "__float128",
  h: "unsigned char",
  i: "int",
  j: "unsigned int",
  l: "long",
  m: "unsigned long",
  n: "__int128",
  o: "unsigned __int128",
  s: "short",
  t: "unsigned short",
  v: "void",
  w: "wchar_t",
  x: "long long",
  y: "unsigned long long",
  z: "...",
};

const BUILTIN_D: Readonly<Record<string, string>> = {
  a: "auto",
  c: "decltype(auto)",
  d: "decimal64",
  e: "decimal128",
  f: "decimal32",
  h: "half",
  i: "char32_t",
  n: "std::nullptr_t",
  s: "char16_t",
  u: "char8_t",
};

const QUALIFIERS: readonly (readonly [string, string])[] = [
  ["r", " restrict"],
  ["V", " volatile"],
  ["K", " const"],
];

/** Abbreviations that stand for names of the standard library. */
const STANDARD: Readonly<Record<string, readonly [text: string, base: string]>> = {
  a: ["std::allocator", "allocator"],
  b: ["std::basic_string", "basic_string"],
  d: ["std::iostream", "basic_iostream"],
  i: ["std::istream", "basic_istream"],
  o: ["std::ostream", "basic_ostream"],
  s: ["std::string", "basic_string"],
};

export function readType(state: ItaniumState): Piece {
  return state.input.rule(() => anyType(state));
}

function anyType(state: ItaniumState): Piece {
  const { input, grammar } = state;
  const code = input.peek();
  const builtin = BUILTIN[code];
  if (builtin !== undefined) {
    input.next();
    return plain(builtin);
  }
  switch (code) {
    case "r":
    case "V":
    case "K":
      return qualified(state);
    case "P":
    case "R":
    case "O":
      input.next();
      return state.remember(pointerTo(readType(state), code));
    case "F":
      return state.remember(functionType(state, ""));
    case "A":
      return state.remember(arrayType(state));
    case "M":
      return state.remember(memberPointer(state));
    case "C":
    case "G": {
      input.next();
      const part = readType(state);
      return state.remember({ ...part, left: `${part.left} ${code === "C" ? "complex" : "imaginary"}` });
    }
    case "u": {
      input.next();
      const name = input.take(input.decimal());
      return state.remember(plain(input.peek() === "I" ? name + grammar.templateArguments(state, false) : name));
    }
    case "U":
      return vendorQualified(state);
    case "D":
      return typeOfD(state);
    case "T":
      return templateParameterType(state);
    case "S":
      if (input.peek(1) !== "t") return substitutionType(state);
      break;
  }
  return state.remember(grammar.name(state, false).piece);
}

/** Qualifiers stand behind what they qualify, in the order restrict, volatile, const of the encoding, turned around. */
function qualified(state: ItaniumState): Piece {
  const qualifiers = readQualifiers(state);
  if (state.input.peek() === "F") return state.remember(functionType(state, qualifiers));
  const inner = readType(state);
  return state.remember({ ...inner, left: inner.left + qualifiers, pack: null });
}

export function readQualifiers(state: ItaniumState): string {
  let qualifiers = "";
  for (const [code, text] of QUALIFIERS) if (state.input.accept(code)) qualifiers = text + qualifiers;
  return qualifiers;
}

const SIGNS: Readonly<Record<string, string>> = { P: "*", R: "&", O: "&&" };

function pointerTo(inner: Piece, code: string): Piece {
  const isReference = inner.kind === "lvalue" || inner.kind === "rvalue";
  if (isReference && code !== "P") {
    // References to references collapse: only && to && stays &&.
    if (inner.kind === "lvalue" || code === "O") return inner;
    return { ...inner, left: inner.left.replace(/&&$/, "&"), kind: "lvalue" };
  }
  const kind = code === "P" ? "plain" : code === "R" ? "lvalue" : "rvalue";
  const sign = SIGNS[code];
  const isAround = inner.kind === "function" || inner.kind === "array";
  if (!isAround) return { ...inner, left: inner.left + sign, kind, pack: null };
  const space = inner.kind === "array" ? " " : "";
  return { ...inner, left: `${inner.left}${space}(${sign}`, right: `)${inner.right}`, kind, pack: null };
}

/** `F [Y] result parameters [RO] E`, behind an exception specification that is left out of the text but for noexcept. */
function functionType(state: ItaniumState, qualifiers: string): Piece {
  const { input } = state;
  const isNoexcept = input.accept("Do");
  input.expect("F");
  input.accept("Y");
  const result = readType(state);
  const parameters: string[] = [];
  let reference = "";
  while (!input.accept("E")) {
    if (input.accept("RE")) reference = " &";
    else if (input.accept("OE")) reference = " &&";
    else {
      parameters.push(textOf(readType(state)));
      continue;
    }
    break;
  }
  const right = `(${joinParameters(parameters)})${result.right}${qualifiers}${reference}${isNoexcept ? " noexcept" : ""}`;
  return { ...plain(`${result.left} `), right, kind: "function" };
}

/** `void` alone stands for no parameters, and an empty pack for none of its own. */
export function joinParameters(parameters: readonly string[]): string {
  if (parameters.length === 1 && parameters[0] === "void") return "";
  return parameters.filter((text) => text !== "").join(", ");
}

function arrayType(state: ItaniumState): Piece {
  const { input, grammar } = state;
  input.expect("A");
  let size = "";
  if (isDigit(input.peek())) size = String(input.decimal());
  else if (input.peek() !== "_") size = grammar.expression(state);
  input.expect("_");
  const element = readType(state);
  // The bounds of an array of arrays stand from the outermost in.
  return { ...plain(element.left), right: ` [${size}]${element.right.replace(/^ (?=\[)/, "")}`, kind: "array" };
}

function memberPointer(state: ItaniumState): Piece {
  state.input.expect("M");
  const owner = textOf(readType(state));
  const member = readType(state);
  const isAround = member.kind === "function" || member.kind === "array";
  if (!isAround) return { ...plain(`${member.left} ${owner}::*`), right: member.right };
  return { ...plain(`${member.left}(${owner}::*`), right: `)${member.right}` };
}

function vendorQualified(state: ItaniumState): Piece {
  const { input, grammar } = state;
  input.expect("U");
  const name = input.take(input.decimal());
  const given = input.peek() === "I" ? grammar.templateArguments(state, false) : "";
  const inner = readType(state);
  return state.remember({ ...inner, left: `${inner.left} ${name}${given}`, pack: null });
}

function typeOfD(state: ItaniumState): Piece {
  const { input, grammar } = state;
  if (input.accept("Dp")) return state.remember(plain(expandPack(state, () => textOf(readType(state)))));
  if (input.startsWith("Do")) return state.remember(functionType(state, ""));
  if (input.accept("DF")) {
    const bits = input.decimal();
    input.expect("_");
    return plain(`_Float${bits}`);
  }
  if (input.accept("Dt") || input.accept("DT")) {
    const text = `decltype(${grammar.expression(state)})`;
    input.expect("E");
    return state.remember(plain(text));
  }
  if (input.accept("Dv")) {
    const size = isDigit(input.peek()) ? String(input.decimal()) : grammar.expression(state);
    input.expect("_");
    return state.remember(plain(`${textOf(readType(state))} vector[${size}]`));
  }
  const builtin = BUILTIN_D[input.peek(1)];
  if (builtin === undefined) throw new NotReadable("an unknown type");
  input.take(2);
  return plain(builtin);
}

/** The pattern once for each element of the packs in it; a pattern without packs stays a pattern. */
export function expandPack(state: ItaniumState, readPattern: () => string): string {
  const { input, substitutions } = state;
  if (state.packIndex >= 0) throw new NotReadable("an expansion within an expansion");
  const start = input.position;
  const known = substitutions.length;
  const texts: string[] = [];
  state.expansion++;
  state.packLength = -1;
  for (state.packIndex = 0; ; state.packIndex++) {
    input.position = start;
    substitutions.length = known;
    texts.push(readPattern());
    if (state.packIndex + 1 >= state.packLength) break;
  }
  const { packLength } = state;
  state.packIndex = -1;
  state.packLength = -1;
  if (packLength === 1) {
    // The one element is all of them, so that the pattern can be meant again.
    for (let index = known; index < substitutions.length; index++) {
      if (substitutions[index].expansion === state.expansion) {
        substitutions[index] = { ...substitutions[index], expansion: 0 };
      }
    }
  }
  if (packLength < 0) return `${texts[0]}...`;
  return packLength === 0 ? "" : texts.join(", ");
}

function templateParameterType(state: ItaniumState): Piece {
  const parameter = templateParameter(state);
  state.substitutions.push(parameter);
  return withArguments(state, state.elementOf(parameter));
}

/** `T_`, `T0_`, …: the argument given; those of enclosing levels are not read. */
export function templateParameter(state: ItaniumState): Piece {
  state.input.expect("T");
  const parameter = state.templateArguments[sequenceId(state.input)];
  if (parameter === undefined) throw new NotReadable("a template parameter without argument");
  return parameter;
}

function substitutionType(state: ItaniumState): Piece {
  return withArguments(state, state.elementOf(substitution(state)));
}

/** A template may be followed by its arguments; both together are a type of their own. */
function withArguments(state: ItaniumState, template: Piece): Piece {
  if (state.input.peek() !== "I") return template;
  const given = state.grammar.templateArguments(state, false);
  return state.remember(plain(textOf(template) + given, template.base));
}

/** `S_`, `S0_`, …: what stood before; or an abbreviation of the standard library. */
export function substitution(state: ItaniumState): Piece {
  const { input } = state;
  input.expect("S");
  const standard = STANDARD[input.peek()];
  if (standard !== undefined) {
    input.next();
    return plain(standard[0], standard[1]);
  }
  const piece = state.substitutions[sequenceId(input)];
  if (piece === undefined) throw new NotReadable("a substitution of nothing");
  return piece;
}
