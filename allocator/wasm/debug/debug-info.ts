// What a module tells of its source, behind one face: names, DWARF and source maps, asked by function and byte offset.
// Nothing is read before the first question; what is malformed is unknown, and no question throws.

import { readName } from "./demangle/read-names.ts";
import { Dwarf, type DwarfFrame } from "./dwarf/dwarf.ts";
import { collectDwarfSections } from "./dwarf/sections.ts";
import { type GuestFrame, nameOfIndex } from "./guest-frame.ts";
import { ByteReader, MalformedDebugData } from "./sections/byte-reader.ts";
import { type CustomSection, scanCustomSections } from "./sections/custom-sections.ts";
import { NameSection } from "./sections/name-section.ts";
import { type MappedPlace, SourceMap, type SourceMapObject } from "./source-map/source-map.ts";

export interface DebugInfoOptions {
  /**
   * Bytes of the file that the module's `external_debug_info` section names (Emscripten's `-gseparate-dwarf`): a module of
   * the same code with the DWARF in it. Ignored if both tell a build id and these differ. Default: none.
   */
  readonly externalDwarf?: Uint8Array;
  /** The source map as an object, as its JSON text or as a `data:` URL. Default: the module's own, if that is a `data:` URL. */
  readonly sourceMap?: SourceMapObject | string;
  /** Names by function index, for functions that the name section leaves out: of exports and imports. Default: none. */
  readonly functionNames?: ReadonlyMap<number, string>;
  /**
   * Byte offset in the module of each function's body, by function index; what is 0 or missing is not known. With it a source
   * map that knows nothing of a function is not taken to speak of it when it ends in an earlier one. Default: none.
   */
  readonly bodyOffsets?: ArrayLike<number>;
  /**
   * Where each function's body ends, likewise. With both, DWARF whose function there begins or ends elsewhere is known to be of other
   * code, which a tool has changed since, and says nothing of this function. Default: none.
   */
  readonly bodyEnds?: ArrayLike<number>;
}

/** Answers that are kept, so that a report of the same place costs a look-up; then the memory starts anew. */
const KEPT_ANSWERS = 4096;

export class DebugInfo {
  private readonly customSections: readonly CustomSection[];
  private readonly codeSectionOffset: number;
  private readonly options: DebugInfoOptions;
  private readonly answers = new Map<number, readonly GuestFrame[]>();
  private knownNames: NameSection | null = null;
  private knownDwarf: Dwarf | null | undefined;
  private knownSourceMap: SourceMap | null | undefined;

  private constructor(sections: readonly CustomSection[], codeSectionOffset: number, options: DebugInfoOptions) {
    this.customSections = sections;
    this.codeSectionOffset = codeSectionOffset;
    this.options = options;
  }

  /**
   * The debug information of a module.
   * @param customSections its custom sections, in order; the bytes must not change later
   * @param codeSectionOffset where the Code section's contents start in the module, in bytes: behind its id and size
   */
  static of(
    customSections: readonly CustomSection[],
    codeSectionOffset: number,
    options: DebugInfoOptions = {},
  ): DebugInfo {
    return new DebugInfo(customSections, codeSectionOffset, options);
  }

  /** The file that `external_debug_info` names, as the linker wrote it; null if there is none. */
  get externalDwarfUrl(): string | null {
    return this.urlIn("external_debug_info");
  }

  /** What the `sourceMappingURL` section names: a URL, most often relative to the module's own; null if there is none. */
  get sourceMapUrl(): string | null {
    return this.urlIn("sourceMappingURL");
  }

  /**
   * The frames of the instruction at byte `moduleOffset` of the module as it was given: the function that the source line is in,
   * then those that it is inlined into; at least one. Names and places are the compiler's, else the name section's and the
   * given ones, else `wasm-function[12]` and no place.
   */
  lookup(functionIndex: number, moduleOffset: number): readonly GuestFrame[] {
    const known = this.answers.get(moduleOffset);
    if (known !== undefined && known[0].functionIndex === functionIndex) return known;
    const frames = this.find(functionIndex, moduleOffset);
    if (this.answers.size >= KEPT_ANSWERS) this.answers.clear();
    this.answers.set(moduleOffset, frames);
    return frames;
  }

  /** The function's readable name by the name section, else by the names given, else `wasm-function[12]`. */
  functionName(functionIndex: number): string {
    return this.givenName(functionIndex) ?? nameOfIndex(functionIndex);
  }

  /**
   * By DWARF alone: the name, as the linker knows it, of the function whose body is bytes `[start, end)` of the module; null where
   * DWARF has no such function. wasm-opt without -g drops names and leaves DWARF as it was, of code that has moved since.
   */
  compiledName(start: number, end: number): string | null {
    const { codeSectionOffset } = this;
    return this.dwarf()?.functionOf(start - codeSectionOffset, end - codeSectionOffset) ?? null;
  }

