// Linkage names made readable: which scheme a name is of, and the same name where none fits or the scheme is not understood.
// The schemes are in the files beside; names that are readable already pass through.

import { demangleItanium } from "./itanium/itanium.ts";
import { demangleRustLegacy } from "./rust-legacy.ts";
import { demangleRustV0 } from "./rust-v0.ts";

/** A longer name would take long to read, by people as well. */
const LONGEST_NAME = 0x4000;

/** What Clang calls C's `main(int, char **)`, since WebAssembly's calls check the parameters. */
const MAIN = "__main_argc_argv";

/** A readable form of a Rust or C++ linkage name; any other name unchanged, and one that breaks its scheme's grammar. */
export function demangle(name: string): string {
  if (name.length > LONGEST_NAME) return name;
  if (name.startsWith("_R")) return demangleRustV0(name) ?? name;
  if (name.startsWith("_ZN")) return demangleRustLegacy(name) ?? demangleItanium(name) ?? name;
  if (name.startsWith("_Z")) return demangleItanium(name) ?? name;
  return name === MAIN ? "main" : name;
}
