// Finds the functions of a module that the heap takes over: by the names that toolchains give them, or by the user's own map.
// What they do is heap-functions.ts. Without malloc's pair nothing is taken over: the module's own allocator runs on.

import { EXTERNAL_FUNCTION, type Export, type FunctionType, type Module, typeOfFunction } from "../binary/module.ts";
import { ModuleError } from "../binary/module-error.ts";
import { isWholeAllocator } from "./allocator-state.ts";
import { HEAP_FUNCTIONS, type HeapRole } from "./heap-functions.ts";
import type { KnownNames } from "./known-names.ts";
import { isAsLinked } from "./operators.ts";

/**
 * What is malloc and so on: an index among the module's functions, imported ones counted, or the name of an export. `"own"`: the
 * module's allocator is left alone. Absent: by the module's names.
 */
export type GivenFunctions = Readonly<Record<string, number | string>> | "own";

/** A function's index and what it does from now on. */
export type ChosenFunctions = ReadonlyMap<number, HeapRole>;

/** Plain names of C, in wasi-libc's, Emscripten's and musl's spellings. */
const C_NAMES: Readonly<Record<string, HeapRole>> = {
  malloc: "malloc",
  free: "free",
  calloc: "calloc",
  realloc: "realloc",
  reallocarray: "reallocarray",
  aligned_alloc: "memalign",
  memalign: "memalign",
  posix_memalign: "posix_memalign",
  malloc_usable_size: "malloc_usable_size",
};
const C_PREFIXES = ["", "dl", "__libc_", "emscripten_builtin_"];

/** Behind the size, as the linker has it and in words. */
const NOTHROW = "(?:St11align_val_t)?RKSt9nothrow_t";
const NOTHROW_TYPES = "unsigned long(?:, std::align_val_t)?, std::nothrow_t const&";

/** Names of the other languages, as the name section has them: demangled, or as the linker knows them. */
const PATTERNS: readonly (readonly [RegExp, HeapRole])[] = [
  [/^(?:_Znwm(?:St11align_val_t)?|operator new\(unsigned long(?:, std::align_val_t)?\))$/, "operator new"],
  [/^(?:_Znam(?:St11align_val_t)?|operator new\[\]\(unsigned long(?:, std::align_val_t)?\))$/, "operator new[]"],
  [new RegExp(`^(?:_Znwm${NOTHROW}|operator new\\(${NOTHROW_TYPES}\\))$`), "operator new nothrow"],
  [new RegExp(`^(?:_Znam${NOTHROW}|operator new\\[\\]\\(${NOTHROW_TYPES}\\))$`), "operator new[] nothrow"],
  [/^(?:_ZdlPv\w*|operator delete\(void\*.*\))$/, "operator delete"],
  [/^(?:_ZdaPv\w*|operator delete\[\]\(void\*.*\))$/, "operator delete[]"],
  [/(?:__rust_alloc|__rdl_alloc)$/, "rust_alloc"],
  [/(?:__rust_dealloc|__rdl_dealloc)$/, "rust_dealloc"],
  [/(?:__rust_realloc|__rdl_realloc)$/, "rust_realloc"],
  [/(?:__rust_alloc_zeroed|__rdl_alloc_zeroed)$/, "rust_alloc_zeroed"],
  [/^~lib\/rt\/tlsf\/__alloc$/, "tlsf_alloc"],
  [/^~lib\/rt\/tlsf\/__free$/, "tlsf_free"],
  [/^~lib\/rt\/tlsf\/__realloc$/, "tlsf_realloc"],
];

/** What must be there together, so that no block of one allocator is freed by another. */
const PAIRS: readonly (readonly [HeapRole, HeapRole])[] = [
  ["malloc", "free"],
  ["rust_alloc", "rust_dealloc"],
  ["tlsf_alloc", "tlsf_free"],
];

function roleOfName(name: string): HeapRole | null {
  for (const prefix of C_PREFIXES) {
    if (name.startsWith(prefix) && Object.hasOwn(C_NAMES, name.slice(prefix.length)))
      return C_NAMES[name.slice(prefix.length)];
  }
  for (const [pattern, role] of PATTERNS) if (pattern.test(name)) return role;
  return null;
}

/**
 * @throws ModuleError allocator: a function that is to be malloc has not malloc's signature, or the user's map names no role, no
 * function, or one that the module imports
 */
