// Source maps of WebAssembly modules (ECMA-426): the whole module is line 1, and a column is a byte offset in it.
// AssemblyScript's compiler, Emscripten's -gsource-map and Binaryen write them. Where a map comes from is not known here.

import { VlqReader } from "./vlq.ts";

/** A source map as JSON holds it; what is missing or of another type counts as empty. */
export interface SourceMapObject {
  readonly version?: number;
  readonly mappings?: string;
  readonly sources?: readonly (string | null)[];
  readonly sourceRoot?: string | null;
  readonly names?: readonly string[];
  /** An index map: maps of parts of the module, each from its offset on. */
  readonly sections?: readonly {
    readonly offset?: { readonly line?: number; readonly column?: number };
    readonly map?: SourceMapObject;
  }[];
}

export interface MappedPlace {
  /** Where the mapping starts, in bytes from the module's start. */
  readonly moduleOffset: number;
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly column: number;
  /** What the map names here; with Emscripten and Binaryen the function. */
  readonly name: string | null;
}

/** The text of a source map may start with this line, against its use as a script. */
const SCRIPT_GUARD = /^\)\]\}'[^\n]*\n/;
const DATA_URL = /^data:[^,]*?(;base64)?,/;
/** A mapping of this source has none: code that no line stands for. */
const NO_SOURCE = -1;

/** Rows ascending by offset; row r holds from `offset[r]` until the next row's. */
export class SourceMap {
  private readonly offset: number[] = [];
  private readonly source: number[] = [];
  private readonly line: number[] = [];
  private readonly column: number[] = [];
  private readonly nameIndex: number[] = [];
  private readonly sources: string[] = [];
  private readonly names: string[] = [];

  private constructor(map: SourceMapObject) {
    if (Array.isArray(map.sections)) {
      for (const section of map.sections) {
        const isFirstLine = (section?.offset?.line ?? 0) === 0;
        if (isFirstLine && isObject(section?.map)) this.addMap(section.map, Number(section.offset?.column ?? 0));
      }
    } else this.addMap(map, 0);
    this.sort();
  }

  /** Decodes a map; null if it is no source map of version 3. */
  static of(map: SourceMapObject | string): SourceMap | null {
    const object = typeof map === "string" ? parseMapText(map) : map;
    return isObject(object) && object.version === 3 ? new SourceMap(object) : null;
  }

  /** The mapping that holds at byte `moduleOffset` of the module, or null. */
  at(moduleOffset: number): MappedPlace | null {
    let low = 0;
    let high = this.offset.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offset[middle] <= moduleOffset) low = middle + 1;
      else high = middle;
    }
    const row = low - 1;
    if (row < 0 || this.source[row] === NO_SOURCE) return null;
    return {
      moduleOffset: this.offset[row],
      file: this.sources[this.source[row]],
      line: this.line[row] + 1,
      column: this.column[row] + 1,
      name: this.names[this.nameIndex[row]] ?? null,
    };
  }

  /** Takes the first line of `map`, from byte `base` of the module on; a malformed number ends it. */
  private addMap(map: SourceMapObject, base: number): void {
    if (typeof map.mappings !== "string" || !Number.isFinite(base)) return;
    const firstSource = this.sources.length;
    const firstName = this.names.length;
    const root = typeof map.sourceRoot === "string" ? map.sourceRoot : "";
    for (const source of listOf(map.sources)) this.sources.push(joinRoot(root, source));
    for (const name of listOf(map.names)) this.names.push(String(name));
    const lineEnd = map.mappings.indexOf(";");
    const reader = new VlqReader(map.mappings, lineEnd < 0 ? map.mappings.length : lineEnd);
    let offset = base;
    let source = firstSource;
    let line = 0;
    let column = 0;
    let name = firstName;
    while (reader.nextSegment()) {
      if (!reader.hasNumber()) continue;
      offset += reader.number();
      let fields = 1;
      if (reader.hasNumber()) {
        source += reader.number();
        line += reader.number();
        column += reader.number();
        fields = 4;
      }
      if (reader.hasNumber()) {
        name += reader.number();
        fields = 5;
      }
      if (Number.isNaN(offset + source + line + column + name) || reader.hasNumber()) return;
      const isKnown = fields > 1 && source >= firstSource && source < this.sources.length && line >= 0 && column >= 0;
      this.offset.push(offset);
      this.source.push(isKnown ? source : NO_SOURCE);
      this.line.push(line);
      this.column.push(column);
      this.nameIndex.push(fields === 5 && name >= firstName ? name : -1);
    }
  }

  /** Mappings may come in any order; of two at one offset the later holds. */
  private sort(): void {
    const { offset } = this;
    if (offset.every((value, row) => row === 0 || offset[row - 1] <= value)) return;
    const order = [...offset.keys()].sort((a, b) => offset[a] - offset[b] || a - b);
    for (const rows of [offset, this.source, this.line, this.column, this.nameIndex]) {
      const sorted = order.map((row) => rows[row]);
      for (let row = 0; row < sorted.length; row++) rows[row] = sorted[row];
    }
  }
}

/** The text of a `data:` URL, in base64 or with escapes; null for any other `url`. */
export function readDataUrl(url: string): string | null {
  const match = DATA_URL.exec(url);
  if (match === null) return null;
  const body = url.slice(match[0].length);
  try {
    if (match[1] === undefined) return decodeURIComponent(body);
    return new TextDecoder().decode(Uint8Array.from(atob(body), (character) => character.charCodeAt(0)));
  } catch {
    return null;
  }
}

function parseMapText(text: string): unknown {
  const json = readDataUrl(text) ?? text;
  try {
    return JSON.parse(json.replace(SCRIPT_GUARD, ""));
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is SourceMapObject {
  return typeof value === "object" && value !== null;
}

function listOf<T>(value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? value : [];
}

function joinRoot(root: string, source: string | null): string {
  if (typeof source !== "string") return "";
  return root === "" ? source : `${root.replace(/\/+$/, "")}/${source}`;
}
