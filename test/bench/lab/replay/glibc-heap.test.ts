// The model of glibc's malloc: blocks of any program stay apart and keep their contents; thresholds are glibc's.
// How close its memory is to the real one's is measured in docs/traces.md.
import fc from "fast-check";
import { expect, test } from "vitest";
import { GlibcHeap } from "../../../../bench/lab/replay/glibc-heap.ts";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

function make(): { heap: GlibcHeap; process: Process } {
  const process = new Kernel({ memoryBytes: 2 ** 26, mte: false }, { seed: 1 }).createProcess();
  return { heap: new GlibcHeap(process), process };
}

const size = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 300_000 }),
);
const step = fc.record({
  what: fc.constantFrom("malloc", "calloc", "memalign", "realloc", "free"),
  slot: fc.nat(15),
  size,
  alignment: fc.constantFrom(16, 64, 4096, 65536),
});

test("blocks never overlap, are aligned, keep their contents, and calloc's are zero", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { heap, process } = make();
      const blocks = new Map<number, { address: number; bytes: number; mark: number }>();
      let mark = 0;
      const fill = (address: number, bytes: number): number => {
        mark = (mark % 250) + 1;
        if (bytes > 0) process.memory.fill(address, mark, bytes);
        return mark;
      };
      const expectContents = (address: number, bytes: number, byte: number): void => {
        for (const offset of bytes === 0 ? [] : [0, bytes >> 1, bytes - 1]) {
          expect(process.memory.getUint8(address + offset)).toBe(byte);
        }
      };
      for (const { what, slot, size: bytes, alignment } of steps) {
        const block = blocks.get(slot);
        if (block !== undefined) expectContents(block.address, block.bytes, block.mark);
        if (what === "free" || (block !== undefined && what !== "realloc")) {
          if (block !== undefined) heap.free(block.address);
          blocks.delete(slot);
        } else if (block !== undefined) {
          const address = heap.realloc(block.address, bytes, block.bytes);
          expectContents(address, Math.min(bytes, block.bytes) === 0 ? 0 : 1, block.mark);
          blocks.set(slot, { address, bytes, mark: fill(address, bytes) });
        } else {
          const address =
            what === "calloc"
              ? heap.calloc(1, bytes)
              : what === "memalign"
                ? heap.memalign(alignment, bytes)
                : heap.malloc(bytes);
          expect(address % (what === "memalign" ? alignment : 16)).toBe(0);
          if (what === "calloc") expectContents(address, bytes, 0);
          blocks.set(slot, { address, bytes, mark: fill(address, bytes) });
        }
      }
      for (const { address, bytes, mark: byte } of blocks.values()) expectContents(address, bytes, byte);
    }),
  );
});

test("a freed small block is given out again for its size, without a system call", () => {
  const { heap, process } = make();
  const block = heap.malloc(100);
  heap.malloc(100);
  heap.free(block);
  const calls = process.kernel.counters.snapshot().systemCalls;
  expect(heap.malloc(104)).toBe(block);
  expect(process.kernel.counters.snapshot().systemCalls).toEqual(calls);
});

test("a block of the mmap threshold has a mapping of its own, and its free raises the threshold", () => {
  const { heap, process } = make();
  const mmaps = (): number => process.kernel.counters.snapshot().systemCalls.mmap ?? 0;
  heap.malloc(100);
  const before = mmaps();
  const block = heap.malloc(200_000);
  expect(mmaps()).toBe(before + 1);
  heap.free(block);
  heap.malloc(200_000);
  expect(mmaps()).toBe(before + 1);
});

test("a top of 128 KiB and more beyond its pad is given back", () => {
  const { heap, process } = make();
  const blocks = Array.from({ length: 10 }, () => heap.malloc(100_000));
  for (const block of blocks) process.memory.fill(block, 1, 100_000);
  const full = process.rssBytes;
  for (const block of blocks) heap.free(block);
  expect(full).toBeGreaterThan(1_000_000);
  expect(process.rssBytes).toBeLessThan(300_000);
});

test("freed neighbours become one block", () => {
  const { heap } = make();
  const first = heap.malloc(2000);
  const second = heap.malloc(2000);
  heap.malloc(2000);
  heap.free(first);
  heap.free(second);
  expect(heap.malloc(4000)).toBe(first);
});

test("the policy takes no fields", () => {
  expect(parsePolicy("glibc").allocator).toBe("glibc");
  expect(() => parsePolicy("glibc+fill=zero")).toThrow('policy "glibc+fill=zero": glibc\'s malloc has no fields');
});
