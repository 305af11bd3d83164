// The compiled malloc and free do what the heap's own do: each statement is checked on a heap on an equal machine that has no compiled ways,
// too. What they leave to the heap is unusual.test.ts; random programs are the fuzzer's (fuzz/heap/both-ways.ts), of which a share runs here.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { M_THREAD_DISABLE_MEM_INIT } from "../../../allocator/heap/mallopt.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { silent } from "../../../fuzz/harness/journal.ts";
import { bothWays, runBothWays } from "../../../fuzz/heap/both-ways.ts";
import { countCompiledCalls } from "../../../fuzz/heap/compiled-calls.ts";
import type { OpenHeap } from "../open-heap.ts";
import { outcomeOf, sameBothWays } from "./same-both-ways.ts";

const FILLED: readonly HeapOptions[] = [
  {},
  { fill: "zero" },
  { fill: "pattern", pattern: [0x5a] },
  { fill: "pattern", pattern: [0xff] },
];

test("random programs see the same of both, and most of them go the compiled ways", () => {
  let programs = 0;
  let compiled = 0;
  fc.assert(
    fc.property(bothWays.program, (program) => {
      programs++;
      if (countCompiledCalls(() => void runBothWays(program, silent)) > 0) compiled++;
    }),
    { numRuns: 60 },
  );
  expect(compiled).toBeGreaterThan(programs * 0.7);
});

describe("compiled ways are gone", () => {
  test.each(FILLED)("by each usual malloc and free, with %j", (options) => {
    const count = sameBothWays(options, 100, (heap) => {
      for (let left = 500; left > 0; left--) heap.free(heap.malloc(100));
    });
    expect(count).toBe(1000);
  });

  test("by each usual calloc", () => {
    const count = sameBothWays({ fill: "pattern" }, 100, (heap) => {
      for (let left = 500; left > 0; left--) {
        const p = heap.calloc(5, 20);
        heap.memory.fill(p, left, 100);
        heap.free(p);
      }
      return [...heap.memory.read(heap.calloc(4, 25), 100)];
    });
    expect(count).toBe(1001);
  });

  test.each(["sync", "async", "asymm"] as const)(
    "by each usual malloc, calloc and free of a heap with tags: %s",
    (tagging) => {
      const count = sameBothWays({ tagging }, 100, (heap) => {
        const made: number[] = [];
        for (let left = 250; left > 0; left--) {
          const p = left % 2 === 0 ? heap.malloc(100) : heap.calloc(1, 100);
          made.push(p, heap.memory.getUint8(p + 99));
          heap.memory.setUint8(p + 99, 7);
          heap.free(p);
        }
        return made;
      });
      expect(count).toBe(500);
    },
  );

  test("by chunks of every size that a cache has, beyond those in the table of headers", () => {
    for (const size of [0, 1, 16, 2032, 4080, 4081, 5000, 40_000, 65_000]) {
      const count = sameBothWays({}, size, (heap) => {
        // Once more, when their pages are there.
        for (let round = 0; round < 2; round++) heap.free(heap.malloc(size));
        return heap.malloc(size);
      });
      expect(count, `${size} bytes`).toBeGreaterThanOrEqual(4);
    }
  });

  test.each(["none", "zero", "pattern"] as const)("by fills of blocks of any length: %s", (fill) => {
    for (const size of [8, 200, 256, 257, 2000, 4000, 12_000, 60_000]) {
      const count = sameBothWays({ fill }, size, (heap) => {
        heap.memory.fill(heap.malloc(size), 0x11, size);
        const p = heap.malloc(size);
        heap.memory.fill(p, 0x11, size);
        heap.free(p);
        return [...heap.memory.read(heap.malloc(size), size)].join();
      });
      expect(count, `${size} bytes`).toBeGreaterThan(0);
    }
  });

  test("by a free of a chunk that was made smaller in its place, whose block is larger than its size asks for", () => {
    const count = sameBothWays({}, 100, (heap) => {
      const p = heap.malloc(100);
      const q = heap.realloc(p, 20);
      heap.free(q);
      return [q === p, heap.malloc(100) === p];
    });
    expect(count).toBe(3);
  });

  test("by several threads in turn, each with its cache", () => {
    const count = sameBothWays({}, 100, (heap) => {
      const threads = [heap.process.mainThread, heap.process.createThread(), heap.process.createThread()];
      const made: number[] = [];
      for (let round = 0; round < 30; round++) {
        heap.withThread(threads[round % 3], () => {
          for (let left = 10; left > 0; left--) made.push(heap.malloc(100));
          heap.free(made.splice(round % 7, 1)[0]);
        });
      }
      for (const thread of threads.slice(1)) heap.endThread(thread);
      return made;
    });
    expect(count).toBeGreaterThan(200);
  });
});

