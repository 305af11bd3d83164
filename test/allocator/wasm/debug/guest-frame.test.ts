// How a frame of the guest reads.
import { expect, test } from "vitest";
import { formatGuestFrame } from "../../../../allocator/wasm/debug/guest-frame.ts";

const FRAME = {
  functionName: "parse",
  functionIndex: 12,
  moduleOffset: 0x1a3,
  file: "src/codec.c",
  line: 12,
  column: 5,
  isApproximate: false,
  isInlined: false,
};

test.each([
  ["with its place", {}, "at parse (src/codec.c:12:5)"],
  ["without column", { column: null }, "at parse (src/codec.c:12)"],
  ["without line", { line: null, column: null }, "at parse (src/codec.c)"],
  ["inlined", { isInlined: true }, "at parse (src/codec.c:12:5) [inlined]"],
  ["near its line", { column: null, isApproximate: true }, "at parse (src/codec.c:12) [approximate line]"],
  ["without source", { file: null, line: null, column: null }, "at parse (wasm-function[12]:0x1a3)"],
  ["without name", { functionName: "wasm-function[12]", file: null, line: null }, "at wasm-function[12]:0x1a3"],
])("a frame %s", (_, fields, expected) => {
  expect(formatGuestFrame({ ...FRAME, ...fields })).toBe(expected);
});

test("a stable frame has neither folder nor numbers that an edit would change", () => {
  const stable = { stable: true };
  expect(formatGuestFrame(FRAME, stable)).toBe("at parse (codec.c)");
  expect(formatGuestFrame({ ...FRAME, file: "C:\\src\\codec.c" }, stable)).toBe("at parse (codec.c)");
  expect(formatGuestFrame({ ...FRAME, file: null, line: null }, stable)).toBe("at parse");
  expect(formatGuestFrame({ ...FRAME, functionName: "wasm-function[12]", file: null, line: null }, stable)).toBe(
    "at wasm-function[12]",
  );
});
