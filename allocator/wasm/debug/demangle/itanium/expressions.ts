// Expressions of the Itanium C++ ABI (5.1.6): what stands in `enable_if` and `decltype`. Operands that are no plain names
// are put in brackets, without regard to which operator binds stronger.

import { isDigit, NotReadable } from "../common/mangled-text.ts";
import { OPERATORS } from "./operators.ts";
import { type ItaniumState, plain, textOf } from "./state.ts";
import { readLiteral, readTemplateArgument } from "./template-arguments.ts";
import { expandPack, readType, substitution, templateParameter } from "./types.ts";

export function readExpression(state: ItaniumState): string {
  return state.input.rule(() => state.input.checked(anyExpression(state)));
}

function anyExpression(state: ItaniumState): string {
  const { input } = state;
  if (input.peek() === "L") return readLiteral(state);
  if (input.peek() === "T") return parameterText(state);
  if (input.accept("fp")) return functionParameter(state);
  if (input.accept("fL")) {
    input.decimal();
    input.expect("p");
    return functionParameter(state);
  }
  if (input.accept("gs")) return `::${readExpression(state)}`;
  if (input.accept("st")) return `sizeof (${textOf(readType(state))})`;
  if (input.accept("sz")) return `sizeof (${readExpression(state)})`;
  if (input.accept("sZ")) return `sizeof...(${parameterText(state)})`;
  if (input.accept("nx")) return `noexcept (${readExpression(state)})`;
  if (input.accept("sp")) return expandPack(state, () => readExpression(state));
  if (input.accept("cl")) return `${bracketed(readExpression(state))}(${list(state)})`;
  if (input.accept("cv")) return conversion(state);
  if (input.accept("tl")) return `${textOf(readType(state))}{${list(state)}}`;
  if (input.accept("il")) return `{${list(state)}}`;
  if (input.accept("sc")) return `static_cast<${textOf(readType(state))}>(${readExpression(state)})`;
  if (input.accept("dt")) return `${bracketed(readExpression(state))}.${unresolvedName(state)}`;
  if (input.accept("pt")) return `${bracketed(readExpression(state))}->${unresolvedName(state)}`;
  if (input.accept("ix")) return `${bracketed(readExpression(state))}[${readExpression(state)}]`;
  if (input.startsWith("sr") || input.startsWith("on") || input.startsWith("dn") || isDigit(input.peek())) {
    return unresolvedName(state);
  }
  // A trait of the compiler, with its arguments.
  if (input.accept("u")) return `${input.take(input.decimal())}(${argumentList(state)})`;
  return operation(state);
}

function operation(state: ItaniumState): string {
  const { input } = state;
  if (input.accept("pp_")) return `++${bracketed(readExpression(state))}`;
  if (input.accept("mm_")) return `--${bracketed(readExpression(state))}`;
  const operator = OPERATORS.get(input.take(2));
  if (operator === undefined || operator.operands === 0) throw new NotReadable("an unknown expression");
  const first = bracketed(readExpression(state));
  if (operator.operands === 1) return `${operator.text}${first}`;
  const second = bracketed(readExpression(state));
  if (operator.operands === 2) return `${first}${operator.text === "," ? "" : " "}${operator.text} ${second}`;
  return `${first} ? ${second} : ${bracketed(readExpression(state))}`;
}

function bracketed(text: string): string {
  return /^[\w:]+$/.test(text) || /^[\w:]+(?:<[^()]*>)?(?:::\w+)*$/.test(text) ? text : `(${text})`;
}

function parameterText(state: ItaniumState): string {
  const parameter = templateParameter(state);
  return textOf(parameter.pack === null || state.packIndex < 0 ? parameter : state.elementOf(parameter));
}

function functionParameter({ input }: ItaniumState): string {
  if (input.accept("T")) return "this";
  input.takeWhile((character) => "rVK".includes(character));
  const digits = input.takeWhile(isDigit);
  input.expect("_");
  return `fp${digits}`;
}

function conversion(state: ItaniumState): string {
  const type = textOf(readType(state));
  return state.input.accept("_") ? `${type}(${list(state)})` : `(${type})(${readExpression(state)})`;
}

/** Expressions up to `E`. */
function list(state: ItaniumState): string {
  const items: string[] = [];
  while (!state.input.accept("E")) items.push(readExpression(state));
  return items.join(", ");
}

/** Template arguments up to `E`. */
function argumentList(state: ItaniumState): string {
  const items: string[] = [];
  while (!state.input.accept("E")) items.push(textOf(readTemplateArgument(state)));
  return items.join(", ");
}

/** A name that depends on template parameters: `srT_4type`, `srN3abcI3defEE5value`, `4swap`. */
function unresolvedName(state: ItaniumState): string {
  const { input } = state;
  if (!input.accept("sr")) return baseName(state);
  if (input.accept("N")) {
    const parts = [unresolvedType(state)];
    while (!input.accept("E")) parts.push(simpleId(state));
    return `${parts.join("::")}::${baseName(state)}`;
  }
  if (!isDigit(input.peek())) return `${unresolvedType(state)}::${baseName(state)}`;
  // Without N the qualifiers end with E, too, if they are names alone.
  const parts: string[] = [];
  do parts.push(simpleId(state));
  while (!input.accept("E"));
  return `${parts.join("::")}::${baseName(state)}`;
}

function unresolvedType(state: ItaniumState): string {
  const { input, grammar } = state;
  if (input.peek() === "T") {
    const parameter = templateParameter(state);
    state.substitutions.push(parameter);
    const text = textOf(state.elementOf(parameter));
    if (input.peek() !== "I") return text;
    return textOf(state.remember(plain(text + grammar.templateArguments(state, false))));
  }
  if (input.peek() === "S" && input.peek(1) !== "t") {
    const text = textOf(state.elementOf(substitution(state)));
    return input.peek() === "I" ? text + grammar.templateArguments(state, false) : text;
  }
  return textOf(readType(state));
}

function baseName(state: ItaniumState): string {
  const { input } = state;
  if (input.accept("dn")) return `~${isDigit(input.peek()) ? simpleId(state) : unresolvedType(state)}`;
  if (input.accept("on")) {
    const name = state.grammar.unqualifiedName(state, "").text;
    return name + (input.peek() === "I" ? state.grammar.templateArguments(state, false) : "");
  }
  return simpleId(state);
}

function simpleId(state: ItaniumState): string {
  const { input } = state;
  const name = input.take(input.decimal());
  return name + (input.peek() === "I" ? state.grammar.templateArguments(state, false) : "");
}