export function chooseFunctions(module: Module, names: KnownNames, given: GivenFunctions | undefined): ChosenFunctions {
  if (given === "own" || module.memory === null) return new Map();
  return given === undefined ? chooseByName(module, names) : chooseGiven(module, given);
}

function chooseByName(module: Module, names: KnownNames): ChosenFunctions {
  const chosen = new Map<number, HeapRole>();
  const consider = (index: number, name: string): void => {
    const role = index < module.importedFunctions || chosen.has(index) ? null : roleOfName(name);
    if (role === null) return;
    checkSignature(module, index, role, name);
    chosen.set(index, role);
  };
  for (const [index, name] of names.functions) if (index < module.functionTypes.length) consider(index, name);
  const isNamed = chosen.size > 0;
  for (const { name, kind, index } of module.exports) if (kind === EXTERNAL_FUNCTION) consider(index, name);
  const roles = new Set(chosen.values());
  // Where functions have names, what is missing is not in the module: linkers leave out a free that is never called.
  const isWhole = PAIRS.some(([allocate, release]) => roles.has(allocate) && (isNamed || roles.has(release)));
  // So is a malloc, unless an optimiser has put its code into its one caller's.
  const isReleaseAlone = isNamed && names.isWhole && roles.has("free") && isAsLinked(module);
  if (!isWhole && !isReleaseAlone) return new Map();
  if (isNamed && names.isWhole) return chosen;
  return isWholeAllocator(module, new Set(chosen.keys()), names.functions) ? chosen : new Map();
}

function chooseGiven(module: Module, given: Readonly<Record<string, number | string>>): ChosenFunctions {
  const chosen = new Map<number, HeapRole>();
  for (const [name, place] of Object.entries(given)) {
    const role = Object.hasOwn(HEAP_FUNCTIONS, name) ? (name as HeapRole) : roleOfName(name);
    if (role === null) {
      const known = Object.keys(HEAP_FUNCTIONS).join(", ");
      throw new ModuleError("allocator", `functions: "${name}" is no function of a heap; those are ${known}`);
    }
    const index = indexOf(module, name, place);
    checkSignature(module, index, role, name);
    if (chosen.has(index))
      throw new ModuleError("allocator", `functions: function ${index} is ${chosen.get(index)} and "${name}"`);
    chosen.set(index, role);
  }
  const roles = new Set(chosen.values());
  for (const [allocate, release] of PAIRS) {
    if (roles.has(release) && !roles.has(allocate))
      throw new ModuleError(
        "allocator",
        `functions: ${release} without ${allocate} would be called with the module's own blocks`,
      );
  }
  return chosen;
}

/** @throws ModuleError allocator: the module has no such function of its own */
function indexOf({ exports, importedFunctions, functionTypes }: Module, name: string, place: number | string): number {
  const isNamed = (one: Export): boolean => one.kind === EXTERNAL_FUNCTION && one.name === place;
  const index = typeof place === "number" ? place : exports.find(isNamed)?.index;
  if (index === undefined)
    throw new ModuleError("allocator", `functions: "${name}" is "${place}", but no function is exported by that name`);
  if (!Number.isInteger(index) || index < importedFunctions || index >= functionTypes.length)
    throw new ModuleError(
      "allocator",
      `functions: "${name}" is function ${index}; the module's own are ${importedFunctions} to ${functionTypes.length - 1}`,
    );
  return index;
}

function checkSignature(module: Module, index: number, role: HeapRole, name: string): void {
  const found = signatureOf(typeOfFunction(module, index));
  const { signatures } = HEAP_FUNCTIONS[role];
  if (signatures.includes(found)) return;
  throw new ModuleError(
    "allocator",
    `function ${index} ("${name}") has the signature ${found}, where ${signatures.join(" or ")} is needed; ` +
      'give functions: "own" to leave the module\'s allocator alone, or a map',
  );
}

const LETTERS: Readonly<Record<number, string>> = { 127: "i", 126: "l", 125: "f", 124: "d", 123: "v" };

function signatureOf({ params, results }: FunctionType): string {
  const letters = (types: Uint8Array) => Array.from(types, (type) => LETTERS[type] ?? "r").join("");
  return `${letters(params)}>${letters(results)}`;
}
