// From bytes to a Module: every section's frame, and the contents that rewriting needs. Function bodies are only located here;
// what is in them is body-walker.ts. Whether the module is valid is the engine's to say; here nothing may be read out of bounds.

import { ByteReader } from "./byte-reader.ts";
import { EXTERNREF, FUNCREF, OP_END, OP_I32_CONST, V128 } from "./instructions.ts";
import {
  type DataSegment,
  EXTERNAL_FUNCTION,
  EXTERNAL_GLOBAL,
  EXTERNAL_MEMORY,
  EXTERNAL_TABLE,
  type Export,
  type FunctionType,
  type GlobalType,
  type Import,
  type Limits,
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
import { ModuleError } from "./module-error.ts";

const MAGIC = 0x6d736100;
const VERSION = 1;
/** The order that sections must come in. */
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
const SECTION_TAG = 13;

/** The same, while it is being filled. */
class Draft {
  readonly types: FunctionType[] = [];
  readonly imports: Import[] = [];
  readonly functionTypes: number[] = [];
  importedFunctions = 0;
  readonly tables: number[] = [];
  memory: Module["memory"] = null;
  readonly globals: GlobalType[] = [];
  importedGlobals = 0;
  readonly exports: Export[] = [];
  start = -1;
  bodyStart = new Uint32Array(0);
  bodyEnd = new Uint32Array(0);
  readonly data: DataSegment[] = [];
}

/**
 * Reads a module. Cost: its sections but for function bodies and segments' bytes.
 * @throws ModuleError truncated, malformed, or unsupported: a proposal beyond MVP, sign extension, saturating conversions, bulk
 * memory, multi-value, reference types, SIMD and tail calls
 */
export function readModule(bytes: Uint8Array): Module {
  const reader = new ByteReader(bytes);
  readPreamble(reader);
  const sections: Section[] = [];
  const draft = new Draft();
  let reached = -1;
  while (!reader.isAtEnd) {
    const at = reader.position;
    const id = reader.byte();
    const length = reader.u32();
    if (length > reader.end - reader.position) reader.truncated();
    const start = reader.position;
    const part = new ByteReader(bytes, start, start + length);
    const name = id === SECTION_CUSTOM ? part.name() : "";
    if (id === SECTION_TAG) throw new ModuleError("unsupported", "exception handling (a tag section)", at);
    if (id !== SECTION_CUSTOM) {
      const place = ORDER.indexOf(id);
      if (place < 0) throw new ModuleError("malformed", `a section of kind ${id}`, at);
      if (place <= reached) throw new ModuleError("malformed", `section ${id} comes twice or too late`, at);
      reached = place;
      readSection(id, part, draft);
    }
    sections.push({ id, name, start, end: start + length });
    reader.position = start + length;
  }
  if (draft.bodyStart.length !== draft.functionTypes.length - draft.importedFunctions) {
    throw new ModuleError("malformed", "functions and their bodies differ in number");
  }
  return { bytes, sections, ...draft, functionTypes: Uint32Array.from(draft.functionTypes) };
}

function readPreamble(reader: ByteReader): void {
  if (reader.end < 8) throw new ModuleError("truncated", "no module: fewer than 8 bytes", reader.end);
  const view = new DataView(reader.bytes.buffer, reader.bytes.byteOffset, 8);
  if (view.getUint32(0, true) !== MAGIC)
    throw new ModuleError("malformed", 'no module: it does not begin with "\\0asm"', 0);
  const version = view.getUint32(4, true);
  if (version === 0x1000d) throw new ModuleError("unsupported", "a component; give the core module inside it", 4);
  if (version !== VERSION) throw new ModuleError("malformed", `version ${version} of the binary format`, 4);
  reader.position = 8;
}

function readSection(id: number, part: ByteReader, draft: Draft): void {
  if (id === SECTION_START) draft.start = functionIndex(part.u32(), draft, part);
  else if (id === SECTION_DATA_COUNT) part.u32();
  else if (id === SECTION_CODE) readCode(part, draft);
  // A segment's elements stay as they are: functions keep their indices.
  else if (id !== SECTION_ELEMENT) {
    const readEntry = ENTRY_READERS[id];
    for (let count = part.count(1); count > 0; count--) readEntry(part, draft);
    if (!part.isAtEnd) part.malformed(`section ${id} has bytes left over`);
  }
}

const ENTRY_READERS: Readonly<Record<number, (part: ByteReader, draft: Draft) => void>> = {
  [SECTION_TYPE]: (part, draft) => {
    const form = part.byte();
    if (form !== 0x60) unsupportedType(part, form);
    draft.types.push({ params: valueTypes(part), results: valueTypes(part) });
  },
  [SECTION_IMPORT]: readImport,
  [SECTION_FUNCTION]: (part, draft) => draft.functionTypes.push(typeIndex(part, draft)),
  [SECTION_TABLE]: (part, draft) => draft.tables.push(readTable(part, draft)),
  [SECTION_MEMORY]: (part, draft) => setMemory(part, draft, false),
  [SECTION_GLOBAL]: (part, draft) => {
    const type = valueType(part);
    const mutable = part.byte() === 1;
    draft.globals.push({ type, mutable, constant: readConstant(part) });
  },
  [SECTION_EXPORT]: (part, draft) => {
    draft.exports.push({ name: part.name(), kind: part.byte(), index: part.u32() });
  },
  [SECTION_DATA]: readDataSegment,
};

function readImport(part: ByteReader, draft: Draft): void {
  const start = part.position;
  const module = part.name();
  const name = part.name();
  const kind = part.byte();
  if (kind === EXTERNAL_FUNCTION) {
    draft.functionTypes.push(typeIndex(part, draft));
    draft.importedFunctions++;
  } else if (kind === EXTERNAL_TABLE) draft.tables.push(readTable(part, draft));
  else if (kind === EXTERNAL_MEMORY) setMemory(part, draft, true);
  else if (kind === EXTERNAL_GLOBAL) {
    draft.globals.push({ type: valueType(part), mutable: part.byte() === 1, constant: null });
    draft.importedGlobals++;
  } else if (kind === 4) throw new ModuleError("unsupported", "exception handling (an imported tag)", start);
  else part.malformed(`an import of kind ${kind}`);
  draft.imports.push({ module, name, kind, start, end: part.position });
}

function readTable(part: ByteReader, draft: Draft): number {
  if (draft.tables.length > 2 ** 20) part.malformed("too many tables");
  const type = part.byte();
  if (type !== FUNCREF && type !== EXTERNREF) unsupportedType(part, type);
  readLimits(part);
  return type;
}

function setMemory(part: ByteReader, draft: Draft, isImported: boolean): void {
  if (draft.memory !== null) throw new ModuleError("unsupported", "several memories", part.position);
  draft.memory = { ...readLimits(part), isImported };
}

function readLimits(part: ByteReader): Limits {
  const at = part.position;
  const flags = part.u32();
  if ((flags & 2) !== 0) throw new ModuleError("unsupported", "threads (a shared memory)", at);
  if ((flags & 4) !== 0) throw new ModuleError("unsupported", "64-bit memory", at);
  if ((flags & 8) !== 0) throw new ModuleError("unsupported", "custom page sizes", at);
  if (flags > 1) throw new ModuleError("unsupported", `limits with flags ${flags}`, at);
  return { minimum: part.u32(), maximum: flags === 1 ? part.u32() : null };
}

/** Reads a constant expression, and its value if it is one `i32.const`. */
function readConstant(part: ByteReader): number | null {
  const isConstant = part.position < part.end && part.bytes[part.position] === OP_I32_CONST;
  if (isConstant) {
    part.byte();
    const value = part.s32();
    if (part.position < part.end && part.bytes[part.position] === OP_END) {
      part.byte();
      return value;
    }
  }
  skipConstantExpression(part);
  return null;
}

/** Instructions that a constant expression may have, up to its end. */
function skipConstantExpression(part: ByteReader): void {
  for (;;) {
    const op = part.byte();
    if (op === OP_END) return;
    if (op === 0x41) part.skipLeb(5);
    else if (op === 0x42) part.skipLeb(10);
    else if (op === 0x43) part.skip(4);
    else if (op === 0x44) part.skip(8);
    else if (op === 0x23 || op === 0xd2 || op === 0xd0) part.skipLeb(5);
    else if (op === 0xfd) {
      part.skipLeb(5);
      part.skip(16);
    } else if (!((op >= 0x6a && op <= 0x6c) || (op >= 0x7c && op <= 0x7e))) {
      part.position--;
      if (op === 0xfb) throw new ModuleError("unsupported", "garbage collection (a constant)", part.position);
      part.malformed(`opcode 0x${op.toString(16)} in a constant expression`);
    }
  }
}

function readDataSegment(part: ByteReader, draft: Draft): void {
  const flags = part.u32();
  if (flags > 2) part.malformed(`a data segment with flags ${flags}`);
  if (flags === 2 && part.u32() !== 0) throw new ModuleError("unsupported", "several memories", part.position);
  const expressionStart = part.position;
  const offset = flags === 1 ? null : readConstant(part);
  const expressionEnd = part.position;
  const length = part.u32();
  const start = part.position;
  part.skip(length);
  draft.data.push({
    offset: offset === null ? null : offset >>> 0,
    isPassive: flags === 1,
    expressionStart,
    expressionEnd,
    start,
    end: part.position,
  });
}

function readCode(part: ByteReader, draft: Draft): void {
  const count = part.count(2);
  draft.bodyStart = new Uint32Array(count);
  draft.bodyEnd = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const length = part.u32();
    draft.bodyStart[i] = part.position;
    part.skip(length);
    draft.bodyEnd[i] = part.position;
  }
  if (!part.isAtEnd) part.malformed("the code section has bytes left over");
}

function functionIndex(index: number, draft: Draft, part: ByteReader): number {
  if (index >= draft.functionTypes.length) part.malformed(`there is no function ${index}`);
  return index;
}

function typeIndex(part: ByteReader, draft: Draft): number {
  const index = part.u32();
  if (index >= draft.types.length) part.malformed(`there is no type ${index}`);
  return index;
}

function valueTypes(part: ByteReader): Uint8Array {
  const types = new Uint8Array(part.count(1));
  for (let i = 0; i < types.length; i++) types[i] = valueType(part);
  return types;
}

export function valueType(part: ByteReader): number {
  const type = part.byte();
  if ((type >= V128 && type <= 0x7f) || type === FUNCREF || type === EXTERNREF) return type;
  return unsupportedType(part, type);
}

function unsupportedType(part: ByteReader, type: number): never {
  const at = part.position - 1;
  if (type === 0x69 || type === 0x74) throw new ModuleError("unsupported", "exception handling (a type)", at);
  if (type >= 0x4d && type <= 0x7a)
    throw new ModuleError("unsupported", `type 0x${type.toString(16)} of a later proposal`, at);
  throw new ModuleError("malformed", `there is no type 0x${type.toString(16)}`, at);
}
