// Client requests: what each one marks or reports, pools with their chunks' lives, and refusals that change nothing.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";

const createHeap = (uninitialised: "byte" | "page" = "byte") =>
  new Heap({ uninitialised, memoryBytes: 64 * 2 ** 20, seed: 1 });
const bitsOf = (heap: Heap, address: number, length: number) =>
  [...heap.checker.getValidityBits(address, length)].map((bit) => (bit === 0 ? "d" : "u")).join("");
const accessOf = (heap: Heap, address: number, length: number) => {
  heap.checker.disableErrorReporting();
  const text = Array.from({ length }, (_, i) => (heap.checker.checkIsAddressable(address + i, 1) === 0 ? "a" : "n"));
  heap.checker.enableErrorReporting();
  return text.join("");
};

describe("marks", () => {
  test("makeDefined, makeUndefined and setValidityBits reach exactly their bytes", () => {
    const heap = createHeap();
    const p = heap.malloc(8);
    heap.checker.makeDefined(p + 1, 3);
    expect(bitsOf(heap, p, 8)).toBe("uddduuuu");
    heap.checker.makeUndefined(p + 2, 1);
    expect(bitsOf(heap, p, 8)).toBe("ududuuuu");
    heap.checker.setValidityBits(p + 3, Uint8Array.of(1, 0, 0x80, 0));
    expect(bitsOf(heap, p, 8)).toBe("uduududu");
    expect(heap.checker.countErrors()).toBe(0);
  });

  test("contents stay under marks", () => {
    const heap = createHeap();
    const p = heap.malloc(4);
    heap.memory.setUint32(p, 0x12345678);
    heap.checker.makeUndefined(p, 4);
    heap.checker.makeDefined(p, 4);
    expect(heap.memory.getUint32(p)).toBe(0x12345678);
  });

  test("makeDefinedIfAddressable leaves out what is out of bounds", () => {
    const heap = createHeap();
    const p = heap.malloc(8);
    heap.checker.makeNoAccess(p + 2, 2);
    heap.checker.makeDefinedIfAddressable(p, 8);
    expect([bitsOf(heap, p, 2), bitsOf(heap, p + 4, 4)]).toEqual(["dd", "dddd"]);
    expect(accessOf(heap, p, 8)).toBe("aannaaaa");
  });

  test("on a heap that tracks pages they change nothing", () => {
    const heap = createHeap("page");
    const p = heap.calloc(1, 8);
    heap.checker.makeUndefined(p, 8);
    heap.checker.makeNoAccess(p, 8);
    expect(bitsOf(heap, p, 8)).toBe("dddddddd");
    expect(heap.checker.checkIsDefined(p, 8)).toBe(0);
  });
});

describe("checks", () => {
  test("checkIsDefined answers 0, or reports and answers the first undefined byte", () => {
    const heap = createHeap();
    const p = heap.malloc(16);
    heap.memory.fill(p, 1, 10);
    expect(heap.checker.checkIsDefined(p, 10)).toBe(0);
    expect(heap.checker.findings).toEqual([]);
    expect(heap.checker.checkIsDefined(p + 4, 12)).toBe(p + 10);
    expect(heap.checker.findings).toMatchObject([
      { kind: "uninitialised", operation: "check", offset: 4, firstUndefined: p + 10 },
    ]);
  });

  test("checkIsAddressable answers 0, or reports and answers the first byte that is not", () => {
    const heap = createHeap();
    const p = heap.malloc(16);
    expect(heap.checker.checkIsAddressable(p, 16)).toBe(0);
    expect(heap.checker.checkIsAddressable(p + 8, 9)).toBe(p + 16);
    heap.checker.makeNoAccess(p + 3, 1);
    expect(heap.checker.checkIsAddressable(p, 16)).toBe(p + 3);
    expect(heap.checker.findings.map(({ kind, cause }) => [kind, cause])).toEqual([
      ["invalid-access", "out-of-bounds"],
      ["invalid-access", "no-access"],
    ]);
  });
});

