// Chunk headers in simulated memory: where the word lies, what it packs, and that damage is found.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ChunkHeaders,
  CORRUPTED_HEADER,
  classIdOf,
  HEADER_SIZE,
  originOf,
  packLow,
  STATE_ALLOCATED,
  STATE_AVAILABLE,
  STATE_QUARANTINED,
  sizeOrUnusedOf,
  stateOf,
} from "../../../allocator/combined/chunk-header.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE } from "../../../platform/kernel/abi/mman.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const process = createKernel({ memoryBytes: 2 ** 24 }).createProcess();
const { memory } = process;
const page = process.mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS);
const pointer = page + 64;

describe.each(["crc32c", "bsd"] as const)("with %s checksums", (form) => {
  const headers = new ChunkHeaders({ cookie: 0x12345678, form });
  const low = packLow(44, STATE_ALLOCATED, 3, 131056);

  test("a stored header loads and is valid", () => {
    headers.store(memory, pointer, low, 1023);
    expect(headers.load(memory, pointer)).toBe(low);
    expect(headers.offset).toBe(1023);
    expect(headers.isValid(memory, pointer)).toBe(true);
  });

  test("with another cookie it is not valid", () => {
    const others = new ChunkHeaders({ cookie: 0x87654321, form });
    headers.store(memory, pointer, low, 0);
    expect(others.load(memory, pointer)).toBe(CORRUPTED_HEADER);
    expect(others.isValid(memory, pointer)).toBe(false);
  });

  test("at another pointer the same word is not valid", () => {
    headers.store(memory, pointer, low, 0);
    memory.copy(pointer + 32 - HEADER_SIZE, pointer - HEADER_SIZE, 8);
    expect(headers.isValid(memory, pointer + 32)).toBe(false);
  });

  test("a header is whole for its own pointer only: any other one, with a tag or beyond all memory, has the whole sum", () => {
    const from = fc.maxSafeNat().map((at) => at - (at % 16));
    fc.assert(
      fc.property(from, fc.integer({ min: 4, max: 52 }), (own, bit) => {
        const sum = headers.checksum(own, low, 0);
        expect(headers.isWhole(own, low, sum << 16)).toBe(true);
        const other = own + 2 ** bit;
        expect(headers.isWhole(other, low, sum << 16)).toBe(headers.checksum(other, low, 0) === sum);
      }),
    );
  });

  test("a header changed in place is the one that a store would make", () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(word, word, fc.nat(0xffff), (before, after, offset) => {
        headers.store(memory, pointer, after, offset);
        const wanted = memory.getBigUint64(pointer - HEADER_SIZE);
        headers.store(memory, pointer, before, offset);
        headers.load(memory, pointer);
        headers.change(memory, pointer, before, after);
        expect(memory.getBigUint64(pointer - HEADER_SIZE)).toBe(wanted);
      }),
    );
  });

  test("damage to any of the eight bytes is found", () => {
    for (let byte = 0; byte < 8; byte++) {
      headers.store(memory, pointer, low, 7);
      const address = pointer - HEADER_SIZE + byte;
      memory.setUint8(address, memory.getUint8(address) ^ 0x42);
      expect(headers.isValid(memory, pointer)).toBe(false);
    }
  });
});

test("the word is little-endian 16 bytes before the pointer, with Scudo's fields", () => {
  const headers = new ChunkHeaders({ cookie: 1, form: "crc32c" });
  headers.store(memory, pointer, packLow(7, STATE_QUARANTINED, 1, 0xabcde), 0x1234);
  const word = memory.getBigUint64(pointer - 16);
  expect(word & 0xffn).toBe(7n);
  expect((word >> 8n) & 3n).toBe(2n);
  expect((word >> 10n) & 3n).toBe(1n);
  expect((word >> 12n) & 0xfffffn).toBe(0xabcden);
  expect((word >> 32n) & 0xffffn).toBe(0x1234n);
});

test("fields come out of the low word as they went in", () => {
  for (const state of [STATE_AVAILABLE, STATE_ALLOCATED, STATE_QUARANTINED]) {
    for (const [classId, origin, size] of [[0, 0, 0] as const, [255, 3, 0xfffff] as const, [44, 2, 131056] as const]) {
      const low = packLow(classId, state, origin, size);
      expect([classIdOf(low), stateOf(low), originOf(low), sizeOrUnusedOf(low)]).toEqual([
        classId,
        state,
        origin,
        size,
      ]);
    }
  }
});
