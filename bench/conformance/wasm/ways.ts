// How the modules of a script are run: by the engine as they are, or rewritten, with one set of checks or another.
// What a script's own host module has (`spectest`) is here too, since its memory must be one that the modules can have.
import type { ModuleOptions } from "../../../allocator/wasm/guest/compile.ts";
import { createMemory } from "../../../allocator/wasm/guest/functions.ts";
import { engine, type Imports } from "../../../platform/host/engine.ts";

export interface Way {
  readonly name: string;
  /** null: the engine's own functions. */
  readonly options: ModuleOptions | null;
}

/** Scripts ask for little memory, load from address 0, and mean their own functions when they name one malloc. */
const COMMON: ModuleOptions = { memoryBytes: 2 ** 26, nullBytes: 0, functions: "own" };

export const AS_IS: Way = { name: "as it is", options: null };

export const REWRITTEN: readonly Way[] = [
  { name: "addresses", options: COMMON },
  { name: "undefined bits", options: { ...COMMON, uninitialised: "byte" } },
  { name: "with origins", options: { ...COMMON, uninitialised: "byte", trackOrigins: true, exactArithmetic: true } },
];

/** What the scripts' host module gives. */
export function hostModule({ options }: Way): Imports[string] {
  const global = (value: string, number: unknown) => new engine.Global({ value, mutable: false }, number);
  const print = (): void => {};
  const memory = { initial: 1, maximum: 2 };
  return {
    print,
    print_i32: print,
    print_i64: print,
    print_f32: print,
    print_f64: print,
    print_i32_f32: print,
    print_f64_f64: print,
    global_i32: global("i32", 666),
    global_i64: global("i64", 666n),
    global_f32: global("f32", 666.6),
    global_f64: global("f64", 666.6),
    table: new engine.Table({ element: "anyfunc", initial: 10, maximum: 20 }),
    memory: options === null ? new engine.Memory(memory) : createMemory(memory, memoryOptions(options)),
  };
}

function memoryOptions({ memoryBytes, uninitialised, trackOrigins }: ModuleOptions) {
  return { memoryBytes, uninitialised, trackOrigins };
}
