// The header of a line table: how its opcodes count, and the names of its files (DWARF 5, 6.2.4; DWARF 4, 6.2.4).
// Names are read apart from the rest, since most tables are never asked for them.

import { type ByteReader, MalformedDebugData } from "../sections/byte-reader.ts";
import { FORM, LINE_CONTENT } from "./constants.ts";
import { directForm, type Encoding, readForm } from "./forms.ts";
import type { DwarfSections } from "./sections.ts";
import { readInitialLength, readString } from "./unit.ts";

const OLDEST_VERSION = 2;
const NEWEST_VERSION = 5;

export interface LineHeader extends Encoding {
  /** Where the table starts in `.debug_line`: what `DW_AT_stmt_list` names. */
  readonly start: number;
  readonly end: number;
  /** Where the names of directories and files start. */
  readonly names: number;
  readonly program: number;
  readonly minimumInstructionBytes: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** How many LEB128 operands each standard opcode has, from opcode 1. */
  readonly operandCounts: Uint8Array;
}

/**
 * Reads the header at `reader`, and moves it behind the whole table; null for a table that cannot be understood.
 * @throws MalformedDebugData the length passes the section; nothing after it can be found either
 */
export function readLineHeader(reader: ByteReader): LineHeader | null {
  const start = reader.offset;
  const { lengthBytes, offsetBytes } = readInitialLength(reader);
  const table = reader.slice(lengthBytes);
  try {
    return readFields(table, start, offsetBytes);
  } catch (error) {
    if (!(error instanceof MalformedDebugData)) throw error;
    return null;
  }
}

function readFields(table: ByteReader, start: number, offsetBytes: number): LineHeader | null {
  const version = table.u16();
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) return null;
  let addressBytes = 4;
  if (version >= 5) {
    addressBytes = table.u8();
    table.u8(); // The size of a segment selector, which WebAssembly has not.
  }
  const headerBytes = table.unsigned(offsetBytes);
  const program = table.offset + headerBytes;
  const minimumInstructionBytes = table.u8();
  // Code of several operations an instruction (VLIW) is not WebAssembly's.
  if (version >= 4 && table.u8() > 1) return null;
  table.u8(); // default_is_stmt: every row counts here, statement or not.
  const lineBase = table.i8();
  const lineRange = table.u8();
  const opcodeBase = table.u8();
  if (lineRange === 0 || opcodeBase === 0 || program > table.end) return null;
  const counts = table.slice(opcodeBase - 1);
  const operandCounts = counts.bytes.subarray(counts.offset, counts.end);
  const encoding = { version, offsetBytes, addressBytes };
  const layout = { start, end: table.end, names: table.offset, program };
  return { ...encoding, ...layout, minimumInstructionBytes, lineBase, lineRange, opcodeBase, operandCounts };
}

/** Names of the files of a table, each with its directory, as paths that may still be relative to the compilation's. */
export interface LineFiles {
  readonly directories: readonly string[];
  readonly files: readonly { readonly name: string; readonly directory: number }[];
  /** The index that the first entry of each list has: 0 since DWARF 5; before, 1. */
  readonly firstIndex: number;
}

/** @throws MalformedDebugData the lists are cut short */
export function readLineFiles(header: LineHeader, reader: ByteReader, sections: DwarfSections): LineFiles {
  if (header.version >= 5) {
    const directories = readEntries(header, reader, sections).map(({ name }) => name);
    return { directories, files: readEntries(header, reader, sections), firstIndex: 0 };
  }
  const directories: string[] = [];
  for (let name = reader.string(); name !== ""; name = reader.string()) directories.push(name);
  const files: { name: string; directory: number }[] = [];
  for (let name = reader.string(); name !== ""; name = reader.string()) {
    files.push({ name, directory: reader.uleb() });
    reader.skipLeb(); // Time of the last change.
    reader.skipLeb(); // Length in bytes.
  }
  return { directories, files, firstIndex: 1 };
}

/** A list of DWARF 5: pairs of content and form, then that many values for each entry. */
function readEntries(header: LineHeader, reader: ByteReader, sections: DwarfSections) {
  const contents: number[] = [];
  const forms: number[] = [];
  for (let left = reader.u8(); left > 0; left--) {
    contents.push(reader.uleb());
    forms.push(reader.uleb());
  }
  const count = reader.uleb();
  if (count > reader.end - reader.offset) throw new MalformedDebugData(`a list of ${count} names`);
  const entries: { name: string; directory: number }[] = [];
  for (let entry = 0; entry < count; entry++) {
    let name = "";
    let directory = 0;
    for (let field = 0; field < forms.length; field++) {
      const form = forms[field] === FORM.indirect ? directForm(reader) : forms[field];
      const value = readForm(reader, form, header);
      if (contents[field] === LINE_CONTENT.path) name = readString(form, value, sections.line, sections);
      else if (contents[field] === LINE_CONTENT.directoryIndex) directory = value;
    }
    entries.push({ name, directory });
  }
  return entries;
}

/** The path of file `index`, as far as the table and the unit's compilation directory make it whole; null if unknown. */
export function pathOfFile(list: LineFiles, index: number, compilationDirectory: string): string | null {
  const file = list.files[index - list.firstIndex];
  if (file === undefined || file.name === "") return null;
  // In DWARF 4 directory 0 is the compilation's; in DWARF 5 it is in the list.
  const directory = list.directories[file.directory - list.firstIndex] ?? "";
  return joinPaths(compilationDirectory, joinPaths(directory, file.name));
}

const ABSOLUTE = /^(?:[\\/]|[A-Za-z]:[\\/]|[a-z][a-z+.-]+:\/\/)/;

/** As a shell would find `path` from `folder`; `./` and doubled separators go, `..` stays, since links may make it matter. */
function joinPaths(folder: string, path: string): string {
  const whole = ABSOLUTE.test(path) || folder === "" ? path : `${folder.replace(/[\\/]+$/, "")}/${path}`;
  return whole.replace(/(?<=^|\/)(?:\.\/+)+/g, "");
}
