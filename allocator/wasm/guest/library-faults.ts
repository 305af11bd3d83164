// Faults of C and C++ libraries for WebAssembly that are no fault of a program on them, as Valgrind's default.supp has those of glibc:
// each is suppressed by the function that has it. A program's own are the user's suppressions.

import type { Suppression } from "../../checker/suppressions.ts";

export const LIBRARY_FAULTS: readonly Suppression[] = [
  // wasi-libc 0.0~git2022 (Debian): localtime gives null for the other offset, which is stored to without a look.
  { kind: "invalid-access", functionName: "__secs_to_zone" },
  // Emscripten's embind: what a function or property of a class is bound to lies in a block of which only the glue's closure knows.
  { kind: "leak", functionName: "*emscripten::internal::getContext<*" },
];
