// From a Module and a list of changes to bytes. Indices never shift: functions, types, tables and globals are appended behind the
// module's own, so that stacks, tables and segments mean what they meant. Unchanged sections are copied byte by byte.

import { ByteWriter } from "./byte-writer.ts";
import {
  EXTERNAL_MEMORY,
  type FunctionType,
  type Module,
  SECTION_CODE,
  SECTION_CUSTOM,
  SECTION_DATA,
  SECTION_DATA_COUNT,
  SECTION_ELEMENT,
  SECTION_EXPORT,
  SECTION_FUNCTION,
  SECTION_GLOBAL,
  SECTION_IMPORT,
  SECTION_MEMORY,
  SECTION_START,
  SECTION_TABLE,
  SECTION_TYPE,
  type Section,
} from "./module.ts";

/** A function that is added; its body is locals and code, without a length. */
export interface AddedFunction {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface AddedGlobal {
  readonly type: number;
  readonly mutable: boolean;
  /** A constant expression with its end. */
  readonly value: Uint8Array;
}

/** What is different from the module as read. Indices of added things go on where the module's own end. */
export interface Changes {
  readonly types: readonly FunctionType[];
  readonly functions: readonly AddedFunction[];
  readonly globals: readonly AddedGlobal[];
  /** Tables of funcref, with their number of entries. */
  readonly tables: readonly number[];
  readonly exports: readonly { readonly name: string; readonly kind: number; readonly index: number }[];
  /** The one memory becomes this import, whether it was imported or defined; null: it stays. */
  readonly memory: {
    readonly module: string;
    readonly name: string;
    readonly minimum: number;
    readonly maximum: number;
  } | null;
  /** Drops the start section: who instantiates calls the function. */
  readonly dropsStart: boolean;
  /** Active data segments become passive ones: who instantiates has them stored. */
  readonly makesDataPassive: boolean;
  /** The bodies of the module's own functions as they are now, with their lengths; null: as they were. */
  readonly code: ByteWriter | null;
  /** Custom sections that are left out. */
  readonly dropsCustom: (name: string) => boolean;
}

export const NO_CHANGES: Changes = {
  types: [],
  functions: [],
  globals: [],
  tables: [],
  exports: [],
  memory: null,
  dropsStart: false,
  makesDataPassive: false,
  code: null,
  dropsCustom: () => false,
};

/** Order of the sections that may have to be made where the module has none. */
const ORDER = [
  SECTION_TYPE,
  SECTION_IMPORT,
  SECTION_FUNCTION,
  SECTION_TABLE,
  SECTION_MEMORY,
  SECTION_GLOBAL,
  SECTION_EXPORT,
  SECTION_START,
  SECTION_ELEMENT,
  SECTION_DATA_COUNT,
  SECTION_CODE,
  SECTION_DATA,
];

export interface Written {
  readonly bytes: Uint8Array;
  /** Where the bodies of the module's own functions begin, the first one's length included; −1 without any. */
  readonly codeStart: number;
}

/** Writes the module with its changes. Without any the result equals what was read, byte by byte. */
export function writeModule(module: Module, changes: Changes = NO_CHANGES): Written {
  const out = new ByteWriter(module.bytes.length + (changes.code?.length ?? 0) + 4096);
  out.append(module.bytes, 0, 8);
  let done = 0;
  let codeStart = -1;
  const upTo = (place: number): void => {
    for (; done < place; done++) writeMissing(module, changes, ORDER[done], out);
  };
  for (const section of module.sections) {
    if (section.id === SECTION_CUSTOM) {
      if (!changes.dropsCustom(section.name)) copySection(module, section, out);
      continue;
    }
    const place = ORDER.indexOf(section.id);
    upTo(place);
    done = place + 1;
    const start = writeSection(module, changes, section, out);
    if (section.id === SECTION_CODE) codeStart = start;
  }
  upTo(ORDER.length);
  return { bytes: out.written.slice(), codeStart };
}

/** A section as it was, with its header's own bytes: an id and a length, which need not be of the shortest form. */
function copySection(module: Module, section: Section, out: ByteWriter): void {
  let header = section.start - 1;
  // The length's last byte is below 0x80, those before it are not; before them stands the id.
  while (module.bytes[header - 1] >= 0x80) header--;
  out.append(module.bytes, header - 1, section.end);
}

/** @returns where the code section's first body begins, else −1 */
function writeSection(module: Module, changes: Changes, section: Section, out: ByteWriter): number {
  if (section.id === SECTION_START && changes.dropsStart) return -1;
  if (section.id === SECTION_MEMORY && changes.memory !== null) return -1;
  if (section.id === SECTION_DATA && changes.makesDataPassive) {
    writePassiveData(module, out);
    return -1;
  }
  const added = addedEntries(module, changes, section.id);
  const replaced = section.id === SECTION_CODE ? changes.code : null;
  const removesMemory = section.id === SECTION_IMPORT && changes.memory !== null;
  if (added.count === 0 && replaced === null && !removesMemory) {
    copySection(module, section, out);
    return out.length - (section.end - section.start) + lebLength(module, section);
  }
  const body = new ByteWriter(section.end - section.start + added.entries.length + 16);
  const count = lebCount(module, section);
  const removed = removesMemory ? module.imports.filter(({ kind }) => kind === EXTERNAL_MEMORY) : [];
  body.u32(count - removed.length + added.count);
  const entriesStart = body.length;
  if (replaced !== null) body.append(replaced.bytes, 0, replaced.length);
  else {
    let from = section.start + lebLength(module, section);
    for (const { start, end } of removed) {
      body.append(module.bytes, from, start);
      from = end;
    }
    body.append(module.bytes, from, section.end);
  }
  body.append(added.entries.bytes, 0, added.entries.length);
  out.byte(section.id);
  out.sized(body);
  return out.length - body.length + entriesStart;
}

function writePassiveData({ bytes, data }: Module, out: ByteWriter): void {
  const body = new ByteWriter(bytes.length);
  body.u32(data.length);
  for (const { start, end } of data) {
    body.byte(1);
    body.u32(end - start);
    body.append(bytes, start, end);
  }
  out.byte(SECTION_DATA);
  out.sized(body);
}

/** A section that the module does not have, if something is to be added to it. */
function writeMissing(module: Module, changes: Changes, id: number, out: ByteWriter): void {
  if (id === SECTION_DATA_COUNT && changes.makesDataPassive && module.data.length > 0) {
    // Code that names segments needs their number first.
    const count = new ByteWriter(8);
    count.u32(module.data.length);
    out.byte(id);
    out.sized(count);
    return;
  }
  const added = addedEntries(module, changes, id);
  if (added.count === 0) return;
  const body = new ByteWriter(added.entries.length + 8);
  body.u32(added.count);
  body.append(added.entries.bytes, 0, added.entries.length);
  out.byte(id);
  out.sized(body);
}

/** What is appended to the section `id`. */
function addedEntries(module: Module, changes: Changes, id: number): { count: number; entries: ByteWriter } {
  const entries = new ByteWriter(64);
  const write = ADDITIONS[id];
  return { count: write === undefined ? 0 : write(module, changes, entries), entries };
}

const ADDITIONS: Readonly<Record<number, (module: Module, changes: Changes, entries: ByteWriter) => number>> = {
  [SECTION_TYPE]: (_, { types }, entries) => {
    for (const { params, results } of types) {
      entries.byte(0x60);
      for (const list of [params, results]) {
        entries.u32(list.length);
        entries.append(list, 0, list.length);
      }
    }
    return types.length;
  },
  [SECTION_IMPORT]: (_, { memory }, entries) => {
    if (memory === null) return 0;
    entries.name(memory.module);
    entries.name(memory.name);
    entries.byte(EXTERNAL_MEMORY);
    entries.byte(1);
    entries.u32(memory.minimum);
    entries.u32(memory.maximum);
    return 1;
  },
  [SECTION_FUNCTION]: (_, { functions }, entries) => {
    for (const { type } of functions) entries.u32(type);
    return functions.length;
  },
  [SECTION_TABLE]: (_, { tables }, entries) => {
    for (const size of tables) {
      entries.two(0x70, 1);
      entries.u32(size);
      entries.u32(size);
    }
    return tables.length;
  },
  [SECTION_GLOBAL]: (_, { globals }, entries) => {
    for (const { type, mutable, value } of globals) {
      entries.two(type, mutable ? 1 : 0);
      entries.append(value, 0, value.length);
    }
    return globals.length;
  },
  [SECTION_EXPORT]: (_, { exports }, entries) => {
    for (const { name, kind, index } of exports) {
      entries.name(name);
      entries.byte(kind);
      entries.u32(index);
    }
    return exports.length;
  },
  [SECTION_CODE]: (_, { functions }, entries) => {
    for (const { body } of functions) {
      entries.u32(body.length);
      entries.append(body, 0, body.length);
    }
    return functions.length;
  },
};

/** Number of entries of a section that begins with it, and how many bytes say so. */
function lebCount({ bytes }: Module, { start }: Section): number {
  let value = 0;
  for (let at = start, unit = 1; ; at++, unit *= 128) {
    value += (bytes[at] & 0x7f) * unit;
    if (bytes[at] < 0x80) return value;
  }
}

function lebLength({ bytes }: Module, { start }: Section): number {
  let at = start;
  while (bytes[at] >= 0x80) at++;
  return at + 1 - start;
}
