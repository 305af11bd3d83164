// Fills the table by which a rewritten module calls the host. Only WebAssembly functions can stand in a table, so a module that
// imports the host's functions and exports them again, with nothing in it, is made for each list of types.

import { type EngineModule, type EngineTable, engine } from "../../../platform/host/engine.ts";
import { ByteWriter } from "../binary/byte-writer.ts";
import type { FunctionType } from "../binary/module.ts";
import type { Slot } from "../rewriting/rewriter.ts";

export type HostFunction = (...values: number[]) => number | undefined;

const MODULE_NAME = "host";

/** A module that passes functions of these types through. */
export function compileHostTable(slots: readonly Slot[]): EngineModule {
  return new engine.Module(passThrough(slots.map(({ type }) => type)));
}

/** @param hostOf what each slot calls. @returns what must be kept as long as the table is used */
export function fillHostTable(
  compiled: EngineModule,
  slots: readonly Slot[],
  table: EngineTable,
  hostOf: (slot: Slot) => HostFunction,
): unknown {
  const imports = Object.fromEntries(slots.map((slot, index) => [String(index), hostOf(slot)]));
  const instance = new engine.Instance(compiled, { [MODULE_NAME]: imports });
  for (let index = 0; index < slots.length; index++) table.set(index, instance.exports[String(index)]);
  return [compiled, instance];
}

function passThrough(types: readonly FunctionType[]): Uint8Array {
  const out = new ByteWriter(256);
  out.append(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), 0, 8);
  section(out, 1, types.length, (part, index) => {
    part.byte(0x60);
    for (const list of [types[index].params, types[index].results]) {
      part.u32(list.length);
      part.append(list, 0, list.length);
    }
  });
  section(out, 2, types.length, (part, index) => {
    part.name(MODULE_NAME);
    part.name(String(index));
    part.byte(0);
    part.u32(index);
  });
  section(out, 7, types.length, (part, index) => {
    part.name(String(index));
    part.byte(0);
    part.u32(index);
  });
  return out.written.slice();
}

function section(out: ByteWriter, id: number, count: number, entry: (part: ByteWriter, index: number) => void): void {
  const part = new ByteWriter(256);
  part.u32(count);
  for (let index = 0; index < count; index++) entry(part, index);
  out.byte(id);
  out.sized(part);
}