describe("pools", () => {
  function createPool(options: { redzoneBytes?: number; isZeroed?: boolean } = {}) {
    const heap = createHeap();
    const arena = heap.malloc(64);
    heap.checker.makeNoAccess(arena, 64);
    heap.checker.createMempool(arena, options);
    return { heap, arena, checker: heap.checker };
  }

  test("a chunk may be accessed while it lives, and begins undefined", () => {
    const { heap, arena, checker } = createPool();
    checker.mempoolAlloc(arena, arena + 8, 8);
    expect(accessOf(heap, arena + 6, 12)).toBe("nnaaaaaaaann");
    expect(bitsOf(heap, arena + 8, 8)).toBe("uuuuuuuu");
    heap.memory.setUint32(arena + 8, 1);
    expect(bitsOf(heap, arena + 8, 8)).toBe("dddduuuu");
    checker.mempoolFree(arena, arena + 8);
    expect(accessOf(heap, arena + 6, 12)).toBe("nnnnnnnnnnnn");
    expect(checker.countErrors()).toBe(0);
  });

  test("chunks of a zeroed pool count as written; redzones stay shut", () => {
    const { heap, arena, checker } = createPool({ isZeroed: true, redzoneBytes: 4 });
    checker.makeUndefined(arena, 64);
    checker.mempoolAlloc(arena, arena + 8, 4);
    expect(bitsOf(heap, arena + 8, 4)).toBe("dddd");
    expect(accessOf(heap, arena, 20)).toBe("aaaannnnaaaannnnaaaa");
  });

  test("mempoolTrim ends chunks outside the range and cuts what sticks out behind or in front", () => {
    const { heap, arena, checker } = createPool();
    for (const at of [0, 8, 16, 32]) checker.mempoolAlloc(arena, arena + at, 8);
    checker.mempoolTrim(arena, arena + 11, 9);
    expect(accessOf(heap, arena, 44)).toBe(`${"n".repeat(11)}${"a".repeat(9)}${"n".repeat(24)}`);
    heap.memory.fill(arena + 11, 1, 9);
    checker.mempoolTrim(arena, arena + 13, 1);
    expect(accessOf(heap, arena + 8, 16)).toBe("nnnnnannnnnnnnnn");
    expect(bitsOf(heap, arena + 13, 1)).toBe("d");
    checker.mempoolFree(arena, arena + 13);
    expect(() => checker.mempoolFree(arena, arena + 11)).toThrow("no chunk of the pool");
    expect(checker.countErrors()).toBe(0);
  });

  test("mempoolChange says where a chunk is and how long, and changes no marks", () => {
    const { heap, arena, checker } = createPool();
    checker.mempoolAlloc(arena, arena, 8);
    heap.memory.fill(arena, 1, 5);
    for (const [from, to, size] of [
      [arena, arena, 4],
      [arena, arena, 16],
      [arena, arena + 24, 8],
    ]) {
      checker.mempoolChange(arena, from!, to!, size!);
      expect(accessOf(heap, arena, 32)).toBe(`${"a".repeat(8)}${"n".repeat(24)}`);
      expect(bitsOf(heap, arena, 8)).toBe("ddddduuu");
    }
    checker.mempoolFree(arena, arena + 24);
    expect(() => checker.mempoolChange(arena, arena + 24, arena, 8)).toThrow("no chunk of the pool");
    expect(accessOf(heap, arena, 32)).toBe(`${"a".repeat(8)}${"n".repeat(24)}`);
  });

  test("destroyMempool answers what was alive; findings of later uses name the chunk and where it ended", () => {
    const { heap, arena, checker } = createPool({ redzoneBytes: 8 });
    checker.mempoolAlloc(arena, arena + 8, 8);
    checker.mempoolAlloc(arena, arena + 32, 16);
    checker.mempoolFree(arena, arena + 8);
    checker.makeDefined(arena + 48, 8); // a redzone that the program opened
    expect(checker.destroyMempool(arena)).toEqual({ blocks: 1, bytes: 16 });
    expect(accessOf(heap, arena, 64)).toBe("n".repeat(64));
    heap.memory.getUint8(arena + 40);
    const [{ cause, block, offset }] = checker.findings;
    expect([cause, offset, block?.size, block?.state, block?.arena]).toEqual([
      "use-after-free",
      8,
      16,
      "freed",
      "arena 1",
    ]);
    expect(block?.free[0]?.file).toContain("requests.test.ts");
  });

  test("a finding in a redzone names the arena's nearest chunk, live ones first", () => {
    const { heap, arena, checker } = createPool({ redzoneBytes: 8 });
    checker.mempoolAlloc(arena, arena + 8, 8);
    checker.mempoolAlloc(arena, arena + 24, 8);
    heap.memory.getUint8(arena + 16);
    heap.memory.getUint8(arena + 23);
    heap.memory.getUint8(arena + 4);
    heap.memory.getUint8(arena + 36);
    expect(checker.findings.map(({ cause, offset, block }) => [cause, offset, block?.pointer])).toEqual([
      ["out-of-bounds", 8, arena + 8],
      ["out-of-bounds", -1, arena + 24],
      ["out-of-bounds", -4, arena + 8],
      ["out-of-bounds", 12, arena + 24],
    ]);
    checker.mempoolFree(arena, arena + 8);
    heap.memory.getUint8(arena + 16);
    expect(checker.findings.at(-1)).toMatchObject({ block: { pointer: arena + 24 }, offset: -8 });
  });

  test("a leak check speaks of an arena's chunks in place of the chunk that they are dealt from", () => {
    const { heap, arena, checker } = createPool();
    checker.mempoolAlloc(arena, arena, 8);
    checker.mempoolAlloc(arena, arena + 16, 24);
    heap.memory.setFloat64(arena + 16, arena);
    const lost = checker.leakCheck();
    expect([lost.definitely, lost.indirectly]).toEqual([
      { blocks: 1, bytes: 24 },
      { blocks: 1, bytes: 8 },
    ]);
    expect(lost.findings).toMatchObject([{ block: { arena: "arena 1", size: 24 }, bytes: 24 }]);
    expect(lost.findings[0]!.stack[0]!.file).toContain("requests.test.ts");
    expect(checker.leakCheck({ roots: [arena + 16] }).reachable).toEqual({ blocks: 2, bytes: 32 });
    checker.mempoolFree(arena, arena);
    checker.mempoolFree(arena, arena + 16);
    expect(checker.leakCheck({ roots: [arena] }).reachable).toEqual({ blocks: 1, bytes: 64 });
  });

  test("chunks end with the memory that they were dealt from", () => {
    const { heap, arena, checker } = createPool();
    checker.mempoolAlloc(arena, arena + 8, 8);
    heap.free(arena);
    heap.memory.getUint8(arena + 9);
    expect(checker.findings).toMatchObject([{ cause: "use-after-free", block: { state: "freed" } }]);
  });

  test("moveMempool and destroyMempool: only the anchor that it has now is a pool", () => {
    const { heap, arena, checker } = createPool();
    checker.mempoolAlloc(arena, arena, 8);
    checker.moveMempool(arena, arena + 32);
    expect([checker.mempoolExists(arena), checker.mempoolExists(arena + 32)]).toEqual([false, true]);
    checker.destroyMempool(arena + 32);
    expect(checker.mempoolExists(arena + 32)).toBe(false);
    expect(accessOf(heap, arena, 8)).toBe("nnnnnnnn");
  });

  test("what is not there is refused", () => {
    const { arena, checker } = createPool();
    expect(() => checker.createMempool(arena)).toThrow("is one already");
    expect(() => checker.mempoolFree(arena, arena)).toThrow("no chunk of the pool");
    expect(() => checker.mempoolChange(arena, arena, arena, 8)).toThrow("no chunk of the pool");
    for (const request of ["destroyMempool", "mempoolTrim", "mempoolAlloc", "moveMempool"] as const)
      expect(() => checker[request](arena + 1, arena, 8)).toThrow(RangeError);
    checker.mempoolAlloc(arena, arena, 8);
    checker.mempoolFree(arena, arena);
    expect(() => checker.mempoolFree(arena, arena)).toThrow("no chunk of the pool");
  });
});

test.each(["makeDefined", "makeUndefined", "makeNoAccess", "makeDefinedIfAddressable", "getValidityBits"] as const)(
  "%s refuses memory that is not the program's, wholly, and arguments that are no numbers",
  (request) => {
    const heap = createHeap();
    const p = heap.malloc(16);
    const freed = heap.malloc(32);
    heap.free(freed);
    expect(() => heap.checker[request](p + 8, 9)).toThrow("not memory of the program");
    expect(() => heap.checker[request](freed, 1)).toThrow(RangeError);
    expect(() => heap.checker[request](4096, 1)).toThrow(RangeError);
    expect(() => heap.checker[request](p, -1)).toThrow(RangeError);
    expect(() => heap.checker[request](p + 0.5, 1)).toThrow("is not an address");
    expect(bitsOf(heap, p, 16)).toBe("u".repeat(16));
    expect(accessOf(heap, p, 16)).toBe("a".repeat(16));
  },
);
