// The option hugePages: which advice a heap gives, and which memory becomes huge by it.
import { expect, test } from "vitest";
import { Heap, type HeapOptions } from "../../allocator/index.ts";
import { Kernel, type KernelOptions } from "../../platform/kernel/kernel.ts";

const MIB = 2 ** 20;
const LARGE = 8 * MIB;

/** KiB of huge pages after chunks were filled, and then perhaps collapsed, under a kernel with this setting. */
function hugeKib(options: HeapOptions, enabled: "always" | "madvise", bytes: number, chunks = 1, then = ""): number {
  const settings: KernelOptions = { hugePages: { enabled } };
  const heap = new Heap({ ...options, kernel: new Kernel({ memoryBytes: 128 * MIB, mte: false }, settings), seed: 1 });
  for (let at = 0; at < chunks; at++) heap.memory.fill(heap.malloc(bytes), 1, bytes);
  if (then === "collapse") heap.kernel.khugepaged(heap.process);
  const lines = [...heap.process.procfs("smaps").matchAll(/^AnonHugePages: +(\d+) kB$/gm)];
  return lines.reduce((sum, [, kib]) => sum + Number(kib), 0);
}

test("by itself a heap gives no advice, as Scudo: huge pages come only where the kernel needs none", () => {
  expect(hugeKib({}, "madvise", LARGE)).toBe(0);
  expect(hugeKib({}, "always", LARGE)).toBeGreaterThanOrEqual(6 * 1024);
});

test("never keeps all of a heap's memory small, under every setting of the kernel", () => {
  expect(hugeKib({ hugePages: "never" }, "always", LARGE)).toBe(0);
});

test("madvise makes large chunks huge, and nothing else", () => {
  expect(hugeKib({ hugePages: "madvise" }, "madvise", LARGE)).toBeGreaterThanOrEqual(6 * 1024);
  expect(hugeKib({ hugePages: "madvise" }, "madvise", 1000, 8000)).toBe(0);
});

test("always advises the regions of small chunks as well: they grow in steps, so that khugepaged is what makes them huge", () => {
  expect(hugeKib({ hugePages: "always" }, "madvise", 1000, 8000)).toBe(0);
  expect(hugeKib({ hugePages: "always" }, "madvise", 1000, 8000, "collapse")).toBeGreaterThan(0);
  expect(hugeKib({ hugePages: "madvise" }, "madvise", 1000, 8000, "collapse")).toBe(0);
});
