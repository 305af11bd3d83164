// Calls that are refused, or stopped by a report about something else: what was refused has changed nothing, what was done is done
// whole. Locked memory, disabled heaps, damaged large headers, reports that arrive late. Missing frames: failures-families.test.ts.
import { describe, expect, test } from "vitest";
import { HeapError } from "../../allocator/common/heap-error.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { MCL_CURRENT, MCL_FUTURE } from "../../platform/kernel/abi/mman.ts";
import { RLIMIT_MEMLOCK } from "../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { kindOf, type OpenHeap, openHeap } from "./open-heap.ts";

const LARGE = 200_000;
const RAM = { memoryBytes: 2 ** 26 };
const quarantine = { sizeKb: 8, threadLocalSizeKb: 4, maxChunkSize: 4096 };

const families: Record<string, HeapOptions> = {
  plain: {},
  pattern: { fill: "pattern" },
  tagged: { tagging: "sync" },
  "tagged, asynchronous": { tagging: "async" },
  "by pages": { uninitialised: "page" },
  "by bytes": { uninitialised: "byte" },
};

function filled(heap: OpenHeap, size: number, mark = 0x5a): number {
  const pointer = heap.malloc(size);
  heap.memory.fill(pointer, mark, size);
  return pointer;
}

function expectFilled(heap: OpenHeap, pointer: number, size: number, mark = 0x5a): void {
  expect(heap.malloc_usable_size(pointer)).toBe(size);
  for (const at of [0, size >> 1, size - 1]) expect(heap.memory.getUint8(pointer + at)).toBe(mark);
}

