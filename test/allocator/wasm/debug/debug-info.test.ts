// The face of debug information: which source answers, and what is said where none does.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readModule } from "../../../../allocator/wasm/binary/read-module.ts";
import { DebugInfo } from "../../../../allocator/wasm/debug/debug-info.ts";
import type { CustomSection } from "../../../../allocator/wasm/debug/sections/custom-sections.ts";
import { mappingsOf, nameMap, section, text } from "./bytes.ts";
import { fixturePath, readFixture, sectionsOf } from "./fixtures.ts";

const { customSections, codeSectionOffset } = sectionsOf("program-O2-dwarf5");
/** An address in `run` where `load`, `cell_at` and `sum_of_row` are inlined, as recorded. */
const INLINED_ADDRESS = Number(
  /^(0x\w+) load .*< cell_at .*< sum_of_row .*< run /m.exec(
    readFileSync(fixturePath("program-O2-dwarf5.frames.txt"), "utf8"),
  )?.[1],
);
const RUN = 1;

const nameSection = (...names: readonly (readonly [number, string])[]): CustomSection => ({
  name: "name",
  bytes: Uint8Array.from(section(1, nameMap(names))),
});
const urlSection = (name: string, url: string): CustomSection => ({ name, bytes: Uint8Array.from(text(url)) });
const mapOf = (segments: readonly (readonly number[])[]) => ({
  version: 3,
  sources: ["assembly/index.ts"],
  names: ["named/by/map"],
  mappings: mappingsOf(segments),
});

describe("DWARF", () => {
  const info = DebugInfo.of(customSections, codeSectionOffset);

  test("answers for an offset in the module, innermost function first", () => {
    const frames = info.lookup(RUN, codeSectionOffset + INLINED_ADDRESS);
    expect(frames.map(({ functionName }) => functionName)).toEqual(["load", "cell_at", "sum_of_row", "run"]);
    expect(frames[0]).toEqual({
      functionName: "load",
      functionIndex: RUN,
      moduleOffset: codeSectionOffset + INLINED_ADDRESS,
      file: "/guest/matrix.h",
      line: 9,
      column: 10,
      isApproximate: false,
      isInlined: true,
    });
  });

  test("says that a line is approximate where the optimiser left none", () => {
    const approximate = Array.from(
      { length: 0x150 },
      (_, address) => info.lookup(RUN, codeSectionOffset + address)[0],
    ).filter((frame) => frame.isApproximate);
    expect(approximate.length).toBeGreaterThan(0);
    for (const { file, line, column } of approximate) {
      expect([file, column]).toEqual(["/guest/program.c", null]);
      expect(line).toBeGreaterThan(20);
    }
  });

  test("makes linkage names readable", () => {
    const shapes = sectionsOf("shapes-O1-dwarf5");
    const cpp = DebugInfo.of(shapes.customSections, shapes.codeSectionOffset);
    const names = Array.from({ length: 0x120 }, (_, address) => cpp.lookup(0, shapes.codeSectionOffset + address))
      .flat()
      .map(({ functionName }) => functionName);
    expect(names).toContain("geometry::(anonymous namespace)::counted(int)");
    expect(names).toContain("geometry::Box<int>::operator<(geometry::Box<int> const&) const");
  });

  test("of other code than the function's says nothing of it", () => {
    const module = readModule(readFixture("program-O2-dwarf5"));
    const body = RUN - module.importedFunctions;
    const offset = codeSectionOffset + INLINED_ADDRESS;
    const within = (startsLater: number, endsLater: number) => {
      const at = (value: number) => Array.from({ length: RUN + 1 }, (_, index) => (index === RUN ? value : 0));
      return DebugInfo.of(customSections, codeSectionOffset, {
        bodyOffsets: at(module.bodyStart[body] + startsLater),
        bodyEnds: at(module.bodyEnd[body] + endsLater),
      }).lookup(RUN, offset);
    };
    expect(within(0, 0)).toEqual(info.lookup(RUN, offset));
    for (const [start, end] of [
      [0, 1],
      [1, 0],
      [-40, 0],
      [2, 2],
    ]) {
      expect(within(start, end)).toEqual([
        expect.objectContaining({
          functionName: expect.stringMatching(/^(?:run|wasm-function\[1\])$/),
          file: null,
          line: null,
        }),
      ]);
    }
  });

  test("the same question again gives the same answer", () => {
    const frames = info.lookup(RUN, codeSectionOffset + INLINED_ADDRESS);
    for (let offset = 0; offset < 10_000; offset++) info.lookup(0, 1_000_000 + offset);
    expect(info.lookup(RUN, codeSectionOffset + INLINED_ADDRESS)).toEqual(frames);
  });

  describe("in another file", () => {
    const stripped = customSections.filter(({ name }) => !name.startsWith(".debug"));
    const buildId = (id: number): CustomSection => ({ name: "build_id", bytes: Uint8Array.of(1, id) });
    const withBuildId = (id: number) =>
      Uint8Array.from([...readFixture("program-O2-dwarf5"), ...section(0, [...text("build_id"), 1, id])]);

    test("answers as in the module itself", () => {
      const external = DebugInfo.of(
        [...stripped, urlSection("external_debug_info", "program.debug.wasm")],
        codeSectionOffset,
        {
          externalDwarf: readFixture("program-O2-dwarf5"),
        },
      );
      expect(external.externalDwarfUrl).toBe("program.debug.wasm");
      const offset = codeSectionOffset + INLINED_ADDRESS;
      expect(external.lookup(RUN, offset)).toEqual(info.lookup(RUN, offset));
    });

    test("of another build is not believed", () => {
      const lookup = (id: number) =>
        DebugInfo.of([...stripped, buildId(7)], codeSectionOffset, { externalDwarf: withBuildId(id) })
          .lookup(RUN, codeSectionOffset + INLINED_ADDRESS)
          .map(({ functionName }) => functionName);
      expect(lookup(7)).toEqual(["load", "cell_at", "sum_of_row", "run"]);
      expect(lookup(8)).toEqual(["run"]);
    });

    test("that is no module is unknown", () => {
      const external = DebugInfo.of(stripped, codeSectionOffset, { externalDwarf: Uint8Array.of(1, 2, 3) });
      expect(external.lookup(RUN, codeSectionOffset + INLINED_ADDRESS)).toMatchObject([
        { functionName: "run", file: null },
      ]);
    });
  });
});

