// C++ linkage names of the Itanium ABI, `_ZN3abc3fooEi`: the encoding of a function, object or table as a whole.
// The rules it is made of are in the files beside; names that use more of the ABI than they know stay mangled.

import { isDigit, NotReadable, readableOrNull } from "../common/mangled-text.ts";
import { readExpression } from "./expressions.ts";
import { readName, readUnqualifiedName } from "./names.ts";
import { type Grammar, ItaniumState, textOf } from "./state.ts";
import { readTemplateArguments } from "./template-arguments.ts";
import { joinParameters, readType } from "./types.ts";

const GRAMMAR: Grammar = {
  encoding: readEncoding,
  name: readName,
  unqualifiedName: readUnqualifiedName,
  type: readType,
  templateArguments: readTemplateArguments,
  expression: readExpression,
};

/** What is named is a table or object of a type (5.1.4). */
const OF_TYPE: readonly (readonly [string, string])[] = [
  ["TV", "vtable for "],
  ["TT", "VTT for "],
  ["TI", "typeinfo for "],
  ["TS", "typeinfo name for "],
];

/** What is named belongs to a variable. */
const OF_NAME: readonly (readonly [string, string])[] = [
  ["GV", "guard variable for "],
  ["TH", "thread-local initialization routine for "],
  ["TW", "thread-local wrapper routine for "],
];

/** The declaration, as `c++filt` writes it; null for a name that is not readable here. */
export function demangleItanium(name: string): string | null {
  return readableOrNull(() => {
    const state = new ItaniumState(name, "_Z".length, GRAMMAR);
    const text = readEncoding(state);
    const { input } = state;
    if (input.isAtEnd) return text;
    if (input.peek() !== ".") throw new NotReadable("more than an encoding");
    return `${text} (${input.take(name.length - input.position)})`;
  });
}

function readEncoding(state: ItaniumState): string {
  return state.input.rule(() => state.input.checked(specialName(state) ?? declaration(state)));
}

function specialName(state: ItaniumState): string | null {
  const { input } = state;
  for (const [code, text] of OF_TYPE) if (input.accept(code)) return text + textOf(readType(state));
  for (const [code, text] of OF_NAME) if (input.accept(code)) return text + textOf(readName(state, false).piece);
  if (input.accept("TC")) {
    const whole = textOf(readType(state));
    input.decimal();
    input.expect("_");
    return `construction vtable for ${textOf(readType(state))}-in-${whole}`;
  }
  if (input.accept("Th")) return thunk(state, "non-virtual thunk to ", 1);
  if (input.accept("Tv")) return thunk(state, "virtual thunk to ", 2);
  return null;
}

function thunk(state: ItaniumState, text: string, offsets: number): string {
  const { input } = state;
  for (let left = offsets; left > 0; left--) {
    input.accept("n");
    input.decimal();
    input.expect("_");
  }
  return text + readEncoding(state);
}

/** A name, and for a function its types. */
function declaration(state: ItaniumState): string {
  const { input } = state;
  const outer = state.templateArguments;
  const { piece, qualifiers, endsWithArguments, hasNoResult } = readName(state, true);
  const name = textOf(piece);
  if (isAtEncodingEnd(state)) return name + qualifiers;
  const result = endsWithArguments && !hasNoResult ? readType(state) : null;
  // Clang's condition on the arguments, behind which the parameters follow.
  const condition = input.accept("Ua9enable_if")
    ? ` [enable_if:${readTemplateArguments(state, false).slice(1, -1)}]`
    : "";
  const parameters: string[] = [];
  while (!isAtEncodingEnd(state)) parameters.push(textOf(readType(state)));
  if (parameters.length === 0) throw new NotReadable("a function without types");
  if (!input.isAtEnd && input.peek() === "E")
    state.templateArguments = outer.length > 0 ? outer : state.templateArguments;
  const signature = `${name}(${joinParameters(parameters)})`;
  if (result === null) return signature + qualifiers + condition;
  // A function's type already ends in a space, before the name that is declared.
  const space = result.left.endsWith(" ") ? "" : " ";
  return `${result.left}${space}${signature}${result.right}${qualifiers}${condition}`;
}

function isAtEncodingEnd({ input }: ItaniumState): boolean {
  return (
    input.isAtEnd || input.peek() === "E" || input.peek() === "." || (input.peek() === "_" && !isDigit(input.peek(1)))
  );
}
