// Frames of the fixtures at every address of their code, as recorded from llvm-symbolizer, and a few of them in words.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { codeLength, dwarfOf, fixturePath, PROGRAMS, type Program, readFixture } from "../fixtures.ts";
import { framesByUs } from "../symbolizer.ts";

function everyAddress(program: Program): number[] {
  return Array.from({ length: codeLength(readFixture(program)) - 1 }, (_, index) => 1 + index);
}

test.each(PROGRAMS)("every address of %s has the frames recorded", (program) => {
  const recorded = readFileSync(fixturePath(`${program}.frames.txt`), "utf8");
  expect(framesByUs(dwarfOf(readFixture(program)), everyAddress(program))).toBe(recorded);
});

/** The source line, from the line's text. */
function lineWith(source: string, text: string): number {
  const lines = readFileSync(fixturePath(source), "utf8").split("\n");
  return lines.findIndex((line) => line.includes(text)) + 1;
}

describe.each(["program-O2-dwarf4", "program-O2-dwarf5"] as const)("%s", (program) => {
  const dwarf = dwarfOf(readFixture(program));
  const all = everyAddress(program).map((address) => dwarf.framesAt(address));

  test("a function inlined three deep has its callers' frames, each at its call", () => {
    const deepest = all.find((frames) => frames[0]?.functionName === "load" && frames.length === 4)!;
    expect(deepest.map(({ functionName }) => functionName)).toEqual(["load", "cell_at", "sum_of_row", "run"]);
    expect(deepest.map(({ isInlined }) => isInlined)).toEqual([true, true, true, false]);
    expect(deepest.map(({ file }) => file)).toEqual(["/guest/matrix.h", ...Array(3).fill("/guest/program.c")]);
    expect(deepest.slice(1).map(({ line }) => line)).toEqual([
      lineWith("program.c", "return load("),
      lineWith("program.c", "sum += cell_at"),
      lineWith("program.c", "int sum = sum_of_row"),
    ]);
  });

  test("nothing stands in a function that the linker removed", () => {
    const names = all.flatMap((frames) => frames.map(({ functionName }) => functionName));
    expect(names).toContain("fill");
    expect(names).not.toContain("removed_by_the_linker");
  });

  test("an address outside the code is unknown", () => {
    for (const address of [
      -1,
      0,
      codeLength(readFixture(program)),
      2 ** 31,
      0xfffffffe,
      0xffffffff,
      2 ** 40,
      Number.NaN,
    ]) {
      expect(dwarf.framesAt(address)).toEqual([]);
    }
  });
});

test("a C++ function is named by its linkage name", () => {
  const dwarf = dwarfOf(readFixture("shapes-O1-dwarf5"));
  const names = everyAddress("shapes-O1-dwarf5").flatMap((address) =>
    dwarf.framesAt(address).map(({ functionName }) => functionName),
  );
  expect(names).toContain("_ZNK8geometry3BoxIiEltERKS1_");
  expect(names).toContain("_ZN8geometry12_GLOBAL__N_17countedEi");
});
