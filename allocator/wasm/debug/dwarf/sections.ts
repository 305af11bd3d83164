// The DWARF sections of a module, by what they hold. WebAssembly keeps each in a custom section of the usual name, and a
// code address is an offset in the Code section's contents (WebAssembly tool conventions, "DWARF for WebAssembly").

import type { CustomSection } from "../sections/custom-sections.ts";

export interface DwarfSections {
  readonly info: Uint8Array;
  readonly abbrev: Uint8Array;
  readonly line: Uint8Array;
  readonly lineStr: Uint8Array;
  readonly str: Uint8Array;
  readonly strOffsets: Uint8Array;
  readonly addr: Uint8Array;
  readonly ranges: Uint8Array;
  readonly rnglists: Uint8Array;
}

/** The sections found, an empty one for each that is missing; null if there is neither `.debug_info` nor `.debug_line`. */
export function collectDwarfSections(customSections: readonly CustomSection[]): DwarfSections | null {
  const find = (name: string) =>
    customSections.find((section) => section.name === `.debug_${name}`)?.bytes ?? new Uint8Array(0);
  const sections: DwarfSections = {
    info: find("info"),
    abbrev: find("abbrev"),
    line: find("line"),
    lineStr: find("line_str"),
    str: find("str"),
    strOffsets: find("str_offsets"),
    addr: find("addr"),
    ranges: find("ranges"),
    rnglists: find("rnglists"),
  };
  return sections.info.length === 0 && sections.line.length === 0 ? null : sections;
}

/** Bytes of all sections together: what the work of reading them is measured by. */
export function totalBytes(sections: DwarfSections): number {
  return Object.values(sections).reduce((sum, section: Uint8Array) => sum + section.length, 0);
}

/** wasm-ld writes -1 or -2 for the address of code that it removed; in the range [2^32 - 2, 2^32) or its 64-bit like. */
const LOWEST_TOMBSTONE = 0xfffffffe;

/**
 * Whether nothing of the module can be at `address`: older linkers write 0 for removed code (the contents of a Code section
 * start with a count, never with a function), newer ones -1 or -2.
 */
export function isTombstone(address: number): boolean {
  return address === 0 || address >= LOWEST_TOMBSTONE;
}
