// Steps of scripts as the recorder reads them: one line each, with every argument in its place.
import { expect, test } from "vitest";
import { wordsOf } from "../../../../bench/conformance/native/words.ts";
import { parseScript, ScriptError } from "../../../../bench/conformance/script.ts";

function words(...steps: readonly object[]): string[] {
  const script = parseScript(
    JSON.stringify({ name: "made here", steps: steps.map((step) => ({ ...step, want: {} })) }),
  );
  return wordsOf(script).trimEnd().split("\n");
}

test("a step is a line: the op, the process, the arguments in the recorder's order", () => {
  expect(words({ op: "store", value: 7, addr: -8 }, { op: "fill", p: 2, addr: 4096, len: 5, value: 3 })).toEqual([
    "store 0 -8 7",
    "fill 2 4096 5 3",
  ]);
});

test("a mapping that is not kept has a dash for its name", () => {
  const map = { op: "mmap", addr: "0x0", len: 4096, prot: 3, flags: 34, fd: -1, off: 0 };
  expect(words(map, { ...map, keep: "A" }, { op: "load", addr: "$A+10" })).toEqual([
    "mmap 0 0x0 4096 3 34 -1 0 -",
    "mmap 0 0x0 4096 3 34 -1 0 A",
    "load 0 $A+10",
  ]);
});

test("a vector is its length and its pairs", () => {
  const step = {
    op: "process_vm_readv",
    target: 1,
    local: [[0, 8]],
    remote: [
      [4096, 4],
      [8192, 4],
    ],
    flags: 0,
  };
  expect(words(step)).toEqual(["process_vm_readv 0 1 0 1 0 8 2 4096 4 8192 4"]);
});

test("lengths up to 2^64 − 1 keep their digits", () => {
  const lengths = [2 ** 53, 2 ** 64 - 4096, 2 ** 64].map((len) => ({ op: "munmap", addr: 0, len }));
  expect(words(...lengths)).toEqual([
    "munmap 0 0 9007199254740992",
    "munmap 0 0 18446744073709547520",
    "munmap 0 0 18446744073709551615",
  ]);
});

test("what the recorder cannot take is a ScriptError", () => {
  expect(() => words({ op: "refpage_create" })).toThrow(ScriptError);
  expect(() => words({ op: "store", addr: 0 })).toThrow("store needs `value`");
});
