// Heaps in snapshots: a program that goes on in the restored heap gets the same pointers, bytes and reports as in the first one.
// The machine below is test/platform/state/snapshot.test.ts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE } from "../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { installUserfaultfd } from "../../../platform/kernel/userfaultfd.ts";
import { SnapshotError } from "../../../platform/state/error.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const MACHINE = 2 ** 27;

function heapWith(options: HeapOptions): Heap {
  const shadow = options.uninitialised === "byte";
  const kernel = createKernel({ memoryBytes: MACHINE, shadow }, { clock: () => 1000 });
  return new Heap({ seed: 3, kernel, ...options });
}

/** One heap of each family. */
const FAMILIES: readonly (readonly [string, HeapOptions])[] = [
  ["plain", {}],
  [
    "pattern-filled with a quarantine",
    { fill: "pattern", quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 } },
  ],
  ["tagged", { tagging: "sync", stacks: true }],
  ["page-tracked", { uninitialised: "page" }],
  ["byte-tracked", { uninitialised: "byte", stacks: true }],
  ["Android's", { config: "android", fill: "zero" }],
];

interface Step {
  readonly kind: "malloc" | "free" | "realloc" | "store" | "load" | "misuse";
  readonly which: number;
  readonly size: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("malloc", "malloc", "malloc", "free", "realloc", "store", "load", "misuse"),
  which: fc.nat(30),
  size: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 60_000, max: 400_000 })),
});

/** Does one step. @returns what the program sees of it */
function take(heap: Heap, live: number[], { kind, which, size }: Step): string {
  const index = live.length === 0 ? -1 : which % live.length;
  const pointer = live[index] ?? 0;
  try {
    if (kind === "malloc" || index < 0) {
      const got = heap.malloc(size);
      live.push(got);
      return String(got);
    }
    if (kind === "free") {
      live.splice(index, 1);
      heap.free(pointer);
    } else if (kind === "realloc") {
      live[index] = heap.realloc(pointer, size);
      return String(live[index]);
    } else if (kind === "store") heap.memory.setUint8(pointer, size & 255);
    else if (kind === "load") return String(heap.memory.getUint8(pointer));
    else heap.free(pointer + 16);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

describe.each(FAMILIES)("a %s heap", (_name, options) => {
  test("goes on after a snapshot exactly as it would have without", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(step, { maxLength: 60 }), (before, after) => {
        using heap = heapWith(options);
        const live: number[] = [];
        for (const each of before) take(heap, live, each);
        const machine = Machine.restore(heap.kernel.machine.snapshot(), { "kernel.clock": () => 1000 });
        const [twin] = Heap.on(machine);
        const twinLive = [...live];
        expect(machine.digest()).toBe(heap.kernel.machine.digest());
        for (const each of after) {
          const [seen, expected] = [[twin, twinLive] as const, [heap, live] as const].map(([of, its]) =>
            take(of, its, each),
          );
          expect(seen).toBe(expected);
        }
        expect(machine.digest()).toBe(heap.kernel.machine.digest());
        expect(twin.checker.findings.map(({ kind, address }) => [kind, address])).toEqual(
          heap.checker.findings.map(({ kind, address }) => [kind, address]),
        );
        twin.checkInvariants();
      }),
      { numRuns: 12 },
    );
  });

  test("is restored with its forked child, and both end", () => {
    using heap = heapWith(options);
    const p = heap.malloc(200_000);
    heap.memory.setUint8(p, 1);
    using child = heap.fork();
    child.memory.setUint8(p, 2);
    const machine = Machine.restore(heap.kernel.machine.snapshot());
    const [first, second] = Heap.on(machine);
    expect([first.memory.getUint8(p), second.memory.getUint8(p)]).toEqual([1, 2]);
    second[Symbol.dispose]();
    first.free(p);
    first[Symbol.dispose]();
    expect(Heap.on(machine)).toEqual([]);
    expect(() => first.malloc(1)).toThrow("the heap was disposed of");
  });
});

