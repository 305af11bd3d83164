// The list of findings: one a place and stack however often, suppressed ones nowhere, invalid frees as any other error, and what it costs.
import { describe, expect, test } from "vitest";
import {
  assertNoFindings,
  assertNoLeaks,
  type Finding,
  Heap,
  HeapError,
  parseSuppressions,
} from "../../../allocator/index.ts";

const MIB = 2 ** 20;
const byteHeap = () => new Heap({ uninitialised: "byte", stacks: true, memoryBytes: 64 * MIB, seed: 1 });
const thrown = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return null;
};

describe("leaks", () => {
  test.each([true, false])("of one line are one finding, however many; stacks: %s", (stacks) => {
    const heap = new Heap({ uninitialised: "byte", stacks, memoryBytes: 64 * MIB, seed: 1 });
    for (let i = 0; i < 10_000; i++) heap.malloc(16 + (i % 3));
    const { findings, definitely } = heap.checker.leakCheck();
    expect(definitely.blocks).toBe(10_000);
    expect(findings).toMatchObject([{ blocks: 10_000, leakKind: "definitely lost" }]);
    expect(findings[0]!.stack.length > 0).toBe(stacks);
    expect(heap.checker.toText().split("\n").length).toBeLessThan(20);
  });

  test("a later check replaces what an earlier one said of a place", () => {
    const heap = byteHeap();
    const lose = () => heap.malloc(8);
    for (let i = 0; i < 3; i++) {
      lose();
      heap.checker.leakCheck();
    }
    expect(heap.checker.findings).toMatchObject([{ blocks: 3, count: 3 }]);
    expect(heap.checker.leakCheck({ except: heap.checker.liveBlocks() }).findings).toEqual([]);
  });

  test("that are suppressed fail nothing", () => {
    const heap = byteHeap();
    (function keepForever() {
      heap.malloc(8);
    })();
    heap.checker.addSuppressions(...parseSuppressions("leak fun:keepForever"));
    expect(heap.checker.leakCheck().findings).toEqual([]);
    expect(heap.checker.leakCheck().definitely.blocks).toBe(1);
    expect(heap.checker.findings).toEqual([]);
    assertNoLeaks(heap);
    heap.malloc(8);
    expect(() => assertNoLeaks(heap)).toThrow("8 bytes in 1 block");
  });
});

describe("suppressions", () => {
  class Parser {
    readonly heap: Heap;
    constructor(heap: Heap) {
      this.heap = heap;
      heap.memory.getUint8(heap.malloc(8));
    }
    #readVarint(p: number): void {
      this.heap.memory.getUint16(p);
    }
    read(): void {
      this.#readVarint(this.heap.malloc(8));
    }
  }
  const anonymous = [(heap: Heap) => void heap.memory.getUint32(heap.malloc(8))];

  test.each([
    ["fun:*#readVarint", 2],
    ["fun:#readVarint", -1],
    ["fun:new Parser uninitialised", 1],
    ['fun:"new Parser" # what it does', 1],
    ["  # all of this is a comment", 0],
    ["fun:nothing # fun:*", 0],
  ])("%s hides exactly that", (line, hidden) => {
    const heap = byteHeap();
    heap.checker.addSuppressions(...parseSuppressions(line));
    new Parser(heap).read();
    anonymous[0]!(heap);
    const left = heap.checker.findings.map(({ size }) => size);
    // V8 names a private method with or without its class, by version.
    const expected =
      hidden === -1 ? (left.includes(2) ? [1, 2, 4] : [1, 4]) : [1, 2, 4].filter((size) => size !== hidden);
    expect(left).toEqual(expected);
  });

  test("names that say nothing are refused; quotes keep what is in them", () => {
    expect(() => parseSuppressions("leak\nfun: leak")).toThrow('line 2: "fun:" names nothing');
    expect(() => parseSuppressions('file:""')).toThrow(SyntaxError);
    expect(parseSuppressions('fun:"get leak" leak\r\nfile:a b.ts fun:x y invalid-free')).toEqual([
      { functionName: "get leak", kind: "leak" },
      { file: "a b.ts", functionName: "x y", kind: "invalid-free" },
    ]);
    expect(parseSuppressions("fun:Object.<anonymous>\nfun:a.b [as c]")).toEqual([
      { functionName: "Object.<anonymous>" },
      { functionName: "a.b [as c]" },
    ]);
  });

  test("lines for what was found hide it the next time", () => {
    const run = (suppressions: string) => {
      const heap = byteHeap();
      heap.checker.addSuppressions(...parseSuppressions(suppressions));
      new Parser(heap).read();
      anonymous[0]!(heap);
      const p = heap.malloc(8);
      heap.free(p);
      thrown(() => heap.free(p));
      heap.checker.leakCheck();
      return heap.checker;
    };
    const lines = run("").toSuppressions();
    expect(lines).toMatch(/^uninitialised fun:"new Parser" file:findings\.test\.ts$/m);
    expect(run(lines).findings).toEqual([]);
  });
});

