// What the functions of a module are called: by its name section, else by its DWARF, which is left where names were stripped.
// What names mean to the heap is choose-functions.ts.

import type { Module } from "../binary/module.ts";
import { type Names, readNames } from "../binary/names.ts";
import type { DebugInfo } from "../debug/debug-info.ts";

export interface KnownNames extends Names {
  /** Every function has its name; false: only those that were compiled with debug information. */
  readonly isWhole: boolean;
}

export function knownNames(module: Module, debugInfo: DebugInfo): KnownNames {
  const names = readNames(module);
  if (names.functions.size > 0) return { ...names, isWhole: true };
  const functions = new Map<number, string>();
  for (let body = 0; body < module.bodyStart.length; body++) {
    const name = debugInfo.compiledName(module.bodyStart[body], module.bodyEnd[body]);
    if (name !== null) functions.set(module.importedFunctions + body, name);
  }
  return { ...names, functions, isWhole: false };
}
