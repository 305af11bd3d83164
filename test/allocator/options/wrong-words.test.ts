// Wrong options: each is refused by name before anything is made, and leaves no process behind.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import { OptionError } from "../../../allocator/options/option-error.ts";
import { type HeapOptions, OPTION_NAMES } from "../../../allocator/options/options.ts";
import { resolveOptions } from "../../../allocator/options/resolve-options.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { openHeap } from "../open-heap.ts";

/** The option that a refusal names. */
function refused(options: unknown): string {
  try {
    resolveOptions(options as HeapOptions);
  } catch (error) {
    if (error instanceof OptionError) return error.option;
    throw error;
  }
  return "nothing";
}

const unconvertible = Object.create(null);
const silent = new Proxy({}, {});
/** No option takes any of these. */
const never = [null, Symbol("word"), 10n, -0.5, "sizeKb=256 ", unconvertible, silent, [Symbol("x")], Number.NaN];
/** Objects that say nothing are fine where an object is meant, and any text may be in an option string. */
const takesEmpty = ["hooks", "quarantine", "stacks", "environment"];

describe.each(OPTION_NAMES)("the option %s", (name) => {
  test("refuses what it cannot be, by its name", () => {
    for (const value of never) {
      const isEmpty = value === unconvertible || value === silent;
      if ((isEmpty && takesEmpty.includes(name)) || (name === "scudoOptions" && typeof value === "string")) continue;
      expect(refused({ [name]: value }).split(".")[0], String(typeof value)).toBe(name);
    }
  });

  test("takes undefined for not given", () => {
    expect(refused({ [name]: undefined })).toBe("nothing");
  });
});

test.each([
  [{ quarantine: true }, "quarantine"],
  [{ quarantine: 256 }, "quarantine"],
  [{ quarantine: "sizeKb=256" }, "quarantine"],
  [{ quarantine: [256] }, "quarantine"],
  [{ quarantine: { sizeKb: "256" } }, "quarantine.sizeKb"],
  [{ quarantine: { sizeKb: null } }, "quarantine.sizeKb"],
  [{ unknownOptions: "wran" }, "unknownOptions"],
  [{ write: "stderr" }, "write"],
  [{ onReport: 5 }, "onReport"],
  [{ hooks: { allocate: 5 } }, "hooks.allocate"],
  [{ hooks: () => {} }, "hooks"],
  [{ stacks: 5 }, "stacks"],
  [{ stacks: { capacity: 0 } }, "stacks.capacity"],
  [{ environment: { SCUDO_OPTIONS: 1 } }, "environment.SCUDO_OPTIONS"],
  [{ kernel: {} }, "kernel"],
  [{ process: { pid: 1 } }, "process"],
  [{ memoryBytes: 2 ** 24 + 1 }, "memoryBytes"],
  [{ config: {} }, "config.primary"],
  [{ config: { primary: {} } }, "config.primary.sizeClassMap"],
  [{ config: { primry: {} } }, "config.primry"],
  [Object.create({ fill: "patern" }), "fill"],
  [[], "options"],
])("%j is refused by name", (options, option) => {
  expect(refused(options)).toBe(option);
});

test("a getter is read once: what was checked is what counts", () => {
  let reads = 0;
  const words = ["zero", "patern"];
  const options = {
    get fill() {
      return words[reads++];
    },
  } as HeapOptions;
  expect(resolveOptions(options).fill).toBe("zero");
  expect(reads).toBe(1);
});

test("hooks of a class are called as its methods", () => {
  class Counter {
    #count = 0;
    allocate(): void {
      this.#count++;
    }
    get count(): number {
      return this.#count;
    }
  }
  const counter = new Counter();
  const heap = openHeap({ hooks: counter });
  heap.malloc(1);
  expect(counter.count).toBe(1);
});

test("a heap that cannot be made leaves no process behind", () => {
  const kernel = createKernel({ memoryBytes: 2 ** 24, mte: false });
  expect(() => new Heap({ kernel, tagging: "sync" })).toThrow(RangeError);
  expect(() => new Heap({ kernel, uninitialised: "byte" })).toThrow(RangeError);
  expect(kernel.processes.size).toBe(0);
});

test("a process that has ended is refused", () => {
  const process = createKernel({ memoryBytes: 2 ** 24 }).createProcess();
  process.exit(0);
  expect(() => new Heap({ process })).toThrow("has ended");
});