describe("invalid frees are findings as well as errors", () => {
  const other = (heap: Heap) => heap.process.mmap(0, 8192, 3, 0x22) + 4096;
  test.each([
    ["double-free", (heap: Heap, p: number) => [heap.free(p), heap.free(p)]],
    ["double-free", (heap: Heap, p: number) => [heap.free(p), heap.realloc(p, 100)]],
    [
      "double-free",
      (heap: Heap) => {
        const large = heap.malloc(3 * MIB);
        heap.free(large);
        heap.free(large);
      },
    ],
    ["interior-pointer", (heap: Heap, p: number) => heap.free(p + 8)],
    ["interior-pointer", (heap: Heap, p: number) => heap.free(p + 16)],
    ["interior-pointer", (heap: Heap, p: number) => heap.realloc(p + 32, 10)],
    ["foreign-pointer", (heap: Heap) => heap.free(other(heap))],
    ["foreign-pointer", (heap: Heap) => heap.free(4096)],
    ["foreign-pointer", (heap: Heap) => heap.operatorDelete(0x7000000)],
    ["mismatched-free", (heap: Heap, p: number) => heap.operatorDelete(p)],
    ["mismatched-free", (heap: Heap, p: number) => heap.free_sized(p, 47)],
    [
      "damaged-header",
      (heap: Heap, p: number) => {
        heap.memory.setUint8(p - 16, heap.memory.getUint8(p - 16) ^ 1);
        heap.checker.clear();
        heap.free(p);
      },
    ],
  ] as const)("%s", (cause, work) => {
    const heap = new Heap({
      ...{ uninitialised: "byte", stacks: true, memoryBytes: 64 * MIB, seed: 1 },
      ...{ deallocTypeMismatch: true, deleteSizeMismatch: true },
    });
    const p = heap.malloc(48);
    expect(thrown(() => work(heap, p))).toBeInstanceOf(Error);
    expect(heap.checker.findings).toMatchObject([{ kind: "invalid-free", cause, count: 1 }]);
    expect(heap.checker.countErrors()).toBe(1);
    expect(heap.checker.findings[0]!.stack[0]!.file).toContain("findings.test.ts");
    expect(heap.checker.toSarif()).toMatchObject({ runs: [{ results: [{ ruleId: "invalid-free" }] }] });
    expect(() => assertNoFindings(heap)).toThrow(/free/i);
  });

  test("a double free says so, with where the block was allocated, freed, and freed again", () => {
    const heap = byteHeap();
    const make = () => heap.malloc(24);
    const drop = (p: number) => heap.free(p);
    const dropAgain = (p: number) => heap.free(p);
    const p = make();
    drop(p);
    const error = thrown(() => dropAgain(p)) as HeapError;
    expect(error).toBeInstanceOf(HeapError);
    expect(error.message).toMatch(/^Scudo ERROR: invalid chunk state when deallocating address 0x\w+ \(double free\)$/);
    expect(error.report).toMatch(/allocated at:\n.*make[\s\S]*freed at:\n.*drop [\s\S]*freed again at:\n.*dropAgain/);
    const [{ stack, block }] = heap.checker.findings;
    expect([stack, block!.allocation, block!.free].map(([frame]) => frame!.functionName)).toEqual([
      "dropAgain",
      "make",
      "drop",
    ]);
    expect(heap.checker.toText({ stable: true })).toContain("Double free: free of the freed block A of 24 bytes");
  });
});

test("a wrong free says how far it is from which block, and whether that was freed before", () => {
  const heap = byteHeap();
  const [live, freed] = [heap.malloc(64), heap.malloc(64)];
  heap.free(freed);
  thrown(() => heap.free(live + 16));
  thrown(() => heap.free(live - 4096 * 4096));
  thrown(() => heap.free(freed + 32));
  const lines = heap.checker.toText({ stable: true }).split("\n");
  const headlines = lines.filter((line) => /free of/.test(line));
  expect(headlines.map((line) => line.replace(/^[^:]*: free of /, ""))).toEqual([
    "offset 16 of block A of 64 bytes",
    "a pointer outside every block",
    "offset 32 of the freed block B of 64 bytes",
  ]);
});

