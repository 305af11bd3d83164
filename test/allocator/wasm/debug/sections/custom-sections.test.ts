// Custom sections found in a module, whole or cut short.
import { expect, test } from "vitest";
import { scanCustomSections } from "../../../../../allocator/wasm/debug/sections/custom-sections.ts";
import { moduleOf, section, text } from "../bytes.ts";

const custom = (name: string, contents: readonly number[]) => section(0, [...text(name), ...contents]);

test("each custom section comes with its contents behind the name, in order", () => {
  const { customSections } = scanCustomSections(moduleOf(custom("a", [1, 2]), section(1, [0]), custom("b", [])));
  expect(customSections.map(({ name, bytes }) => [name, [...bytes]])).toEqual([
    ["a", [1, 2]],
    ["b", []],
  ]);
});

test("the Code section's offset is that of its contents, behind id and size", () => {
  expect(scanCustomSections(moduleOf(custom("a", [1]), section(10, [0]))).codeSectionOffset).toBe(8 + 5 + 2);
  expect(scanCustomSections(moduleOf(custom("a", [1]))).codeSectionOffset).toBe(-1);
});

test("a file that is no module has no sections", () => {
  for (const bytes of [[], [0, 0x61, 0x73], [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0]]) {
    expect(scanCustomSections(Uint8Array.from(bytes))).toEqual({ customSections: [], codeSectionOffset: -1 });
  }
});

test("sections before a fault are kept", () => {
  const whole = moduleOf(custom("a", [1, 2]), custom("b", [3, 4, 5]));
  for (let length = whole.length - 1; length > 14; length--) {
    const { customSections } = scanCustomSections(whole.subarray(0, length));
    expect(customSections.map(({ name }) => name)).toEqual(["a"]);
  }
  const { customSections } = scanCustomSections(moduleOf(custom("a", []), [0, 0xff, 0xff, 0xff, 0xff, 0x0f]));
  expect(customSections.map(({ name }) => name)).toEqual(["a"]);
});
