// The custom sections of a module, found without reading anything else of it: for the file that `external_debug_info`
// names, of which only these are wanted. The module that runs is read by the binary format's own reader.

import { ByteReader, MalformedDebugData } from "./byte-reader.ts";

/** A custom section: its name, and its contents behind the name. */
export interface CustomSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** `\0asm`, and version 1 (WebAssembly core specification, "Modules", binary format). */
const PREAMBLE = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const CUSTOM_SECTION = 0;
const CODE_SECTION = 10;

export interface DebugSections {
  readonly customSections: readonly CustomSection[];
  /** Where the Code section's contents start in the file, in bytes; -1 if it has none, as files of debug data alone. */
  readonly codeSectionOffset: number;
}

/**
 * The custom sections of the module `bytes`; those before a fault are kept.
 * A file that is no module has none.
 */
export function scanCustomSections(bytes: Uint8Array): DebugSections {
  const customSections: CustomSection[] = [];
  let codeSectionOffset = -1;
  try {
    const reader = new ByteReader(bytes);
    for (const byte of PREAMBLE) if (reader.u8() !== byte) throw new MalformedDebugData("not a WebAssembly module");
    while (reader.offset < reader.end) {
      const id = reader.u8();
      const section = reader.slice(reader.uleb());
      if (id === CODE_SECTION) codeSectionOffset = section.offset;
      if (id !== CUSTOM_SECTION) continue;
      const name = section.name();
      customSections.push({ name, bytes: bytes.subarray(section.offset, section.end) });
    }
  } catch (error) {
    if (!(error instanceof MalformedDebugData)) throw error;
  }
  return { customSections, codeSectionOffset };
}