test("leaks come in order of their size, the largest first", () => {
  const heap = byteHeap();
  heap.malloc(16);
  heap.malloc(4000);
  heap.malloc(300);
  expect(heap.checker.leakCheck().findings.map(({ bytes }) => bytes)).toEqual([4000, 300, 16]);
});

test("a block is named with what made and freed it, by any function", () => {
  const heap = byteHeap();
  const makers: [() => number, (p: number) => void, string][] = [
    [() => heap.calloc(1, 32), (p) => heap.free(p), "malloc"],
    [() => heap.memalign(64, 32), (p) => heap.free(p), "memalign"],
    [() => heap.operatorNew(32), (p) => heap.operatorDelete(p), "new"],
    [() => heap.operatorNew(32, { array: true }), (p) => heap.operatorDelete(p, { array: true }), "new[]"],
    [() => heap.realloc(0, 32), (p) => void heap.realloc(p, 0), "malloc"],
    [() => heap.malloc(32), (p) => void heap.realloc(p, 90_000), "malloc"],
    [() => heap.aligned_alloc(16, 32), (p) => heap.free_sized(p, 32), "malloc"],
    [() => heap.malloc(200_000), (p) => heap.free(p), "malloc"],
  ];
  for (const [make, end, origin] of makers) {
    heap.checker.clear();
    const p = make();
    end(p);
    thrown(() => heap.memory.getUint8(p));
    const [{ block, cause }] = heap.checker.findings;
    expect([cause, block!.origin, block!.allocation.length > 0, block!.free.length > 0]).toEqual([
      "use-after-free",
      origin,
      true,
      true,
    ]);
  }
});

test("no error shows the library's own frames; the program's comes first", () => {
  const heap = byteHeap();
  const p = heap.malloc(8);
  const errors = [
    thrown(() => heap.memory.getUint8(0)),
    thrown(() => heap.memory.read(4096, 10_000)),
    thrown(() => heap.process.munmap(1, 4096)),
    thrown(() => heap.free(p + 8)),
    thrown(() => new Heap({ fill: "nothing" as never })),
    thrown(() => assertNoLeaks(heap)),
    thrown(() => new Heap({ tagging: "sync" }).memory.getUint8(1)),
  ] as Error[];
  for (const error of errors) {
    const frames = error.stack!.split("\n").filter((line) => line.trimStart().startsWith("at "));
    expect(frames[0]).toContain("findings.test.ts");
    expect(frames.filter((line) => /\/(?:platform|refpage|allocator)\/(?!.*test)/.test(line))).toEqual([]);
    expect(error.stack).toContain(error.message.split("\n")[0]);
  }
});

test("classes of the program's that are called as the library's stay in stacks", () => {
  const heap = byteHeap();
  class Allocator {
    malloc(size: number): number {
      return heap.malloc(size);
    }
  }
  const Own = {
    Heap: class Heap {
      readonly p = new Allocator().malloc(8);
      read(): number {
        return heap.memory.getUint8(this.p);
      }
    },
  }.Heap;
  new Own().read();
  const [{ stack, block }] = heap.checker.findings;
  expect(stack[0]!.functionName).toBe("Heap.read");
  expect(block!.allocation.slice(0, 2).map(({ functionName }) => functionName)).toEqual([
    "Allocator.malloc",
    "Heap.<instance_members_initializer>",
  ]);
});

