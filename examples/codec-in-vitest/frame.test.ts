// Tests of the codec in frame.ts, with a heap each: what a checker finds fails them, without a line about it.
import { expect, test } from "refheap/vitest";
import { decode, encode, kindOf } from "./frame.ts";

test("a frame is read as it was written, and nothing leaks", ({ heap }) => {
  const frame = encode(heap, 1, "grüezi");
  expect(decode(heap, frame)).toBe("grüezi");
  heap.free(frame);
});

test("kindOf reads the padding", ({ heap }) => {
  const frame = encode(heap, 1, "grüezi");
  expect(() => kindOf(heap, frame)).toReadUninitialised({ functionName: "kindOf", firstUndefinedOffset: 1 });
  heap.free(frame);
});
