// The name section: what functions, globals and the module itself are called. A damaged one is as good as none.

import { ByteReader } from "./byte-reader.ts";
import { findCustomSection, type Module } from "./module.ts";
import { ModuleError } from "./module-error.ts";

export interface Names {
  readonly module: string;
  readonly functions: ReadonlyMap<number, string>;
  readonly globals: ReadonlyMap<number, string>;
}

const SUBSECTION_MODULE = 0;
const SUBSECTION_FUNCTIONS = 1;
const SUBSECTION_GLOBALS = 7;

export function readNames(module: Module): Names {
  const names = { module: "", functions: new Map<number, string>(), globals: new Map<number, string>() };
  const section = findCustomSection(module, "name");
  if (section === null) return names;
  const reader = new ByteReader(module.bytes, section.start, section.end);
  try {
    reader.name();
    while (!reader.isAtEnd) {
      const id = reader.byte();
      const length = reader.u32();
      const end = reader.position + length;
      const part = new ByteReader(module.bytes, reader.position, Math.min(end, section.end));
      if (id === SUBSECTION_MODULE) names.module = part.name();
      else if (id === SUBSECTION_FUNCTIONS) readMap(part, names.functions);
      else if (id === SUBSECTION_GLOBALS) readMap(part, names.globals);
      reader.skip(length);
    }
  } catch (error) {
    if (!(error instanceof ModuleError)) throw error;
  }
  return names;
}

function readMap(part: ByteReader, names: Map<number, string>): void {
  for (let count = part.count(2); count > 0; count--) {
    const index = part.u32();
    names.set(index, part.name());
  }
}