describe("costs", () => {
  test("reporting that is switched off looks at nothing; repetitions are counted", () => {
    const heap = byteHeap();
    const p = heap.malloc(16);
    const read = () => void heap.memory.getUint32(p);
    heap.checker.disableErrorReporting();
    for (let i = 0; i < 1000; i++) read();
    expect([heap.checker.countErrors(), heap.checker.findings.length]).toEqual([0, 0]);
    heap.checker.enableErrorReporting();
    for (let i = 0; i < 1000; i++) read();
    expect(heap.checker.findings).toMatchObject([{ count: 1000 }]);
    heap.checker.addSuppressions({ kind: "uninitialised" });
    for (let i = 0; i < 10; i++) read();
    expect([heap.checker.countErrors(), heap.checker.countSuppressed()]).toEqual([1000, 10]);
  });

  test("the same loop over a block that was freed meanwhile is another finding", () => {
    const heap = byteHeap();
    const p = heap.malloc(16);
    for (let i = 0; i < 4; i++) {
      if (i === 2) heap.free(p);
      heap.memory.getUint32(p);
    }
    expect(heap.checker.findings.map(({ cause, count }) => [cause, count])).toEqual([
      [null, 2],
      ["use-after-free", 2],
    ]);
  });

  test("64 MiB without access stay untouched", () => {
    const heap = new Heap({ uninitialised: "byte", memoryBytes: 256 * MIB, seed: 1 });
    const p = heap.malloc(64 * MIB);
    const before = heap.process.rssBytes;
    heap.checker.makeNoAccess(p, 64 * MIB);
    expect(heap.process.rssBytes - before).toBeLessThanOrEqual(8192);
    heap.memory.getUint8(p + 30 * MIB);
    heap.memory.setUint8(p + 50 * MIB, 1);
    expect(heap.checker.findings.map(({ cause, operation }) => [cause, operation])).toEqual([
      ["no-access", "load"],
      ["no-access", "store"],
    ]);
    heap.checker.makeUndefined(p, 4096);
    expect(heap.checker.checkIsAddressable(p, 5000)).toBe(p + 4096);
  });

  test("a structured Error.prepareStackTrace changes nothing", () => {
    const heap = byteHeap();
    const before = Error.prepareStackTrace;
    for (const prepare of [
      (_: Error, sites: NodeJS.CallSite[]) => sites,
      () => ({ frames: 3 }),
      () => {
        throw new Error("its own");
      },
    ]) {
      heap.checker.clear();
      Error.prepareStackTrace = prepare;
      try {
        heap.memory.getUint8(heap.malloc(8));
        const [{ stack, block }] = heap.checker.findings;
        expect([stack.length > 0, block!.allocation.length > 0]).toEqual([true, true]);
        expect(typeof (thrown(() => heap.memory.getUint8(0)) as Error).stack).toBe("string");
      } finally {
        Error.prepareStackTrace = before;
      }
    }
  });
});

describe("wrong words", () => {
  test("a leak check refuses a kind or a form of pointers that there is not, and finds nothing", () => {
    const heap = byteHeap();
    heap.malloc(10);
    expect(() => heap.checker.leakCheck({ report: ["definitely lost", "lost" as never] })).toThrow(
      'leakCheck: report: "lost" is not one of definitely lost, indirectly lost, possibly lost, still reachable',
    );
    expect(() => heap.checker.leakCheck({ pointers: "float" as never })).toThrow(RangeError);
    expect(heap.checker.findings).toEqual([]);
  });

  test("onFinding refuses what is no function; the handler before stays", () => {
    const heap = byteHeap();
    const seen: Finding[] = [];
    heap.checker.onFinding = (finding) => seen.push(finding);
    expect(() => {
      heap.checker.onFinding = 5 as never;
    }).toThrow("onFinding: number is neither a function nor null");
    heap.memory.getUint8(heap.malloc(10));
    expect(seen).toHaveLength(1);
  });

  test("a suppression with a name that there is not, or with none, would hide everything and is refused", () => {
    const heap = byteHeap();
    expect(() => heap.checker.addSuppressions({ kind: "leak" }, { kin: "leak" } as never)).toThrow(
      'addSuppressions: "kin" is not one of kind, functionName, file',
    );
    expect(() => heap.checker.addSuppressions({})).toThrow(TypeError);
    heap.memory.getUint8(heap.malloc(10));
    expect(heap.checker.findings).toHaveLength(1);
  });
});

describe("assertNoFindings", () => {
  test("says nothing of a heap where nothing was found", () => {
    const heap = byteHeap();
    heap.free(heap.malloc(8));
    expect(assertNoFindings(heap)).toBe(undefined);
  });
});

test("what happened several times says how often, but where the text must stay the same from run to run", () => {
  const heap = byteHeap();
  const p = heap.malloc(8);
  for (let i = 0; i < 3; i++) {
    heap.memory.getUint8(p);
    const text = heap.checker.toText();
    if (i === 0) expect(text).not.toContain("times)");
    else expect(text).toContain(`  (${i + 1} times)`);
  }
  expect(heap.checker.toText({ stable: true })).not.toContain("times)");
});

test("what is suppressed is counted", () => {
  const heap = byteHeap();
  heap.checker.addSuppressions(...parseSuppressions("uninitialised fun:useIt"));
  const p = heap.malloc(8);
  function useIt(): void {
    heap.memory.getUint8(p);
    heap.memory.getUint16(p + 2);
  }
  useIt();
  expect(heap.checker.findings).toEqual([]);
  expect(heap.checker.countSuppressed()).toBe(2);
});
