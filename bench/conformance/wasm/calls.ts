// Calls of exported functions by the bits of their arguments and results: JavaScript has no vectors, and no NaN's bits. A module in
// between loads the arguments from its memory and stores the results there; the engine runs it as it is.
import type { FunctionType } from "../../../allocator/wasm/binary/module.ts";
import { type EngineMemory, type EngineModule, engine } from "../../../platform/host/engine.ts";
import { assemble } from "./assemble.ts";
import { BYTES_OF, type NumberType } from "./constants.ts";

const TYPES: Readonly<Record<number, NumberType>> = { 127: "i32", 126: "i64", 125: "f32", 124: "f64", 123: "v128" };
/** Each value has so many bytes. */
const SLOT = 16;
/** Results lie behind the arguments. */
const MOST_ARGUMENTS = 2048;
const RESULTS = MOST_ARGUMENTS * SLOT;
const NUMBERS = /^(?:i32|i64)$/;

/** Whether JavaScript can make the call and see all of the results' bits. */
export function isPlain({ params, results }: FunctionType): boolean {
  return [...params, ...results].every((type) => TYPES[type] === undefined || NUMBERS.test(TYPES[type]));
}

/** Whether all values are numbers or vectors. */
export function isAllNumbers({ params, results }: FunctionType): boolean {
  return [...params, ...results].every((type) => TYPES[type] !== undefined);
}

const modules = new Map<string, EngineModule>();

function moduleOf({ params, results }: FunctionType): EngineModule {
  const key = `${params.join()}>${results.join()}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = new engine.Module(assemble(textOf([...params].map(nameOf), [...results].map(nameOf))));
    modules.set(key, module);
  }
  return module;
}

function nameOf(type: number): NumberType {
  return TYPES[type];
}

function textOf(params: readonly NumberType[], results: readonly NumberType[]): string {
  const loads = params.map((type, index) => `(${type}.load offset=${index * SLOT} (i32.const 0))`);
  const locals = results.map((type) => `(local ${type})`);
  const sets = results.map((_, index) => `(local.set ${index})`).reverse();
  const stores = results.map(
    (type, index) => `(${type}.store offset=${RESULTS + index * SLOT} (i32.const 0) (local.get ${index}))`,
  );
  return `(module (import "f" "f" (func $f (param ${params.join(" ")}) (result ${results.join(" ")})))
    (memory (export "m") 1)
    (func (export "c") ${locals.join(" ")} ${loads.join(" ")} (call $f) ${sets.join(" ")} ${stores.join(" ")}))`;
}

/** @returns the results' bits. @throws what the function throws */
export function callByBits(called: unknown, type: FunctionType, values: readonly Uint8Array[]): Uint8Array[] {
  const { exports } = new engine.Instance(moduleOf(type), { f: { f: called } });
  const { buffer } = exports.m as EngineMemory;
  const bytes = new Uint8Array(buffer);
  for (const [index, value] of values.entries()) bytes.set(value, index * SLOT);
  (exports.c as () => void)();
  return Array.from(type.results, (result, index) => {
    const from = RESULTS + index * SLOT;
    return bytes.slice(from, from + BYTES_OF[nameOf(result)]);
  });
}
