// Source maps of modules: decoding, the mapping that holds at an offset, and maps that make no sense.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDataUrl, SourceMap } from "../../../../../allocator/wasm/debug/source-map/source-map.ts";
import { mappingsOf } from "../bytes.ts";

/** As AssemblyScript's compiler writes them. */
const MAP = {
  version: 3,
  sources: ["assembly/index.ts", "~lib/rt/tlsf.ts"],
  names: ["sum", "malloc"],
  mappings: mappingsOf([[100, 0, 4, 2], [110, 0, 5, 10, 0], [120], [130, 1, 99, 0, 1]]),
};

describe("the mapping that holds", () => {
  const map = SourceMap.of(MAP)!;

  test("is the last one at or before the offset, with line and column from 1", () => {
    expect(map.at(100)).toEqual({ moduleOffset: 100, file: "assembly/index.ts", line: 5, column: 3, name: null });
    expect(map.at(109)).toEqual(map.at(100));
    expect(map.at(115)).toMatchObject({ line: 6, column: 11, name: "sum" });
    expect(map.at(4000)).toMatchObject({ file: "~lib/rt/tlsf.ts", line: 100, column: 1, name: "malloc" });
  });

  test("is null before the first, and where a mapping has no source", () => {
    expect([map.at(0), map.at(99), map.at(120), map.at(129)]).toEqual([null, null, null, null]);
  });
});

describe("a map is given", () => {
  const at100 = SourceMap.of(MAP)!.at(100);

  test("as JSON text, with the line that guards against its use as a script or without", () => {
    expect(SourceMap.of(JSON.stringify(MAP))!.at(100)).toEqual(at100);
    expect(SourceMap.of(`)]}'\n${JSON.stringify(MAP)}`)!.at(100)).toEqual(at100);
  });

  test("as a data: URL in base64 or with escapes", () => {
    expect(SourceMap.of(`data:application/json;base64,${btoa(JSON.stringify(MAP))}`)!.at(100)).toEqual(at100);
    expect(SourceMap.of(`data:application/json,${encodeURIComponent(JSON.stringify(MAP))}`)!.at(100)).toEqual(at100);
    expect(readDataUrl("data:application/json;charset=utf-8;base64,w6k=")).toBe("é");
    expect([readDataUrl("codec.wasm.map"), readDataUrl("data:;base64,%"), readDataUrl("data:,%")]).toEqual([
      null,
      null,
      null,
    ]);
  });

  test("as an index of maps, each from its offset on", () => {
    const sections = [
      { offset: { line: 0, column: 1000 }, map: MAP },
      { offset: { line: 0, column: 0 }, map: MAP },
    ];
    const map = SourceMap.of({ version: 3, sections })!;
    expect(map.at(1100)).toEqual({ ...at100, moduleOffset: 1100 });
    expect(map.at(105)).toEqual(at100);
  });

  test("with a root of its sources", () => {
    expect(SourceMap.of({ ...MAP, sourceRoot: "file:///src/" })!.at(100)!.file).toBe("file:///src/assembly/index.ts");
  });
});

test("the mapping found is the one a plain search finds, in any order of segments", () => {
  const segment = fc.tuple(fc.nat(300), fc.nat(2), fc.nat(1000), fc.nat(200));
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 40 }), fc.nat(320), (segments, offset) => {
      const map = SourceMap.of({ version: 3, sources: ["a", "b", "c"], mappings: mappingsOf(segments) })!;
      const holding = segments.reduce<readonly number[] | null>(
        (best, one) => (one[0] <= offset && (best === null || one[0] >= best[0]) ? one : best),
        null,
      );
      const expected =
        holding === null
          ? null
          : {
              moduleOffset: holding[0],
              file: "abc"[holding[1]],
              line: holding[2] + 1,
              column: holding[3] + 1,
              name: null,
            };
      expect(map.at(offset)).toEqual(expected);
    }),
  );
});

describe("what makes no sense", () => {
  test.each([null, 5, "", "{", "[]", "null", {}, { version: 2, mappings: "AAAA" }, "data:application/json;base64,!"])(
    "%j is no source map",
    (given) => {
      expect(SourceMap.of(given as string)).toBeNull();
    },
  );

  test("a malformed number ends the mappings; those before it hold", () => {
    const map = SourceMap.of({ ...MAP, mappings: `${mappingsOf([[10, 0, 1, 1]])},U*AA,UAAA` })!;
    expect(map.at(1000)).toMatchObject({ moduleOffset: 10, line: 2 });
  });

  test("a mapping whose source is not listed has none", () => {
    const map = SourceMap.of({
      ...MAP,
      mappings: mappingsOf([
        [10, 0, 1, 1],
        [20, 9, 1, 1],
      ]),
    })!;
    expect([map.at(15)?.file, map.at(25)]).toEqual(["assembly/index.ts", null]);
  });

  test("any fields of any kind give a map or none", () => {
    const field = fc.oneof(
      fc.jsonValue(),
      fc.string(),
      fc.array(fc.constantFrom(..."ACg+/;,9*"), { maxLength: 30 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(field, field, field, field, (mappings, sources, names, sections) => {
        const map = SourceMap.of(JSON.stringify({ version: 3, mappings, sources, names, sections }));
        const place = map?.at(20) ?? null;
        expect(place === null || typeof place.file === "string").toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
