// Findings beyond their text: SARIF's structure, suppressions, and what handlers and requests that fail leave behind.
import { expect, test } from "vitest";
import { Heap, parseSuppressions } from "../../../allocator/index.ts";

const byteHeap = () => new Heap({ uninitialised: "byte", stacks: true, memoryBytes: 64 * 2 ** 20, seed: 1 });

function readFirst(heap: Heap, pointer: number): number {
  return heap.memory.getUint32(pointer);
}

test("SARIF has what version 2.1.0 requires, and places that exist", () => {
  const heap = byteHeap();
  readFirst(heap, heap.malloc(8));
  heap.checker.leakCheck();
  const region = { startLine: expect.any(Number), startColumn: expect.any(Number) };
  const location = expect.objectContaining({
    physicalLocation: {
      artifactLocation: { uri: "test/allocator/checker/forms.test.ts", uriBaseId: "%SRCROOT%" },
      region,
    },
  });
  expect(heap.checker.toSarif()).toMatchObject({
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "refheap", rules: expect.any(Array) } },
        results: [
          { ruleId: "uninitialised", level: "error", message: { text: expect.any(String) }, locations: [location] },
          { ruleId: "leak", level: "error", message: { text: expect.any(String) }, locations: [location] },
        ],
      },
    ],
  });
});

test("the same use from the same place is one finding; suppressed ones are not in the list", () => {
  const heap = byteHeap();
  const p = heap.malloc(8);
  for (let i = 0; i < 3; i++) readFirst(heap, p);
  expect(heap.checker.findings.map(({ count }) => count)).toEqual([3]);
  expect(heap.checker.countErrors()).toBe(3);

  for (const line of ["fun:readF*", "uninitialised file:forms.test.ts", "file:*.test.ts"]) {
    const other = byteHeap();
    other.checker.addSuppressions(...parseSuppressions(`${line} # known`));
    readFirst(other, other.malloc(8));
    expect(other.checker.findings).toEqual([]);
  }
  const kept = byteHeap();
  kept.checker.addSuppressions(...parseSuppressions("leak fun:readFirst\nfile:codec.ts"));
  readFirst(kept, kept.malloc(8));
  expect(kept.checker.findings).toHaveLength(1);
  expect(() => parseSuppressions("\nfunction:x")).toThrow('line 2: "function:x"');
});

test("write(2) of undefined bytes is one finding; a handler that throws there leaves kernel and heap whole", () => {
  const heap = byteHeap();
  const p = heap.calloc(1, 64);
  heap.checker.makeUndefined(p + 20, 4);
  const [reader, writer] = heap.process.pipe2();
  heap.process.write(writer, p, 64);
  expect(
    heap.checker.findings.map(({ operation, offset, firstUndefined }) => [operation, offset, firstUndefined]),
  ).toEqual([["system call", 0, p + 20]]);
  heap.process.read(reader, heap.calloc(1, 64), 64);
  heap.checker.clear();
  heap.checker.onFinding = () => {
    heap.free(heap.malloc(1000));
    throw new Error("stop");
  };
  expect(() => heap.process.write(writer, p, 64)).toThrow("stop");
  heap.process.kernel.checkInvariants();
  heap.checkInvariants();
});

test("requests for memory that is not the program's change nothing", () => {
  const heap = byteHeap();
  const p = heap.malloc(16);
  const { checker } = heap;
  for (const [address, length] of [
    [p - 8, 16],
    [p, 17],
    [4096, 8],
    [p, -1],
    [0.5, 1],
  ]) {
    expect(() => checker.makeDefined(address, length)).toThrow(RangeError);
    expect(() => checker.makeNoAccess(address, length)).toThrow(RangeError);
  }
  expect(checker.getValidityBits(p, 16)).toEqual(new Uint8Array(16).fill(0xff));
  heap.checkInvariants();
});