describe("a heap in a snapshot", () => {
  test("has its stacks of allocations, as text", () => {
    using heap = heapWith({ stacks: true });
    const p = heap.malloc(10);
    const [twin] = Heap.on(Machine.restore(heap.kernel.machine.snapshot()));
    twin.free(p);
    expect(twin.explain(p).sentence).toContain("freed");
    expect(() => twin.free(p)).toThrow(/double free/);
    expect(JSON.stringify(twin.explain(p))).toContain("snapshot.test.ts");
  });

  test("calls the hooks that are given again, else none", () => {
    const seen: number[] = [];
    using heap = heapWith({ hooks: { allocate: () => seen.push(1) } });
    heap.malloc(1);
    const bytes = heap.kernel.machine.snapshot();
    Heap.on(Machine.restore(bytes))[0].malloc(1);
    Heap.on(Machine.restore(bytes, { "heap.hooks.allocate": () => seen.push(2) }))[0].malloc(1);
    expect(seen).toEqual([1, 2]);
  });

  test("that is being recorded is refused", () => {
    using heap = heapWith({});
    using _recording = heap.record({ write: () => true });
    heap.malloc(10);
    expect(() => heap.kernel.machine.snapshot()).toThrow(/cannot keep/);
  });

  test("takes what was written, not what was reserved", () => {
    using heap = heapWith({ fill: "pattern" });
    heap.malloc(2 ** 25);
    const small = heap.kernel.machine.snapshot().length;
    expect(small).toBeLessThan(400_000);
  });

  test("names the hooks that there are if one is misspelt", () => {
    using heap = heapWith({});
    const bytes = heap.kernel.machine.snapshot();
    expect(() => Machine.restore(bytes, { "heap.hooks.alocate": () => {} })).toThrow(/heap\.hooks\.allocate/);
  });
});

describe("the file of a machine with heaps of all kinds, a forked child, files, pipes and userfaultfd", () => {
  /** A tagged heap with a quarantine, and its child; a heap that tracks each byte, with findings; what a process can have open. */
  function furnished(): Uint8Array {
    const kernel = createKernel({ memoryBytes: MACHINE, shadow: true }, { clock: () => 1000 });
    installUserfaultfd(kernel);
    const quarantine = { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 };
    const tagged = new Heap({ seed: 3, kernel, tagging: "sync", quarantine, stacks: true });
    const p = tagged.malloc(100);
    tagged.free(tagged.malloc(40));
    tagged.malloc(300_000);
    tagged.memory.setUint8(p, 1);
    const child = tagged.fork();
    child.free(child.malloc(64));
    const bytes = new Heap({ seed: 4, kernel, uninitialised: "byte", stacks: true });
    bytes.memory.getUint8(bytes.malloc(16));
    const { process } = bytes;
    const at = process.mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS);
    process.write(process.memfd_create("file", 0), at, 100);
    process.write(process.pipe2()[1], at, 10);
    process.syscall("userfaultfd", 0);
    return kernel.machine.snapshot();
  }

  test("is refused with any byte changed, and cut short anywhere", () => {
    const bytes = furnished();
    const stride = Math.floor(bytes.length / 250) | 1;
    const places = [...Array.from({ length: 64 }, (_, at) => at), ...Array.from({ length: 16 }, (_, i) => i + 1 - 17)];
    for (let at = 64; at < bytes.length; at += stride) places.push(at);
    for (const [round, place] of places.entries()) {
      const at = place < 0 ? bytes.length + place : place;
      const damaged = bytes.slice();
      damaged[at] ^= 1 << (round & 7);
      expect(() => Machine.restore(damaged), `byte ${at}`).toThrow(SnapshotError);
      expect(() => Machine.restore(bytes.subarray(0, at)), `${at} bytes`).toThrow(SnapshotError);
    }
  });

  test("has it all: the heaps' invariants hold and each goes on", () => {
    const machine = Machine.restore(furnished());
    const heaps = Heap.on(machine);
    expect(heaps).toHaveLength(3);
    for (const heap of heaps) {
      heap.checkInvariants();
      heap.free(heap.malloc(1000));
    }
    Kernel.on(machine)?.checkInvariants();
  });
});