describe("a source map", () => {
  const sections = [nameSection([4, "assembly/index/sum"]), urlSection("sourceMappingURL", "index.wasm.map")];

  test("gives file, line and column; the name section the function", () => {
    const info = DebugInfo.of(sections, 50, { sourceMap: mapOf([[100, 0, 4, 2, 0]]) });
    expect(info.sourceMapUrl).toBe("index.wasm.map");
    expect(info.lookup(4, 103)).toMatchObject([
      { functionName: "assembly/index/sum", file: "assembly/index.ts", line: 5, column: 3, isInlined: false },
    ]);
  });

  test("names the function where nothing else does", () => {
    const info = DebugInfo.of([], 50, { sourceMap: JSON.stringify(mapOf([[100, 0, 4, 2, 0]])) });
    expect(info.lookup(4, 103)[0].functionName).toBe("named/by/map");
  });

  test("that the module holds as a data: URL of any length is read", () => {
    const map = { ...mapOf([[100, 0, 4, 2]]), padding: "x".repeat(200_000) };
    const url = `data:application/json;base64,${btoa(JSON.stringify(map))}`;
    expect(DebugInfo.of([urlSection("sourceMappingURL", url)], 50).lookup(4, 103)[0].line).toBe(5);
  });

  test("that ends in an earlier function says nothing of this one", () => {
    const sourceMap = mapOf([[100, 0, 4, 2]]);
    expect(DebugInfo.of(sections, 50, { sourceMap, bodyOffsets: [0, 0, 0, 0, 110] }).lookup(4, 115)[0].file).toBeNull();
    expect(DebugInfo.of(sections, 50, { sourceMap, bodyOffsets: [0, 0, 0, 0, 100] }).lookup(4, 115)[0].line).toBe(5);
  });

  test("stands behind DWARF, and in for it where it knows no file", () => {
    const sourceMap = mapOf([[0, 0, 4, 2]]);
    const info = DebugInfo.of(customSections, codeSectionOffset, { sourceMap });
    expect(info.lookup(RUN, codeSectionOffset + INLINED_ADDRESS)[0].file).toBe("/guest/matrix.h");
    expect(info.lookup(RUN, codeSectionOffset + 100_000)[0].file).toBe("assembly/index.ts");
  });
});

describe("without source", () => {
  test("a function has its name from the name section, else the one given, else its index", () => {
    const functionNames = new Map([
      [1, "given"],
      [2, "_ZN3foo3barEv"],
    ]);
    const info = DebugInfo.of([nameSection([0, "named"], [1, ""])], 50, { functionNames });
    expect([0, 1, 2, 3].map((index) => info.functionName(index))).toEqual([
      "named",
      "given",
      "foo::bar()",
      "wasm-function[3]",
    ]);
    expect(info.lookup(3, 77)).toEqual([
      {
        functionName: "wasm-function[3]",
        functionIndex: 3,
        moduleOffset: 77,
        file: null,
        line: null,
        column: null,
        isApproximate: false,
        isInlined: false,
      },
    ]);
  });

  test("a module without custom sections has no names and no URLs", () => {
    const info = DebugInfo.of([], 0);
    expect([info.localName(0, 0), info.globalName(0), info.dataSegmentName(0)]).toEqual([null, null, null]);
    expect([info.sourceMapUrl, info.externalDwarfUrl]).toEqual([null, null]);
  });

  test("malformed sections of URLs have none", () => {
    const cut = { name: "sourceMappingURL", bytes: Uint8Array.of(200) };
    expect(DebugInfo.of([cut, { ...cut, name: "external_debug_info" }], 0).sourceMapUrl).toBeNull();
  });
});

test("nothing is read before the first question", () => {
  let reads = 0;
  const watched = customSections.map(({ name, bytes }) => ({
    name,
    get bytes() {
      reads++;
      return bytes;
    },
  }));
  const info = DebugInfo.of(watched, codeSectionOffset);
  expect(reads).toBe(0);
  info.lookup(RUN, codeSectionOffset + INLINED_ADDRESS);
  const readsOfFirst = reads;
  expect(readsOfFirst).toBeGreaterThan(0);
  info.lookup(RUN, codeSectionOffset + INLINED_ADDRESS + 1);
  expect(reads).toBe(readsOfFirst);
});
