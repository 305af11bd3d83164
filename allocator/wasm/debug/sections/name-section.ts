// The `name` section: names of functions, locals, globals and data segments, for people and not for the engine.
// It is indexed when first asked and its strings are decoded one by one. Demangling is not here.

import { ByteReader, MalformedDebugData } from "./byte-reader.ts";

/** Subsections by their ids in the WebAssembly specification's appendix and in the extended-name-section proposal. */
const MODULE_NAME = 0;
const FUNCTION_NAMES = 1;
const LOCAL_NAMES = 2;
const GLOBAL_NAMES = 7;
const DATA_SEGMENT_NAMES = 9;

/** Where the name of each index starts in the section's bytes. */
type NameMap = Map<number, number>;

export class NameSection {
  private readonly bytes: Uint8Array;
  private readonly functions: NameMap = new Map();
  private readonly globals: NameMap = new Map();
  private readonly dataSegments: NameMap = new Map();
  /** Where each function's map of locals starts. */
  private readonly locals: NameMap = new Map();
  private moduleOffset = -1;

  /** Indexes what is well-formed: a fault ends its subsection, and a subsection of impossible length ends the section. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    const reader = new ByteReader(bytes);
    try {
      while (reader.offset < reader.end) {
        const id = reader.u8();
        this.indexSubsection(id, reader.slice(reader.uleb()));
      }
    } catch (error) {
      ignoreMalformed(error);
    }
  }

  moduleName(): string | null {
    return this.nameAt(this.moduleOffset < 0 ? undefined : this.moduleOffset);
  }

  functionName(functionIndex: number): string | null {
    return this.nameAt(this.functions.get(functionIndex));
  }

  globalName(globalIndex: number): string | null {
    return this.nameAt(this.globals.get(globalIndex));
  }

  dataSegmentName(segmentIndex: number): string | null {
    return this.nameAt(this.dataSegments.get(segmentIndex));
  }

  /** Name of a parameter or local; parameters come first, as in the code. */
  localName(functionIndex: number, localIndex: number): string | null {
    const start = this.locals.get(functionIndex);
    if (start === undefined) return null;
    const names: NameMap = new Map();
    indexNames(new ByteReader(this.bytes, start), names);
    return this.nameAt(names.get(localIndex));
  }

  private indexSubsection(id: number, reader: ByteReader): void {
    try {
      if (id === MODULE_NAME) this.moduleOffset = reader.offset;
      else if (id === FUNCTION_NAMES) indexNames(reader, this.functions);
      else if (id === GLOBAL_NAMES) indexNames(reader, this.globals);
      else if (id === DATA_SEGMENT_NAMES) indexNames(reader, this.dataSegments);
      else if (id === LOCAL_NAMES) this.indexLocals(reader);
    } catch (error) {
      ignoreMalformed(error);
    }
  }

  private indexLocals(reader: ByteReader): void {
    const count = reader.uleb();
    for (let entry = 0; entry < count; entry++) {
      const functionIndex = reader.uleb();
      const start = reader.offset;
      indexNames(reader, null);
      this.locals.set(functionIndex, start);
    }
  }

  private nameAt(offset: number | undefined): string | null {
    if (offset === undefined) return null;
    try {
      return new ByteReader(this.bytes, offset).name();
    } catch (error) {
      ignoreMalformed(error);
      return null;
    }
  }
}

/** Passes over a map of names and notes where each starts; what is noted before a fault stays. */
function indexNames(reader: ByteReader, names: NameMap | null): void {
  const count = reader.uleb();
  for (let entry = 0; entry < count; entry++) {
    const index = reader.uleb();
    const start = reader.offset;
    reader.skip(reader.uleb());
    names?.set(index, start);
  }
}

function ignoreMalformed(error: unknown): void {
  if (!(error instanceof MalformedDebugData)) throw error;
}