describe.each(Object.entries(families))("a heap (%s)", (_, options) => {
  test.each([100, 5000, LARGE])(
    "that is disabled refuses free and realloc of %i bytes, and the chunk stays as it was",
    (size) => {
      for (const more of [{}, { quarantine }]) {
        const heap = openHeap({ ...options, ...more });
        const pointer = filled(heap, size);
        const other = filled(heap, 50);
        heap.malloc_disable();
        expect(kindOf(() => heap.free(pointer))).toBe("deadlock");
        expect(kindOf(() => heap.realloc(pointer, 3 * size))).toBe("deadlock");
        if (size === LARGE) expect(kindOf(() => heap.realloc(pointer, 140_000))).toBe("deadlock");
        heap.malloc_enable();
        expectFilled(heap, pointer, size);
        expectFilled(heap, other, 50);
        heap.free(pointer);
        heap.free(other);
        heap.releaseToOS("force-all");
        expect(heap.checkInvariants().allocatedChunks).toBe(0);
      }
    },
  );

  test("whose large header was written over says so out of free, realloc and malloc_usable_size, and goes on", () => {
    for (const word of [48, 40, 32, 24, 16, 8]) {
      // A size of the reservation that is wrong by whole pages could be right: nothing else says what it was.
      for (const value of [1, 0x7fff_fff8, -8, ...(word === 8 ? [] : [4096])]) {
        const heap = openHeap(options);
        const [before, subject, after] = [filled(heap, LARGE), filled(heap, LARGE), filled(heap, LARGE)];
        const { memory, secondary } = heap.parts;
        const block = heap.parts.untag(subject) - 16;
        const place = block - word;
        const kept = memory.getInt32(place);
        const usable = heap.malloc_usable_size(subject);
        memory.setInt32(place, kept + value);
        const frees = secondary.frees;
        for (const act of [() => heap.free(subject), () => heap.realloc(subject, 2 * LARGE)]) {
          // A link that leads nowhere is a fault, as in Scudo.
          if (word >= 40) expect(act).toThrow(/unmap failure|SEGV/);
          else expect(kindOf(act)).toBe("unmap-failed");
        }
        // The size of a chunk does not depend on links.
        if (word >= 40) expect(heap.malloc_usable_size(subject)).toBe(usable);
        else expect(kindOf(() => heap.malloc_usable_size(subject))).toBe("unmap-failed");
        expect(secondary.frees).toBe(frees);
        memory.setInt32(place, kept);
        for (const pointer of [before, subject, after]) expectFilled(heap, pointer, LARGE);
        for (const pointer of [before, subject, after]) heap.free(pointer);
        expect(heap.checkInvariants().allocatedChunks).toBe(0);
      }
    }
  });

  test("calls a second free of a large chunk its state, while the mapping is cached", () => {
    for (const releaseToOSIntervalMs of [-1, 0, 5000]) {
      const heap = openHeap({ ...options, releaseToOSIntervalMs });
      const pointer = filled(heap, LARGE);
      heap.free(pointer);
      for (const act of [
        () => heap.free(pointer),
        () => heap.realloc(pointer, 300_000),
        () => heap.realloc(pointer, 10),
        () => heap.malloc_usable_size(pointer),
      ]) {
        expect(kindOf(act)).toBe("invalid-state");
      }
      heap.free(filled(heap, LARGE));
      heap.checkInvariants();
    }
  });

  test.each([
    ["MCL_CURRENT", MCL_CURRENT],
    ["MCL_FUTURE", MCL_FUTURE],
    ["both", MCL_CURRENT | MCL_FUTURE],
  ])("in locked memory (%s) frees, zeroes, purges and releases as elsewhere", (_name, flags) => {
    for (const releaseToOSIntervalMs of [0, 5000]) {
      const shadow = options.uninitialised === "byte";
      const kernel = createKernel({ ...RAM, shadow });
      const process = kernel.createProcess();
      const heap = openHeap({ ...options, fillOnFree: true, releaseToOSIntervalMs, process });
      const early = [100, 20_000, LARGE].map((size) => filled(heap, size));
      heap.free(filled(heap, 2 * LARGE));
      process.setrlimit(RLIMIT_MEMLOCK, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
      process.mlockall(flags);
      const late = [100, 20_000, LARGE, 2 * LARGE].map((size) => filled(heap, size));
      const zeroed = heap.calloc(1, LARGE);
      for (const at of [0, 100_000, LARGE - 1]) expect(heap.memory.getUint8(zeroed + at)).toBe(0);
      expectFilled(heap, early[2], LARGE);
      for (const pointer of [...early, ...late, zeroed]) heap.free(pointer);
      const again = heap.calloc(1, LARGE);
      for (const at of [0, 100_000, LARGE - 1]) expect(heap.memory.getUint8(again + at)).toBe(0);
      heap.free(heap.realloc(again, 2 * LARGE));
      for (let i = 0; i < 200; i++) heap.free(filled(heap, 3000));
      for (const kind of ["normal", "force", "force-all"] as const) heap.releaseToOS(kind);
      expect(heap.mallopt(-101, 0)).toBe(1);
      expect(heap.checkInvariants().allocatedChunks).toBe(0);
      process.exit(0);
      kernel.checkInvariants();
    }
  });

  test("whose process may lock no more reports a failed map where malloc needs one, and nothing is left behind", () => {
    const kernel = createKernel({ ...RAM, shadow: options.uninitialised === "byte" });
    const process = kernel.createProcess();
    const heap = openHeap({ ...options, process });
    const kept = [filled(heap, 100), filled(heap, LARGE)];
    // Where freed chunks wait, they do so in a block of their own kind, which a free may have to map.
    heap.free(filled(heap, 50));
    process.setrlimit(RLIMIT_MEMLOCK, 16 * 4096);
    process.mlockall(MCL_FUTURE);
    const maps = process.procfs("maps");
    let error: unknown;
    try {
      heap.malloc(3 * LARGE);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(HeapError);
    expect((error as HeapError).message).toContain(
      "internal map failure (error desc=Resource temporarily unavailable)",
    );
    expect(process.procfs("maps")).toBe(maps);
    expectFilled(heap, kept[0], 100);
    for (const pointer of kept) heap.free(pointer);
    heap.checkInvariants();
  });
});

describe("reports that arrive late", () => {
  test.each([100, 5000, LARGE])(
    "an asynchronous mismatch is reported before a free of %i bytes, which then can be made",
    (size) => {
      for (const more of [{}, { quarantine }, { releaseToOSIntervalMs: 0 }]) {
        const heap = openHeap({ tagging: "async", ...more });
        const [pointer, other] = [filled(heap, size), filled(heap, 64)];
        heap.memory.setUint8(other + 64, 1);
        const kind = kindOf(() => heap.free(pointer));
        // A small free with nothing to release makes no system call, so that the report waits for the next one.
        if (kind === "no report") expect(size).toBeLessThan(LARGE);
        else {
          expect(kind).toBe("tag-fault");
          expectFilled(heap, pointer, size);
          heap.free(pointer);
        }
        expect(kindOf(() => heap.releaseToOS("force-all"))).toBe(kind === "no report" ? "tag-fault" : "no report");
        heap.free(other);
        heap.releaseToOS("force-all");
        expect(heap.checkInvariants()).toMatchObject({ allocatedChunks: 0, quarantinedChunks: 0 });
      }
    },
  );

  test("an asynchronous mismatch is reported before a realloc, which then can be made", () => {
    for (const [from, to] of [
      [100, 3000],
      [2000, LARGE],
      [LARGE, 2 * LARGE],
      [LARGE, 140_000],
      [LARGE, 100],
    ]) {
      const heap = openHeap({ tagging: "async" });
      const [pointer, other] = [filled(heap, from), filled(heap, 64)];
      heap.memory.setUint8(other + 64, 1);
      expect(kindOf(() => heap.realloc(pointer, to))).toBe("tag-fault");
      expectFilled(heap, pointer, from);
      const moved = heap.realloc(pointer, to);
      expect(heap.memory.getUint8(moved)).toBe(0x5a);
      heap.free(moved);
      heap.free(other);
      expect(heap.checkInvariants().allocatedChunks).toBe(0);
    }
  });

  test("a free that meets a damaged chunk in the quarantine has freed its own, and marked it, before the report", () => {
    const roomy = { sizeKb: 64, threadLocalSizeKb: 32, maxChunkSize: 4096 };
    const heap = openHeap({ uninitialised: "byte", quarantine: roomy, stacks: true });
    const damaged = filled(heap, 1000);
    heap.free(damaged);
    heap.parts.memory.setInt32(damaged - 16, 0x1234);
    const chunks = Array.from({ length: 200 }, () => filled(heap, 1000));
    let reported = -1;
    for (const [index, pointer] of chunks.entries()) {
      if (kindOf(() => heap.free(pointer)) === "no report") continue;
      reported = index;
      break;
    }
    expect(reported).toBeGreaterThan(0);
    const findings = heap.checker.findings.length;
    heap.memory.getUint8(chunks[reported] + 8);
    expect(heap.checker.findings.length).toBe(findings + 1);
    expect(heap.checker.findings.at(-1)?.block?.state).toBe("freed");
    expect(kindOf(() => heap.free(chunks[reported]))).toBe("invalid-state");
    const left = chunks.length - reported - 1;
    const { definitely, indirectly, possibly, reachable } = heap.checker.leakCheck();
    expect(definitely.blocks + indirectly.blocks + possibly.blocks + reachable.blocks).toBe(left);
    expect(heap.checkInvariants().allocatedChunks - heap.checkInvariants().quarantineBatches).toBe(left);
  });
});

describe("exactUsableSize: false", () => {
  test.each([100, 5000, 40_000, LARGE])(
    "realloc of %i bytes keeps every byte that malloc_usable_size promised",
    (size) => {
      for (const largeRealloc of ["mremap", "copy"] as const) {
        for (const fill of ["none", "zero", "pattern"] as const) {
          for (const to of [size + 10, 2 * size, 4 * size, size - 30]) {
            const heap = openHeap({ exactUsableSize: false, largeRealloc, fill });
            const pointer = heap.malloc(size);
            const usable = heap.malloc_usable_size(pointer);
            expect(usable).toBeGreaterThanOrEqual(size);
            heap.memory.fill(pointer, 0x33, usable);
            const moved = heap.realloc(pointer, to);
            const bytes = heap.memory.read(moved, Math.min(usable, to));
            expect(bytes.every((byte) => byte === 0x33)).toBe(true);
          }
        }
      }
    },
  );

  test.each([
    ["tags", { tagging: "sync" }],
    ["tracked bytes", { uninitialised: "byte" }],
  ] as const)("with %s promises what was asked for: all of it can be used", (_, options) => {
    const heap = openHeap({ exactUsableSize: false, ...options });
    for (const size of [0, 1, 33, 5000, LARGE]) {
      const pointer = heap.malloc(size);
      const usable = heap.malloc_usable_size(pointer);
      expect(usable).toBe(size);
      heap.memory.fill(pointer, 1, usable);
      expect(heap.checker.findings).toEqual([]);
    }
  });
});

describe("a tagged heap on a kernel without reference pages", () => {
  test.each(["untagged", "user-tags"] as const)("resizes through all sizes (%s)", (onTagFailure) => {
    const heap = openHeap({ kernel: new Kernel(RAM), tagging: "sync", onTagFailure, write: () => {} });
    let [pointer, size] = [filled(heap, 100, 1), 100];
    for (const to of [3000, 132_000, 150_000, 400_000, 132_000, 131_900, 5000, LARGE, 20]) {
      pointer = heap.realloc(pointer, to);
      for (let at = 0; at < Math.min(size, to); at += 997) expect(heap.memory.getUint8(pointer + at)).toBe(1);
      heap.memory.fill(pointer, 1, to);
      size = to;
    }
    heap.free(pointer);
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });
});

test.each(["default", "android", "fuchsia", "trusty"] as const)(
  "a chunk of no bytes at any alignment can be freed and resized (%s)",
  (config) => {
    for (const tagging of ["off", "sync"] as const) {
      const may = tagging === "off" || config !== "fuchsia";
      if (!may) continue;
      for (let alignment = 16; alignment <= 2 ** 16; alignment *= 2) {
        const heap = openHeap({ config, tagging });
        const pointers = [0, 0, 0].map((size) => heap.memalign(alignment, size));
        expect(heap.malloc_usable_size(pointers[0])).toBe(0);
        heap.malloc_disable();
        let seen = 0;
        heap.malloc_iterate(0, 2 ** 38, () => seen++);
        heap.malloc_enable();
        expect(seen).toBe(3);
        heap.free(pointers[1]);
        heap.free(pointers[0]);
        expect(heap.explain(pointers[2]).sentence).not.toBe("");
        expect(heap.checkInvariants().allocatedChunks).toBe(1);
      }
    }
  },
);