  /** The name of a function's parameter or local, or null. */
  localName(functionIndex: number, localIndex: number): string | null {
    return this.names().localName(functionIndex, localIndex);
  }

  globalName(globalIndex: number): string | null {
    return this.names().globalName(globalIndex);
  }

  dataSegmentName(segmentIndex: number): string | null {
    return this.names().dataSegmentName(segmentIndex);
  }

  private find(functionIndex: number, moduleOffset: number): GuestFrame[] {
    const own = { functionIndex, moduleOffset, isApproximate: false };
    const chain = this.isStale(functionIndex) ? [] : this.compiledFrames(moduleOffset);
    const mapped = chain.some(({ file }) => file !== null) ? null : this.mappedPlace(functionIndex, moduleOffset);
    if (mapped !== null) {
      const { file, line, column } = mapped;
      const functionName = this.givenName(functionIndex) ?? mapped.name ?? nameOfIndex(functionIndex);
      return [{ ...own, functionName: readName(functionName), file, line, column, isInlined: false }];
    }
    if (chain.length === 0) {
      const functionName = this.functionName(functionIndex);
      return [{ ...own, functionName, file: null, line: null, column: null, isInlined: false }];
    }
    return chain.map((frame) => ({ ...own, ...frame, functionName: this.nameOfFrame(frame, functionIndex) }));
  }

  private compiledFrames(moduleOffset: number): readonly DwarfFrame[] {
    return this.dwarf()?.framesAt(moduleOffset - this.codeSectionOffset) ?? [];
  }

  /** Whether DWARF speaks of other code than the function's. */
  private isStale(functionIndex: number): boolean {
    const { bodyOffsets, bodyEnds } = this.options;
    const start = bodyOffsets?.[functionIndex] ?? 0;
    const end = bodyEnds?.[functionIndex] ?? 0;
    if (start === 0 || end === 0) return false;
    const { codeSectionOffset } = this;
    return this.dwarf()?.isOfOtherCode(start - codeSectionOffset, end - codeSectionOffset) ?? false;
  }

  private nameOfFrame({ functionName, isInlined }: DwarfFrame, functionIndex: number): string {
    if (functionName !== null) return readName(functionName);
    return isInlined ? "inlined function" : this.functionName(functionIndex);
  }

  private givenName(functionIndex: number): string | null {
    const name = this.names().functionName(functionIndex) || this.options.functionNames?.get(functionIndex);
    return name ? readName(name) : null;
  }

  private mappedPlace(functionIndex: number, moduleOffset: number): MappedPlace | null {
    const place = this.sourceMap()?.at(moduleOffset) ?? null;
    const bodyOffset = this.options.bodyOffsets?.[functionIndex] ?? 0;
    return place === null || place.moduleOffset < bodyOffset ? null : place;
  }

  private names(): NameSection {
    this.knownNames ??= new NameSection(this.section("name") ?? new Uint8Array(0));
    return this.knownNames;
  }

  private dwarf(): Dwarf | null {
    if (this.knownDwarf === undefined) {
      const sections = collectDwarfSections(this.customSections) ?? collectDwarfSections(this.externalSections());
      this.knownDwarf = sections === null ? null : new Dwarf(sections);
    }
    return this.knownDwarf;
  }

  /** Custom sections of the other file, unless its build id shows that it belongs to another module. */
  private externalSections(): readonly CustomSection[] {
    const { externalDwarf } = this.options;
    if (externalDwarf === undefined) return [];
    const { customSections } = scanCustomSections(externalDwarf);
    const ours = this.section("build_id");
    const theirs = customSections.find(({ name }) => name === "build_id")?.bytes;
    const isOther = ours !== undefined && theirs !== undefined && String(ours) !== String(theirs);
    return isOther ? [] : customSections;
  }

  private sourceMap(): SourceMap | null {
    if (this.knownSourceMap === undefined) {
      const own = this.sourceMapUrl;
      const map = this.options.sourceMap ?? (own?.startsWith("data:") ? own : null);
      this.knownSourceMap = map === null ? null : SourceMap.of(map);
    }
    return this.knownSourceMap;
  }

  private section(name: string): Uint8Array | undefined {
    return this.customSections.find((section) => section.name === name)?.bytes;
  }

  /** The one string that a section holds; null where there is none. */
  private urlIn(name: string): string | null {
    const bytes = this.section(name);
    if (bytes === undefined) return null;
    try {
      return new ByteReader(bytes).text();
    } catch (error) {
      if (!(error instanceof MalformedDebugData)) throw error;
      return null;
    }
  }
}
