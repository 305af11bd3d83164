// WebAssembly modules with bytes altered, cut or repeated: what the engine refuses is refused (a CompileError or ModuleError), what it
// takes is taken or refused by name. Whole modules, and what they do, are same-results.ts's and definedness.ts's.
import fc from "fast-check";
import { ModuleError } from "../../allocator/wasm/binary/module-error.ts";
import { Instance, Module } from "../../allocator/wasm/guest/functions.ts";
import { type EngineModule, engine } from "../../platform/host/engine.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { seedModules } from "./seed-modules.ts";

interface Edit {
  readonly kind: "byte" | "bit" | "cut" | "insert" | "repeat";
  readonly at: number;
  readonly value: number;
}

interface Program {
  readonly seed: number;
  readonly edits: readonly Edit[];
  readonly uninitialised: "off" | "byte";
}

const program: fc.Arbitrary<Program> = fc.record({
  seed: fc.nat(seedModules.length - 1),
  edits: fc.array(
    fc.record({
      kind: fc.constantFrom("byte", "byte", "bit", "cut", "insert", "repeat"),
      at: fc.nat(600),
      value: fc.nat(255),
    }),
    { maxLength: 4 },
  ),
  uninitialised: fc.constantFrom("off", "byte"),
});

function edited(bytes: Buffer, { kind, at, value }: Edit): Buffer {
  // The first eight bytes say that it is a module at all: one in ten edits may hit them.
  const place = at < 540 ? 8 + (at % Math.max(1, bytes.length - 8)) : at % 8;
  const altered = Buffer.from(bytes);
  if (kind === "byte") altered[place] = value;
  else if (kind === "bit") altered[place] ^= 1 << (value & 7);
  else if (kind === "cut") return altered.subarray(0, place);
  else if (kind === "insert")
    return Buffer.concat([altered.subarray(0, place), Buffer.of(value), altered.subarray(place)]);
  else return Buffer.concat([altered.subarray(0, place), altered.subarray(Math.max(8, place - (value & 15)))]);
  return altered;
}

/** What a call gave: a value, or that it trapped. Loops without an end would need a host's patience: fewer than one program in a hundred has one. */
function outcome(exports: Record<string, unknown>, value: number): unknown {
  const { f } = exports;
  if (typeof f !== "function") return "none";
  try {
    return String((f as (value: number) => unknown)(value));
  } catch (error) {
    if (error instanceof RangeError || (error as Error).name === "RuntimeError") return "trap";
    // A stop at the heap's check is a trap that the engine by itself has not.
    return "stopped";
  }
}

/** Whether both may be run: no import that a host would have to give, no edit that could have made a loop endless. */
function isRunnable(module: EngineModule, edits: readonly Edit[]): boolean {
  return edits.length === 0 && engine.Module.imports(module).length === 0;
}

function runModule({ seed, edits, uninitialised }: Program, journal: Journal): number {
  const bytes = edits.reduce(edited, Buffer.from(seedModules[seed]));
  journal.note('import { Instance, Module } from "refheap/wasm";');
  journal.note(`const bytes = Buffer.from("${bytes.toString("base64")}", "base64");`);
  journal.note(
    `new Instance(new Module(bytes, { memoryBytes: 2 ** 24, uninitialised: "${uninitialised}", heap: { seed: 1 } }));`,
  );
  let plain: EngineModule | undefined;
  try {
    plain = new engine.Module(bytes);
  } catch {
    plain = undefined;
  }
  let guest: Module;
  try {
    guest = new Module(bytes, { memoryBytes: 2 ** 24, uninitialised, heap: { seed: 1 } });
  } catch (error) {
    if (error instanceof ModuleError) return 1;
    if ((error as Error).name === "CompileError" && plain === undefined) return 1;
    throw error;
  }
  if (plain === undefined) throw new Error("the engine refuses the module as it is, and takes it rewritten");
  if (!isRunnable(plain, edits)) return 1;
  const instance = new Instance(guest);
  try {
    const { exports } = new engine.Instance(plain);
    for (const value of [0, 1, 8, 65535]) {
      const want = outcome(exports, value);
      const got = outcome(instance.exports, value);
      if (got !== "stopped" && got !== want) throw new Error(`f(${value}) is ${got}, by the engine ${want}`);
    }
  } finally {
    instance[Symbol.dispose]();
  }
  return 5;
}

export const mutatedModules: Fuzzer<Program> = { program, run: runModule, inTests: 60 };
