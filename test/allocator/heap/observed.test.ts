// What hooks hear of calls that are refused: nothing, for any reason, of free and realloc, of small and large chunks.
import { describe, expect, test } from "vitest";
import type { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { kindOf, openHeap } from "../open-heap.ts";

type Act = (heap: Heap, pointer: number) => unknown;

const families: [string, HeapOptions][] = [
  ["plain", {}],
  ["tagged", { tagging: "sync" }],
  ["byte", { uninitialised: "byte" }],
];

const calls: [string, (heap: Heap, size: number) => number, Act, string][] = [
  ["realloc of new's", (h, n) => h.operatorNew(n), (h, p) => h.realloc(p, 10), "type-mismatch"],
  ["realloc of new[]'s", (h, n) => h.operatorNew(n, { array: true }), (h, p) => h.realloc(p, 1e6), "type-mismatch"],
  ["realloc of memalign's", (h, n) => h.memalign(64, n), (h, p) => h.realloc(p, 10), "type-mismatch"],
  ["reallocarray of new's", (h, n) => h.operatorNew(n), (h, p) => h.reallocarray(p, 2, 10), "type-mismatch"],
  ["free of new's", (h, n) => h.operatorNew(n), (h, p) => h.free(p), "type-mismatch"],
  ["delete of malloc's", (h, n) => h.malloc(n), (h, p) => h.operatorDelete(p), "type-mismatch"],
  ["realloc to no size", (h, n) => h.malloc(n), (h, p) => h.realloc(p, 2 ** 50), "size-too-big"],
  ["realloc into a chunk", (h, n) => h.malloc(n), (h, p) => h.realloc(p + 16, 10), ""],
  [
    "a sized delete of another size",
    (h, n) => h.operatorNew(n),
    (h, p) => h.operatorDelete(p, { size: 7 }),
    "size-mismatch",
  ],
  [
    "realloc of a disabled heap",
    (h, n) => h.malloc(n),
    (h, p) => {
      h.malloc_disable();
      try {
        h.realloc(p, 1e6);
      } finally {
        h.malloc_enable();
      }
    },
    "deadlock",
  ],
];

describe.each(families)("a %s heap", (_name, options) => {
  describe.each([100, 300_000])("with a chunk of %i bytes", (size) => {
    test.each(calls)("refuses %s, and its hooks hear nothing", (_what, make, act, kind) => {
      for (const hasReallocHooks of [false, true]) {
        const heard: string[] = [];
        const hear = (name: string) => () => heard.push(name);
        const heap = openHeap({
          ...options,
          deallocTypeMismatch: true,
          deleteSizeMismatch: true,
          mayReturnNull: false,
          hooks: {
            allocate: hear("allocate"),
            deallocate: hear("deallocate"),
            ...(hasReallocHooks
              ? { reallocAllocate: hear("reallocAllocate"), reallocDeallocate: hear("reallocDeallocate") }
              : {}),
          },
        });
        const pointer = make(heap, size);
        heard.length = 0;
        const found = kindOf(() => act(heap, pointer));
        expect(kind === "" ? typeof found : found).toBe(kind === "" ? "string" : kind);
        expect(heard).toEqual([]);
        heap.checkInvariants();
      }
    });
  });

  test("that is disabled and resizes a chunk where it is says so", () => {
    const heard: unknown[][] = [];
    const hook =
      (name: string) =>
      (...given: unknown[]) =>
        heard.push([name, ...given]);
    const heap = openHeap({
      ...options,
      hooks: { reallocAllocate: hook("reallocAllocate"), reallocDeallocate: hook("reallocDeallocate") },
    });
    const pointer = heap.malloc(100);
    heap.malloc_disable();
    expect(heap.realloc(pointer, 90)).toBe(pointer);
    heap.malloc_enable();
    expect(heard).toEqual([
      ["reallocDeallocate", pointer],
      ["reallocAllocate", pointer, pointer, 90],
    ]);
  });
});
