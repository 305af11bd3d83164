// A module as read: its sections where they lie in the file, and of their contents what rewriting needs to know.
// Reading is read-module.ts, writing write-module.ts. Sections that no pass changes are copied byte by byte.

export interface FunctionType {
  readonly params: Uint8Array;
  readonly results: Uint8Array;
}

export const SECTION_CUSTOM = 0;
export const SECTION_TYPE = 1;
export const SECTION_IMPORT = 2;
export const SECTION_FUNCTION = 3;
export const SECTION_TABLE = 4;
export const SECTION_MEMORY = 5;
export const SECTION_GLOBAL = 6;
export const SECTION_EXPORT = 7;
export const SECTION_START = 8;
export const SECTION_ELEMENT = 9;
export const SECTION_CODE = 10;
export const SECTION_DATA = 11;
export const SECTION_DATA_COUNT = 12;

export const EXTERNAL_FUNCTION = 0;
export const EXTERNAL_TABLE = 1;
export const EXTERNAL_MEMORY = 2;
export const EXTERNAL_GLOBAL = 3;

/** A section: its contents are `bytes[start, end)`, its id and length stand before `start`. */
export interface Section {
  readonly id: number;
  /** Of a custom section, else "". */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export interface Import {
  readonly module: string;
  readonly name: string;
  /** EXTERNAL_FUNCTION and so on. */
  readonly kind: number;
  /** Where the entry lies in the file. */
  readonly start: number;
  readonly end: number;
}

export interface Export {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/** In pages of 64 KiB; `maximum` is null if there is none. */
export interface Limits {
  readonly minimum: number;
  readonly maximum: number | null;
}

export interface GlobalType {
  readonly type: number;
  readonly mutable: boolean;
  /** The value of an i32 global that begins as a plain constant, else null. */
  readonly constant: number | null;
}

export interface DataSegment {
  /** Where an active segment goes, if that is a plain constant; else null. */
  readonly offset: number | null;
  readonly isPassive: boolean;
  /** The expression that says where an active segment goes, its end included; of a passive one, nothing. */
  readonly expressionStart: number;
  readonly expressionEnd: number;
  /** Its bytes in the file. */
  readonly start: number;
  readonly end: number;
}

export interface Module {
  readonly bytes: Uint8Array;
  readonly sections: readonly Section[];
  readonly types: readonly FunctionType[];
  readonly imports: readonly Import[];
  /** Type index of every function, imported ones first. */
  readonly functionTypes: Uint32Array;
  readonly importedFunctions: number;
  /** Element type of every table, imported ones first. */
  readonly tables: readonly number[];
  /** At most one; null: none. */
  readonly memory: (Limits & { readonly isImported: boolean }) | null;
  /** Imported ones first; the constants of those are null. */
  readonly globals: readonly GlobalType[];
  readonly importedGlobals: number;
  readonly exports: readonly Export[];
  /** Function index, or −1. */
  readonly start: number;
  /** Where the body of each defined function lies: after its length. */
  readonly bodyStart: Uint32Array;
  readonly bodyEnd: Uint32Array;
  readonly data: readonly DataSegment[];
}

/** The type of a function by its index among all. */
export function typeOfFunction(module: Module, index: number): FunctionType {
  return module.types[module.functionTypes[index]];
}

export function findSection(module: Module, id: number): Section | null {
  return module.sections.find((section) => section.id === id) ?? null;
}

export function findCustomSection(module: Module, name: string): Section | null {
  return module.sections.find((section) => section.id === SECTION_CUSTOM && section.name === name) ?? null;
}