describe("the setters of a heap", () => {
  const wrong = [undefined, null, 5, "patern", {}, Symbol("x"), true] as never[];

  test.each<[string, (heap: Heap, value: never) => void]>([
    [
      "fill",
      (heap, value) => {
        heap.fill = value;
      },
    ],
    ["setTagging", (heap, value) => heap.setTagging(value)],
    ["malloc_set_zero_contents", (heap, value) => heap.malloc_set_zero_contents(value)],
    ["malloc_set_pattern_fill_contents", (heap, value) => heap.malloc_set_pattern_fill_contents(value)],
    ["malloc_set_add_large_allocation_slack", (heap, value) => heap.malloc_set_add_large_allocation_slack(value)],
    ["malloc_set_track_allocation_stacks", (heap, value) => heap.malloc_set_track_allocation_stacks(value)],
    ["mallopt, code", (heap, value) => heap.mallopt(value, 0)],
    ["mallopt, value", (heap, value) => heap.mallopt(-100, value)],
    ["malloc_info", (heap, value) => heap.malloc_info(0, value)],
    ["withThread, thread", (heap, value) => heap.withThread(value, () => {})],
    ["withThread, work", (heap, value) => heap.withThread(heap.process.mainThread, value)],
    ["endThread", (heap, value) => heap.endThread(value)],
    ["inProcess", (heap, value) => heap.inProcess(value)],
  ])("%s refuses wrong words and changes nothing", (name, set) => {
    const heap = openHeap({ fill: "pattern" });
    const settings = () => [
      heap.fill,
      heap.tagging,
      heap.stats().primary.releaseIntervalMs,
      heap.process.currentThread,
    ];
    const before = settings();
    for (const value of wrong) {
      if (value === 5 && name.startsWith("mallopt")) continue;
      expect(() => set(heap, value), String(value)).toThrow(/^(?!Cannot|.*undefined \().*/);
    }
    expect(settings()).toEqual(before);
  });

  test("releaseToOS refuses a kind that there is not", () => {
    expect(() => openHeap().releaseToOS("all" as never)).toThrow(OptionError);
  });

  test("malloc_iterate refuses what is no range and no function, disabled or not", () => {
    const heap = openHeap();
    heap.malloc_disable();
    for (const given of [5, "f", null, {}, undefined])
      expect(() => heap.malloc_iterate(0, 2 ** 38, given as never)).toThrow(TypeError);
    expect(() => heap.malloc_iterate(-1, 8, () => {})).toThrow(RangeError);
    expect(() => heap.malloc_iterate(0, Number.NaN, () => {})).toThrow(RangeError);
    heap.malloc_enable();
  });

  test("mallopt refuses what is no C int", () => {
    const heap = openHeap();
    for (const value of [Number.NaN, 0.5, 2 ** 31, -(2 ** 31) - 1]) {
      expect(() => heap.mallopt(-100, value)).toThrow(RangeError);
      expect(() => heap.mallopt(value, 0)).toThrow(RangeError);
    }
    expect(() => heap.mallopt(-100, "1" as never)).toThrow(TypeError);
  });
});

describe("the checker", () => {
  const checkerOf = () => {
    const heap = openHeap({ uninitialised: "byte" });
    const pointer = heap.malloc(8);
    return { checker: heap.checker, pointer };
  };

  test.each([
    null,
    undefined,
    Number.NaN,
    "16",
    {},
    { address: 16 },
    { address: -1, length: 8 },
    { adress: 16, length: 8 },
    [],
  ])("refuses %j as a root, which would reach nothing", (root) => {
    const { checker, pointer } = checkerOf();
    expect(() => checker.leakCheck({ roots: [pointer, root as never] })).toThrow(/^leakCheck: roots: /);
    expect(checker.findings).toEqual([]);
    expect(checker.leakCheck({ roots: [pointer, 0, -1, { address: pointer, length: 8 }] }).findings).toEqual([]);
  });

  test("refuses exceptions that are no set", () => {
    const { checker, pointer } = checkerOf();
    for (const except of [[pointer], { pointer }, new Date()])
      expect(() => checker.leakCheck({ except: except as never })).toThrow("except is a set of pointers");
    expect(checker.leakCheck({ except: new Set([pointer]) }).findings).toEqual([]);
  });

  test("refuses bits that are no bytes, and suppressions that say nothing", () => {
    const { checker, pointer } = checkerOf();
    for (const bits of [null, "11", [1, 2], () => {}, new Uint16Array(2)])
      expect(() => checker.setValidityBits(pointer, bits as never)).toThrow("bits are a Uint8Array");
    for (const given of [null, undefined, 5, {}])
      expect(() => checker.addSuppressions(given as never)).toThrow("is not one of kind, functionName, file");
    for (const given of ["leak fun:main", [{ kind: "leak" }]])
      expect(() => checker.addSuppressions(given as never)).toThrow(
        "lines of text are given as ...parseSuppressions(text)",
      );
  });
});
