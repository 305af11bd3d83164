// Errors that answer a wrong argument: their trace begins in the program, as that of faults and reports does.
import { expect, test } from "vitest";
import { openHeap } from "../open-heap.ts";

const heap = openHeap({ uninitialised: "byte" });
const view = heap.view(heap.malloc(8), 8);

const wrong: [string, () => unknown][] = [
  ["a size", () => heap.malloc(-1)],
  ["a size of another type", () => heap.malloc("8" as never)],
  ["a pointer", () => heap.free(1.5)],
  ["an address with a fraction", () => heap.memory.getUint8(1.5)],
  ["an offset of a view", () => view.getUint32(6)],
  ["an offset of a list of bytes", () => view.bytes.set([1, 2], 7)],
  ["the buffer that a view has not", () => view.buffer],
  ["a layout", () => heap.struct({ a: "uint7" as never })],
];

test.each(wrong)("%s: no frame of the library stands in the trace", (_what, act) => {
  let stack = "";
  try {
    act();
  } catch (error) {
    stack = (error as Error).stack ?? "";
  }
  const [, first] = stack.split(/\n\s+at /);
  expect(first).toContain("argument-errors.test.ts");
  expect(stack).not.toMatch(/\/(?:allocator|platform)\/(?!.*\.test\.ts).*\.ts:/);
});
