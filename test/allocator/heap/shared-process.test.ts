// Several heaps in one process: each has its own faults, findings and end, and none takes anything from another.
import { describe, expect, test } from "vitest";
import type { Heap } from "../../../allocator/heap/heap.ts";
import { TagFaultError } from "../../../allocator/tagging/tag-fault.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { openHeap } from "../open-heap.ts";

const SIGSEGV = 11;

describe("two tagged heaps", () => {
  function pair() {
    const process = createKernel({ memoryBytes: 2 ** 27 }).createProcess();
    const told: string[] = [];
    const make = (name: string) => openHeap({ process, tagging: "sync", onReport: () => told.push(name) });
    return { process, told, first: make("first"), second: make("second") };
  }

  /** A load through a pointer whose chunk was freed. */
  function useAfterFree(heap: Heap): void {
    const p = heap.malloc(100);
    heap.free(p);
    expect(() => heap.memory.getUint8(p)).toThrow(TagFaultError);
  }

  test("report each their own faults", () => {
    const { told, first, second } = pair();
    useAfterFree(first);
    useAfterFree(second);
    expect(told).toEqual(["first", "second"]);
  });

  test.each(["first", "second"] as const)(
    "the %s to end leaves the other its handler, and the last gives it back",
    (which) => {
      const heaps = pair();
      const other = which === "first" ? heaps.second : heaps.first;
      heaps[which][Symbol.dispose]();
      useAfterFree(other);
      other[Symbol.dispose]();
      expect(heaps.process.sigaction(SIGSEGV, null)).toBe("default");
    },
  );

  test("one that is switched off leaves the other its checks; both off end them", () => {
    const { process, first, second } = pair();
    first.setTagging("off");
    expect([first.tagging, second.tagging]).toEqual(["off", "sync"]);
    useAfterFree(second);
    first.free(first.malloc(100));
    second.setTagging("off");
    expect(process.mainThread.memory.tagCheckMode).toBe(openHeap().process.memory.tagCheckMode);
    expect(process.sigaction(SIGSEGV, null)).toBe("default");
  });

  test("a change of mode is the process's, and both say so", () => {
    const { first, second } = pair();
    first.setTagging("async");
    expect([first.tagging, second.tagging]).toEqual(["async", "async"]);
  });

  test("a handler that the program installed later stays when they end", () => {
    const { process, first, second } = pair();
    const mine = { flags: 0, handler: () => {} };
    process.sigaction(SIGSEGV, mine);
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(process.sigaction(SIGSEGV, null)).toBe(mine);
  });

  test("in a forked child report the child's faults, and the child's last gives the handler back", () => {
    const { process, told, first, second } = pair();
    const child = process.fork();
    const [a, b] = [first.inProcess(child), second.inProcess(child)];
    useAfterFree(a);
    useAfterFree(b);
    expect(told).toEqual(["first", "second"]);
    a[Symbol.dispose]();
    useAfterFree(b);
    b[Symbol.dispose]();
    expect(child.sigaction(SIGSEGV, null)).toBe("default");
    useAfterFree(first);
  });

  test("of which one was off when it was forked are the same in the child", () => {
    const { process, first, second } = pair();
    first.setTagging("off");
    const child = process.fork();
    const [a, b] = [first.inProcess(child), second.inProcess(child)];
    expect([a.tagging, b.tagging]).toEqual(["off", "sync"]);
    useAfterFree(b);
  });
});

describe.each(["byte", "page"] as const)("two heaps that track at level %s", (uninitialised) => {
  function pair() {
    const process = createKernel({ memoryBytes: 2 ** 27, shadow: uninitialised === "byte" }).createProcess();
    return { process, first: openHeap({ process, uninitialised }), second: openHeap({ process, uninitialised }) };
  }

  const SIZE = 300_000;

  test("have each their own findings", () => {
    const { first, second } = pair();
    const [p, q] = [first.malloc(SIZE), second.malloc(SIZE)];
    first.memory.getUint8(p + 8192);
    expect([first.checker.findings.length, second.checker.findings.length]).toEqual([1, 0]);
    second.memory.getUint8(q + 8192);
    expect([first.checker.findings.length, second.checker.findings.length]).toEqual([1, 1]);
    expect(second.checker.findings[0].block?.pointer).toBe(q);
  });

  test("the one that ends takes nothing from the other", () => {
    for (const order of [0, 1]) {
      const { first, second } = pair();
      const [ending, staying] = order === 0 ? [first, second] : [second, first];
      const p = staying.malloc(SIZE);
      ending.free(ending.malloc(SIZE));
      ending[Symbol.dispose]();
      staying.memory.getUint8(p + 8192);
      expect(staying.checker.findings).toHaveLength(1);
    }
  });

  test("see their own threads' accesses, and chunks made and freed by turns", () => {
    const { process, first, second } = pair();
    const thread = process.createThread();
    const q = second.malloc(SIZE);
    first.withThread(thread, () => {
      const p = first.malloc(SIZE);
      first.memory.setUint8(p + 4096, 1);
      second.withThread(thread, () => second.memory.getUint8(q + 8192));
      first.memory.getUint8(p + 8192);
    });
    expect([first.checker.findings.length, second.checker.findings.length]).toEqual([1, 1]);
  });
});

test("a small use after free of one tracked heap is reported by that heap, also after calls of the other", () => {
  const process = createKernel({ memoryBytes: 2 ** 27, shadow: true }).createProcess();
  const [first, second] = [0, 1].map(() => openHeap({ process, uninitialised: "byte" }));
  const p = first.malloc(100);
  first.memory.fill(p, 1, 100);
  const q = second.malloc(100);
  second.memory.fill(q, 1, 100);
  first.free(p);
  second.memory.setUint8(q, 2);
  first.memory.setUint8(p, 2);
  expect(first.checker.findings.map(({ cause }) => cause)).toEqual(["use-after-free"]);
  expect(second.checker.findings).toEqual([]);
});

test("a fault beside a heap is reported by the tracked heap whose memory is nearest; far from both, by neither", () => {
  for (const which of [0, 1]) {
    const process = createKernel({ memoryBytes: 2 ** 27, shadow: true }).createProcess();
    const heaps = [0, 1].map(() => openHeap({ process, uninitialised: "byte" }));
    const [mine, other] = [heaps[which], heaps[1 - which]];
    const p = mine.malloc(2 ** 21);
    const length = (heap: Heap) => heap.checker.findings.length;
    const end = mine.explain(p).block!;
    const behind = end.begin + end.size;
    expect(() => other.memory.getUint8(behind)).toThrow("SEGV");
    expect([length(mine), length(other)]).toEqual([1, 0]);
    mine.checker.clear();
    expect(() => other.memory.getUint8(0x7000)).toThrow("SEGV_MAPERR");
    expect([length(mine), length(other)]).toEqual([0, 0]);
  }
});