describe("a chunk of the compiled malloc", () => {
  test.each(FILLED)("reads as the fill says, to the end of its block, across pages: %j", (options) => {
    const sizes = [0, 1, 16, 17, 100, 500, 1000, 1600, 2000];
    const count = sameBothWays(options, 100, (heap) => {
      // Blocks of many pages, whose frames came in another order; all that was in them is to be written over.
      const made = sizes.flatMap((size) => Array.from({ length: 40 }, () => heap.malloc(size)));
      for (const [index, p] of made.entries()) {
        heap.memory.fill(p, 0x11, sizes[Math.floor(index / 40)]);
        heap.free(p);
      }
      const bytes = sizes.flatMap((size) =>
        Array.from({ length: 40 }, () => {
          const room = heap.parts.primary.config.sizeClassMap;
          const whole = room.sizeOf(room.classOf(size + 16)) - 16;
          return Buffer.from(heap.memory.read(heap.malloc(size), whole)).toString("hex");
        }),
      );
      const byte = { none: null, zero: 0, pattern: heap.options.pattern[0] }[heap.fill];
      if (byte !== null) {
        const wanted = byte.toString(16).padStart(2, "0");
        expect(bytes.every((text) => text === wanted.repeat(text.length / 2))).toBe(true);
      }
      return bytes;
    });
    expect(count).toBeGreaterThan(500);
  });

  test("counts what was filled, allocated and cached", () => {
    const kept: unknown[] = [];
    sameBothWays({ fill: "zero" }, 100, (heap) => {
      const before = heap.kernel.counters.userBytesFilled;
      const chunk = heap.parts.primary.config.sizeClassMap;
      const block = chunk.sizeOf(chunk.classOf(116));
      const live = Number(heap.mallinfo2().uordblks);
      const made = [heap.malloc(100), heap.malloc(90)];
      kept.push(
        heap.kernel.counters.userBytesFilled - before - 2 * block,
        Number(heap.mallinfo2().uordblks) - live - 2 * block,
      );
      for (const p of made) heap.free(p);
      kept.push(Number(heap.mallinfo2().uordblks) - live);
    });
    expect(kept).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("has the fill of the moment: none while its thread wants none, another one once it was changed", () => {
    const count = sameBothWays({ fill: "zero" }, 100, (heap) => {
      const next = () => {
        const p = heap.malloc(100);
        const byte = heap.memory.getUint8(p + 50);
        heap.memory.fill(p, 0x77, 100);
        heap.free(p);
        return byte;
      };
      const seen = [next(), next()];
      heap.mallopt(M_THREAD_DISABLE_MEM_INIT, 1);
      seen.push(next(), next(), next());
      heap.mallopt(M_THREAD_DISABLE_MEM_INIT, 0);
      seen.push(next(), next(), next());
      heap.fill = "pattern";
      seen.push(next(), next(), next());
      heap.fill = "none";
      seen.push(next(), next(), next());
      expect(seen).toEqual([0, 0, 0x77, 0x77, 0x77, 0, 0, 0, 0xab, 0xab, 0xab, 0x77, 0x77, 0x77]);
      return seen;
    });
    expect(count).toBe(24);
  });
});

describe("nothing is compiled any more", () => {
  const changes: readonly (readonly [string, (heap: OpenHeap) => unknown])[] = [
    ["while the heap is disabled", (heap) => heap.malloc_disable()],
    ["while stacks are recorded", (heap) => heap.malloc_set_track_allocation_stacks(1)],
  ];
  test.each(changes)("%s", (_what, change) => {
    const count = sameBothWays({}, 100, (heap) => {
      const p = heap.malloc(100);
      change(heap);
      return [outcomeOf(() => heap.malloc(100)), outcomeOf(() => heap.free(p)), outcomeOf(() => heap.malloc(100))];
    });
    expect(count).toBe(1);
  });

  test("with a hook, which hears of each call and may call the heap itself", () => {
    for (const name of ["allocate", "deallocate"] as const) {
      const heard: number[] = [];
      let depth = 0;
      const holder: { heap?: OpenHeap } = {};
      const count = sameBothWays(
        {
          hooks: {
            [name]: (pointer: number) => {
              heard.push(pointer);
              if (depth++ === 0) holder.heap?.free(holder.heap.malloc(100));
              depth--;
            },
          },
        },
        100,
        (heap) => {
          holder.heap = heap;
          return [heap.malloc(100), outcomeOf(() => heap.free(heap.malloc(100)))];
        },
      );
      holder.heap = undefined;
      expect(count).toBe(0);
      expect(heard.length).toBeGreaterThan(0);
    }
  });

  test.each<HeapOptions>([
    { quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 } },
    { fillOnFree: true },
    { checksum: "bsd" },
    { pattern: [1, 2] },
    { hardRssLimitBytes: 2 ** 30 },
    { tagging: "sync" },
    { stacks: true },
  ])("for a heap with %j, until its options are among those that are compiled", (options) => {
    sameBothWays(options, 100, (heap) => {
      const made = Array.from({ length: 50 }, () => heap.malloc(100));
      for (const p of made) heap.free(p);
      return made;
    });
  });
});
