// Names of the Itanium C++ ABI (5.1.2 to 5.1.4, 5.1.6): nested, local and template names, operators, constructors, lambdas.

import { isDigit, NotReadable } from "../common/mangled-text.ts";
import { OPERATORS } from "./operators.ts";
import { type ItaniumState, type Name, type Piece, plain, textOf } from "./state.ts";
import { joinParameters, readQualifiers, readType, substitution, templateParameter } from "./types.ts";

export function readName(state: ItaniumState, isEncoding: boolean): Name {
  return state.input.rule(() => {
    const { input } = state;
    if (input.peek() === "N") return nestedName(state, isEncoding);
    if (input.peek() === "Z") return localName(state, isEncoding);
    if (input.peek() === "S" && input.peek(1) !== "t") {
      const piece = substitution(state);
      if (input.peek() !== "I") throw new NotReadable("a substitution as a name");
      return withArguments(state, piece, isEncoding);
    }
    const scope = input.accept("St") ? "std::" : "";
    const { text, base, hasNoResult } = readUnqualifiedName(state, "");
    const piece = plain(scope + text, base);
    if (input.peek() !== "I") return { piece, qualifiers: "", endsWithArguments: false, hasNoResult };
    state.remember(piece);
    return { ...withArguments(state, piece, isEncoding), hasNoResult };
  });
}

function withArguments(state: ItaniumState, template: Piece, isEncoding: boolean): Name {
  const given = state.grammar.templateArguments(state, isEncoding);
  const piece = plain(textOf(template) + given, template.base);
  return { piece, qualifiers: "", endsWithArguments: true, hasNoResult: false };
}

/** `N [qualifiers] prefix… E`; every prefix can be meant again, but for the whole. */
function nestedName(state: ItaniumState, isEncoding: boolean): Name {
  const { input } = state;
  input.expect("N");
  let qualifiers = readQualifiers(state);
  if (input.accept("R")) qualifiers += " &";
  else if (input.accept("O")) qualifiers += " &&";
  let piece = plain("");
  let endsWithArguments = false;
  let hasNoResult = false;
  let isRemembered = false;
  while (!input.accept("E")) {
    const code = input.peek();
    if (code === "I") {
      piece = plain(textOf(piece) + state.grammar.templateArguments(state, isEncoding), piece.base);
      endsWithArguments = true;
      isRemembered = true;
      state.remember(piece);
      continue;
    }
    endsWithArguments = false;
    if (input.accept("St")) {
      piece = plain("std");
      isRemembered = false;
      continue;
    }
    if (code === "S") {
      piece = state.elementOf(substitution(state));
      isRemembered = false;
      continue;
    }
    isRemembered = true;
    if (code === "T") {
      const parameter = templateParameter(state);
      state.substitutions.push(parameter);
      piece = state.elementOf(parameter);
      continue;
    }
    if (input.startsWith("Dt") || input.startsWith("DT")) {
      piece = readType(state);
      continue;
    }
    const part = readUnqualifiedName(state, piece.base);
    hasNoResult = part.hasNoResult;
    const scope = textOf(piece);
    piece = plain(scope === "" ? part.text : `${scope}::${part.text}`, part.base);
    state.remember(piece);
  }
  if (textOf(piece) === "") throw new NotReadable("a name of no parts");
  if (isRemembered) state.substitutions.pop();
  return { piece, qualifiers, endsWithArguments, hasNoResult };
}

/** `Z encoding E name`: something declared inside a function. */
function localName(state: ItaniumState, isEncoding: boolean): Name {
  const { input, grammar } = state;
  input.expect("Z");
  const scope = grammar.encoding(state);
  input.expect("E");
  if (input.accept("s")) {
    discriminator(state);
    return { piece: plain(`${scope}::string literal`), qualifiers: "", endsWithArguments: false, hasNoResult: false };
  }
  if (input.accept("d")) {
    if (isDigit(input.peek())) input.decimal();
    input.expect("_");
  }
  const name = readName(state, isEncoding);
  discriminator(state);
  return { ...name, piece: plain(`${scope}::${textOf(name.piece)}`, name.piece.base) };
}

/** Which of several things of one name in a function is meant: `_3`, or `__12_`; not written. */
function discriminator({ input }: ItaniumState): void {
  if (input.peek() === "_" && isDigit(input.peek(1))) input.take(2);
  else if (input.startsWith("__") && isDigit(input.peek(2))) {
    input.take(2);
    input.decimal();
    input.expect("_");
  }
}

/** One part of a name; `base` is the name of the class around it, for its constructors and destructors. */
export function readUnqualifiedName(state: ItaniumState, base: string) {
  const { input } = state;
  input.accept("F");
  input.accept("L");
  const code = input.peek();
  let part = { text: "", base: "", hasNoResult: false };
  if (isDigit(code)) part = named(sourceName(state));
  else if (code === "U") part = named(unnamedType(state));
  else if (code === "C" || (code === "D" && /[0-5]/.test(input.peek(1)))) part = constructorName(state, base);
  else part = operatorName(state);
  while (input.accept("B")) part.text += `[abi:${sourceName(state)}]`;
  return part;
}

function named(text: string) {
  return { text, base: text, hasNoResult: false };
}

function sourceName({ input }: ItaniumState): string {
  const name = input.take(input.decimal());
  return name.startsWith("_GLOBAL__N") ? "(anonymous namespace)" : name;
}

/** `C1`, `CI1`, `D0`, …: which of a constructor's or destructor's bodies is meant is not written. */
function constructorName(state: ItaniumState, base: string) {
  const { input } = state;
  const isDestructor = input.next() === "D";
  const isInheriting = !isDestructor && input.accept("I");
  if (!/[0-5]/.test(input.next()) || base === "") throw new NotReadable("no constructor");
  if (isInheriting) readType(state);
  const text = isDestructor ? `~${base}` : base;
  return { text, base: text, hasNoResult: true };
}

/** `Ut_`, `UlvE_`: types without name, counted in their scope. */
function unnamedType(state: ItaniumState): string {
  const { input } = state;
  if (input.accept("Ut")) return `'unnamed${count(state)}'`;
  input.expect("Ul");
  const parameters: string[] = [];
  while (!input.accept("E")) parameters.push(textOf(readType(state)));
  return `'lambda${count(state)}'(${joinParameters(parameters)})`;
}

function count({ input }: ItaniumState): string {
  const digits = input.takeWhile(isDigit);
  input.expect("_");
  return digits;
}

function operatorName(state: ItaniumState) {
  const { input } = state;
  if (input.accept("cv")) {
    const text = `operator ${textOf(readType(state))}`;
    return { text, base: text, hasNoResult: true };
  }
  if (input.accept("li")) return named(`operator"" ${sourceName(state)}`);
  const operator = OPERATORS.get(input.take(2));
  if (operator === undefined) throw new NotReadable("an unknown operator");
  return named(`operator${operator.text}`);
}
