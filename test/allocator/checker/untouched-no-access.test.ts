// Memory without access that was not stored to: it stays untouched, and each way to it is found all the same.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";

const MIB = 2 ** 20;
const BYTES = 64 * MIB;
const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;
const KINDS = ["malloc", "calloc", "calloc that was loaded", "mmap", "mmap, read-only"] as const;

function create(kind: (typeof KINDS)[number], bytes = BYTES) {
  const heap = new Heap({ uninitialised: "byte", memoryBytes: 32 * MIB, seed: 1 });
  const { process } = heap;
  let p: number;
  if (kind === "malloc") p = heap.malloc(bytes);
  else if (kind.startsWith("calloc")) p = heap.calloc(1, bytes);
  else p = process.mmap(0, bytes, kind === "mmap" ? PROT_READ | PROT_WRITE : PROT_READ, PRIVATE);
  if (kind.endsWith("loaded")) for (let at = p; at < p + bytes; at += 4096) heap.memory.getUint8(at);
  return { heap, process, p };
}
const seen = (heap: Heap) => heap.checker.findings.map(({ kind, operation }) => `${kind} ${operation}`);

describe.each(KINDS)("64 MiB of %s", (kind) => {
  test("become no more resident, though the machine has half as much, and loads and stores are found", () => {
    const { heap, p } = create(kind);
    const before = heap.process.rssBytes;
    heap.checker.makeNoAccess(p + 5, BYTES - 10);
    expect(heap.process.rssBytes).toBe(before);
    heap.memory.getUint8(p + 30 * MIB);
    if (!kind.endsWith("only")) heap.memory.setUint8(p + 50 * MIB, 1);
    heap.memory.getUint32(p + 40 * MIB - 2);
    expect(seen(heap)).toEqual(
      ["invalid-access load", "invalid-access store", "invalid-access load"].filter(
        (_, i) => i !== 1 || !kind.endsWith("only"),
      ),
    );
    expect(heap.process.rssBytes - before).toBeLessThanOrEqual(4 * 4096);
  });

  test("the bytes beside them stay the program's", () => {
    const { heap, p } = create(kind);
    heap.checker.makeNoAccess(p + 4096 + 5, 8192);
    heap.checker.reportOn = "use";
    heap.memory.getUint32(p + 4096);
    heap.memory.getUint8(p + 4096 + 5 + 8192);
    expect(heap.checker.findings).toEqual([]);
    heap.memory.getUint8(p + 4096 + 4 + 8192);
    expect(seen(heap)).toEqual(["invalid-access load"]);
  });
});

test("pages that were given back are without access still", () => {
  const { heap, process, p } = create("mmap", MIB);
  heap.memory.fill(p, 1, MIB);
  heap.checker.makeNoAccess(p, MIB);
  process.madvise(p, MIB, MADV_DONTNEED);
  heap.memory.getUint8(p + 4096);
  expect(seen(heap)).toEqual(["invalid-access load"]);
});

test("new memory at the same addresses is the program's", () => {
  const { heap, process, p } = create("mmap", MIB);
  heap.checker.makeNoAccess(p, MIB);
  process.mmap(p, MIB / 2, PROT_READ | PROT_WRITE, PRIVATE | MAP_FIXED);
  heap.memory.getUint8(p);
  expect(seen(heap)).toEqual([]);
  heap.memory.getUint8(p + MIB / 2);
  expect(seen(heap)).toEqual(["invalid-access load"]);
});

test("a large block that realloc moves keeps them", () => {
  const { heap, p } = create("calloc", MIB);
  heap.malloc(MIB);
  heap.checker.makeNoAccess(p + 300_000, 100_000);
  const moved = heap.realloc(p, 8 * MIB);
  heap.memory.getUint8(moved + 299_999);
  heap.memory.getUint8(moved + 400_000);
  expect(seen(heap)).toEqual([]);
  heap.memory.getUint8(moved + 350_000);
  expect(seen(heap)).toEqual(["invalid-access load"]);
});

test("a system call that reads them is reported", () => {
  const { heap, process, p } = create("mmap", MIB);
  heap.checker.makeNoAccess(p, MIB);
  const fd = process.memfd_create("f", 0);
  process.write(fd, p + 100, 8);
  expect(seen(heap)).toEqual(["invalid-access system call"]);
});
