// The small programs in fixtures/, and the code addresses at which their frames are recorded.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Dwarf } from "../../../../allocator/wasm/debug/dwarf/dwarf.ts";
import { collectDwarfSections } from "../../../../allocator/wasm/debug/dwarf/sections.ts";
import { type DebugSections, scanCustomSections } from "../../../../allocator/wasm/debug/sections/custom-sections.ts";

/** Built by fixtures/build.sh from the C and C++ beside. */
export const PROGRAMS = [
  "program-O0-dwarf4",
  "program-O2-dwarf4",
  "program-O2-dwarf5",
  "shapes-O0-dwarf5",
  "shapes-O1-dwarf5",
  "shapes-O1-lines",
] as const;
export type Program = (typeof PROGRAMS)[number];

export function fixturePath(file: string): string {
  return fileURLToPath(new URL(`fixtures/${file}`, import.meta.url));
}

export function readFixture(program: Program): Uint8Array {
  return new Uint8Array(readFileSync(fixturePath(`${program}.wasm`)));
}

export function sectionsOf(program: Program): DebugSections {
  return scanCustomSections(readFixture(program));
}

export function dwarfOf(bytes: Uint8Array): Dwarf {
  return new Dwarf(collectDwarfSections(scanCustomSections(bytes).customSections)!);
}

/** Length of the Code section's contents in bytes. */
export function codeLength(bytes: Uint8Array): number {
  let offset = 8;
  for (;;) {
    const id = bytes[offset++];
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++];
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (id === 10) return length;
    offset += length;
  }
}
