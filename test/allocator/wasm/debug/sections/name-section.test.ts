// The name section: what it names, and what is left of it when it is malformed.
import fc from "fast-check";
import { expect, test } from "vitest";
import { NameSection } from "../../../../../allocator/wasm/debug/sections/name-section.ts";
import { nameMap, section, text, uleb } from "../bytes.ts";

const locals = [
  ...uleb(2),
  ...uleb(3),
  ...nameMap([
    [0, "first"],
    [2, "third"],
  ]),
  ...uleb(5),
  ...nameMap([[1, "x"]]),
];
const whole = Uint8Array.from([
  ...section(0, text("codec")),
  ...section(
    1,
    nameMap([
      [3, "parse"],
      [700, "größe"],
      [5, ""],
    ]),
  ),
  ...section(2, locals),
  ...section(7, nameMap([[0, "__stack_pointer"]])),
  ...section(9, nameMap([[1, ".rodata"]])),
]);

test("functions, locals, globals and data segments have their names by index", () => {
  const names = new NameSection(whole);
  expect(names.moduleName()).toBe("codec");
  expect([3, 700, 5, 4].map((index) => names.functionName(index))).toEqual(["parse", "größe", "", null]);
  expect([0, 1, 2].map((index) => names.localName(3, index))).toEqual(["first", null, "third"]);
  expect([names.localName(5, 1), names.localName(4, 0)]).toEqual(["x", null]);
  expect([names.globalName(0), names.globalName(1)]).toEqual(["__stack_pointer", null]);
  expect([names.dataSegmentName(1), names.dataSegmentName(0)]).toEqual([".rodata", null]);
});

test("subsections of unknown kinds are passed over", () => {
  const names = new NameSection(Uint8Array.from([...section(11, [9, 9]), ...section(1, nameMap([[0, "f"]]))]));
  expect(names.functionName(0)).toBe("f");
});

test("a fault in a subsection costs what follows it there, and no other subsection", () => {
  const broken = [...uleb(1000), ...uleb(1), ...text("kept"), ...uleb(2), 200];
  const names = new NameSection(Uint8Array.from([...section(1, broken), ...section(7, nameMap([[0, "global"]]))]));
  expect([names.functionName(1), names.functionName(2), names.globalName(0)]).toEqual(["kept", null, "global"]);
});

test("bytes that are no UTF-8 become replacement characters", () => {
  const names = new NameSection(Uint8Array.from(section(1, [1, 0, 2, 0xff, 0x41])));
  expect(names.functionName(0)).toBe("\ufffdA");
});

test("a section cut short anywhere names what is left and nothing else", () => {
  for (let length = 0; length < whole.length; length++) {
    const names = new NameSection(whole.subarray(0, length));
    expect([null, "parse"]).toContain(names.functionName(3));
    expect([null, "third"]).toContain(names.localName(3, 2));
    expect([null, ".rodata"]).toContain(names.dataSegmentName(1));
  }
});

test("a section of any bytes names texts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, index) => {
      const names = new NameSection(bytes);
      const found = [names.functionName(index), names.localName(index, 0), names.globalName(index), names.moduleName()];
      expect(found.every((name) => name === null || typeof name === "string")).toBe(true);
    }),
  );
});
