// Every public function that takes an object of options: a misspelt name or a value of another type is refused, and changes nothing.
// A heap's own options have their table in options/.
import { describe, expect, test } from "vitest";
import { formatFinding, formatFindings } from "../../allocator/checker/finding-text.ts";
import { findingsToSarif } from "../../allocator/checker/sarif.ts";
import { Heap } from "../../allocator/heap/heap.ts";
import { assertNoLeaks } from "../../allocator/testing/observe.ts";
import { HeapReporter } from "../../allocator/vitest/reporter.ts";
import { createMemory, Instance, instantiate, intercept, Module } from "../../allocator/wasm/index.ts";
import { requireOptions } from "../../platform/hardware/given-options.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { installRefpage } from "../../refpage/install.ts";
import { createKernel } from "../../refpage/kernel.ts";

type Options = Record<string, unknown>;

const machine = { memoryBytes: 2 ** 24 };
const heap = new Heap({ uninitialised: "byte", memoryBytes: 2 ** 26 });
const kernel = new Kernel(machine);
const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const pointer = heap.malloc(16);

/** Each taker of options, and the types of those that it knows. */
const takers: [string, (options: never) => unknown, Record<string, unknown>][] = [
  ["new Machine", (o) => new Machine(o), { memoryBytes: "x", mte: 1, gzvaBlockBytes: "x", shadow: "yes", buffer: [] }],
  ["new Kernel, the machine's", (o) => new Kernel(o), { memoryBytes: "x", mte: 0, shadow: "off" }],
  [
    "new Kernel",
    (o) => new Kernel(machine, o),
    {
      initialisation: "plumed",
      overcommit: 3,
      overcommitRatio: "50",
      maxMapCount: "x",
      fileMax: -1,
      clock: 5,
      seed: "1",
      syscalls: "x86",
      hugePages: "always",
      ipcLock: 1,
      homeFrames: "x",
    },
  ],
  ["createKernel, the machine's", (o) => createKernel(o), { memoryBytes: "x", mte: "on", shadow: 1 }],
  [
    "createKernel",
    (o) => createKernel(machine, o),
    { ipcLock: "yes", abi: 3, share: 1, hugeReferencePages: "x", overcommit: "x" },
  ],
  ["installRefpage", (o) => installRefpage(new Kernel(machine), o), { abi: "1", share: "no", hugeReferencePages: 2 }],
  [
    "hugePages",
    (o) => new Kernel(machine, { hugePages: o }),
    { enabled: "sometimes", useZeroPage: 1, sizes: 64, shmem: "x" },
  ],
  ["createProcess", (o) => kernel.createProcess(o), { name: 5, cgroup: "group" }],
  ["createCgroup", (o) => kernel.createCgroup(o), { name: 5, limitBytes: "1 GiB" }],
  ["khugepaged", (o) => kernel.khugepaged(kernel.createProcess(), o), { limit: "8", smallestPages: "1" }],
  ["snapshot", (o) => new Machine(machine).snapshot(o), { lossy: 1 }],
  ["createMempool", (o) => heap.checker.createMempool(1, o), { name: 5, redzoneBytes: "16", isZeroed: 1 }],
  ["toText", (o) => heap.checker.toText(o), { stable: "yes" }],
  ["formatFindings", (o) => formatFindings([], o), { stable: 1 }],
  ["formatFinding", (o) => formatFinding(finding(), o), { stable: 1 }],
  ["toSarif", (o) => heap.checker.toSarif(o), { sourceRoot: 5, automationId: 5 }],
  ["findingsToSarif", (o) => findingsToSarif([], o), { sourceRoot: 5 }],
  ["leakCheck", (o) => heap.checker.leakCheck(o), { roots: 5, pointers: "int", report: "leaks", except: 5 }],
  ["assertNoLeaks", (o) => assertNoLeaks(heap, o), { roots: 5 }],
  ["record", (o) => heap.record({ write: () => true }, o), { format: "txt" }],
  ["operatorNew", (o) => heap.operatorNew(1, o), { array: 1, alignment: "16", size: "x" }],
  ["operatorDelete", (o) => heap.operatorDelete(pointer, o), { array: "yes", size: "8" }],
  ["HeapReporter", (o) => new HeapReporter(o), { outputFile: 5, annotations: "yes", sourceRoot: 5, write: "stdout" }],
  ["wasm Module", (o) => new Module(empty, o), { checks: "all", nullBytes: "x", heap: 5, fileName: 5, invalidFree: 1 }],
  ["wasm Instance", (o) => new Instance(new Module(empty, o)), { uninitialised: "page", trackOrigins: 1 }],
  ["wasm intercept", (o) => intercept(o)[Symbol.dispose](), { callArguments: "x", exactArithmetic: 1 }],
];

function finding() {
  const own = new Heap({ uninitialised: "byte", memoryBytes: 2 ** 26 });
  own.memory.getUint8(own.malloc(1));
  return own.checker.findings[0];
}

describe.each(takers)("the options of %s", (_name, take, wrong) => {
  test("are an object", () => {
    for (const value of [null, 5, "text", true, []])
      expect(() => take(value as never), String(value)).toThrow(/^(?:.*object|option .*)/);
  });

  test("have no other names", () => {
    const [known] = Object.keys(wrong);
    for (const name of ["x", `${known}s`, known.slice(1), known.toUpperCase(), "toString", "__proto__"]) {
      const options = JSON.parse(`{"${name}":1}`) as Options;
      expect(() => take(options as never), name).toThrow(name);
    }
  });

  test.each(Object.entries(wrong))("%s is not of another type or value", (name, value) => {
    expect(() => take({ [name]: value } as never)).toThrow(name);
  });

  test("that are undefined are not given", () => {
    if (_name === "createCgroup") return;
    const options = Object.fromEntries(Object.keys(wrong).map((name) => [name, undefined]));
    try {
      take(options as never);
    } catch (error) {
      expect(String(error)).toMatch(/lost|one already|recorded already/);
    }
  });
});

test("a promise of the library is refused in the same way", async () => {
  await expect(instantiate(empty, {}, { cheks: "none" } as Options)).rejects.toThrow('"cheks"');
  expect(() => createMemory({ initial: 1 }, { memoryByte: 5 } as Options)).toThrow('"memoryByte"');
});

test("what was refused has changed nothing", () => {
  expect(heap.checker.mempoolExists(1)).toBe(true);
  expect(kernel.frames.cgroups.every(({ name }) => typeof name === "string")).toBe(true);
  heap.checkInvariants();
  kernel.checkInvariants();
});

test("a name that every object has is no option", () => {
  expect(() => requireOptions("f", { constructor: 1 }, { a: "any" })).toThrow(
    'f: unknown option "constructor"; known are a',
  );
  expect(() => requireOptions("f", { a: [1] }, { a: "number" })).toThrow("f: a is of type number, not a list");
});
