// C++'s new and delete among a module's functions: whether they are the library's, which the heap stands in for, or the program's own,
// and whether the code calls them where the source does, so that a delete of another kind than the new is the program's mistake.
// Which functions they are is choose-functions.ts.

import { BodyWalker } from "../binary/body-walker.ts";
import { OP_CALL } from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import type { DebugInfo } from "../debug/debug-info.ts";
import type { HeapRole } from "./heap-functions.ts";

type Roles = ReadonlyMap<number, HeapRole>;

/** Where LLVM's and GNU's libraries have their operators, and the headers that these use. */
const LIBRARY_SOURCE = /(?:^|[/\\])(?:libcxx|libsupc\+\+|c\+\+[/\\]v\d)/;
/** The opcode, and an index in the five bytes that an object file leaves for it. */
const UNRESOLVED_CALL = 6;

function isOperator(role: string): boolean {
  return role.startsWith("operator ");
}

/**
 * The chosen functions, without new and delete if the program replaced one of them, by what its debug information says: a program that
 * counts its allocations goes on counting, and what its operators do with malloc is seen there.
 */
export function withoutOwnOperators(chosen: Roles, module: Module, debugInfo: DebugInfo): Roles {
  const operators = [...chosen].filter(([, role]) => isOperator(role)).map(([index]) => index);
  if (!operators.some((index) => isOwn(index, module, debugInfo))) return chosen;
  return new Map([...chosen].filter(([, role]) => !isOperator(role)));
}

function isOwn(index: number, { bodyEnd, importedFunctions }: Module, debugInfo: DebugInfo): boolean {
  // The end of a function has its line always, and what is inlined there came before.
  const file = debugInfo.lookup(index, bodyEnd[index - importedFunctions] - 1).at(-1)?.file ?? null;
  return file !== null && !LIBRARY_SOURCE.test(file);
}

/**
 * Whether all calls of new and delete in the source are calls of these functions: an optimiser that works on whole programs puts the
 * few instructions of a delete into its callers, which then call free, and makes one function of several that are alike.
 */
export function callsOperators(chosen: Roles, module: Module, debugInfo: DebugInfo): boolean {
  return [...chosen.values()].some(isOperator) && (isAsLinked(module) || hasCompiledCode(module, debugInfo));
}

/** Whether some call is as the linker leaves it: tools that come after it write each index as short as can be. */
export function isAsLinked(module: Module): boolean {
  const walker = new BodyWalker(module);
  for (let body = 0; body < module.bodyStart.length; body++) {
    walker.begin(body);
    while (walker.next()) if (walker.opcode === OP_CALL && walker.end - walker.start === UNRESOLVED_CALL) return true;
  }
  return false;
}

/** Whether debug information fits some function: wasm-opt leaves passes out that it would not survive. */
function hasCompiledCode(module: Module, debugInfo: DebugInfo): boolean {
  return module.bodyStart.some((start, body) => debugInfo.compiledName(start, module.bodyEnd[body]) !== null);
}
