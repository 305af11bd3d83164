// Bulk operations against a plain Uint8Array: over page borders, in scattered frames, overlapping both ways, and where a page
// in the middle refuses.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGE_SIZE, PTE_READ, TAG_UNIT } from "../../../platform/hardware/layout.ts";
import type { Memory } from "../../../platform/hardware/memory.ts";
import { PhysicalMemory } from "../../../platform/hardware/physical-memory.ts";
import { type PageAt, pagedThread } from "./paged-thread.ts";

const ram = new PhysicalMemory({ memoryBytes: 16 * 2 ** 20, mte: false, shadow: false, gzvaBlockBytes: 64 });
const large = new PhysicalMemory({ memoryBytes: 5 * 2 ** 30, mte: false, shadow: false, gzvaBlockBytes: 64 });
// As a kernel does when it initialises a frame: a bank is made when it is first asked for.
large.bankOf(large.frameCount - 1);
const BANK_FRAMES = 2 ** 20;
const FIRST = 0x4000;
const BASE = FIRST * PAGE_SIZE;
const COUNT = 6;
const BYTES = COUNT * PAGE_SIZE;

function pages(frames: readonly number[]): PageAt[] {
  return frames.map((frame, index) => ({ page: FIRST + index, frame }));
}

const kinds: readonly (readonly [string, () => Memory])[] = [
  ["consecutive frames", () => pagedThread(ram, pages([5, 6, 7, 8, 9, 10])).memory],
  ["scattered frames", () => pagedThread(ram, pages([5, 6, 20, 9, 8, 7])).memory],
  [
    "frames around the end of the first bank",
    () => pagedThread(large, pages([-2, -1, 0, 1, -4, -3].map((i) => BANK_FRAMES + i))).memory,
  ],
];

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Memory and a plain copy of it, filled alike with bytes that differ everywhere. */
function filled(memory: Memory): Uint8Array {
  const plain = Uint8Array.from({ length: BYTES }, (_, i) => (i * 131 + (i >> 9)) & 0xff);
  memory.write(BASE, plain);
  return plain;
}

/** Positions and lengths with a liking for page borders. */
const position = fc.oneof(
  fc.nat(BYTES),
  fc
    .tuple(fc.nat(COUNT), fc.integer({ min: -3, max: 3 }))
    .map(([n, off]) => Math.min(Math.max(n * PAGE_SIZE + off, 0), BYTES)),
);
const range = fc
  .tuple(position, fc.oneof(position, fc.nat(80)))
  .map(([start, length]) => ({ start, length: Math.min(length, BYTES - start) }));

describe.each(kinds)("in %s", (_, make) => {
  test("write and read move the bytes of any range and touch no others", () => {
    const memory = make();
    const plain = filled(memory);
    fc.assert(
      fc.property(range, fc.nat(255), ({ start, length }, seed) => {
        const source = Uint8Array.from({ length }, (_, i) => (i + seed) & 0xff);
        memory.write(BASE + start, source);
        plain.set(source, start);
        expect(sameBytes(memory.read(BASE + start, length), source)).toBe(true);
        expect(sameBytes(memory.read(BASE, BYTES), plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("fill sets any range to one byte", () => {
    const memory = make();
    const plain = filled(memory);
    fc.assert(
      fc.property(range, fc.nat(255), ({ start, length }, byte) => {
        memory.fill(BASE + start, byte, length);
        plain.fill(byte, start, start + length);
        expect(sameBytes(memory.read(BASE, BYTES), plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("fillPattern starts the pattern at the range's first byte and keeps it in step over page borders", () => {
    const memory = make();
    const plain = filled(memory);
    fc.assert(
      fc.property(range, fc.uint8Array({ minLength: 1, maxLength: 40 }), ({ start, length }, pattern) => {
        memory.fillPattern(BASE + start, length, pattern);
        for (let i = 0; i < length; i++) plain[start + i] = pattern[i % pattern.length];
        expect(sameBytes(memory.read(BASE, BYTES), plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("fillPattern takes a pattern longer than a page", () => {
    const memory = make();
    const plain = filled(memory);
    const pattern = Uint8Array.from({ length: PAGE_SIZE + 100 }, (_, i) => (i * 3) & 0xff);
    memory.fillPattern(BASE + 7, 3 * PAGE_SIZE, pattern);
    for (let i = 0; i < 3 * PAGE_SIZE; i++) plain[7 + i] = pattern[i % pattern.length];
    expect(sameBytes(memory.read(BASE, BYTES), plain)).toBe(true);
  });

  test("copy is memmove, however the ranges overlap", () => {
    const memory = make();
    const plain = filled(memory);
    const near = fc.oneof(fc.integer({ min: -PAGE_SIZE - 5, max: PAGE_SIZE + 5 }), fc.integer({ min: -40, max: 40 }));
    fc.assert(
      fc.property(
        range,
        fc.oneof(
          position,
          near.map((off) => ({ off })),
        ),
        ({ start, length }, to) => {
          const wanted = typeof to === "number" ? to : start + to.off;
          const target = Math.min(Math.max(wanted, 0), BYTES - length);
          memory.copy(BASE + target, BASE + start, length);
          plain.copyWithin(target, start, start + length);
          expect(sameBytes(memory.read(BASE, BYTES), plain)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("compare has the sign of the first difference", () => {
    const memory = make();
    fc.assert(
      fc.property(range, position, fc.option(position), ({ start, length }, other, change) => {
        memory.fill(BASE, 7, BYTES);
        const size = Math.min(length, BYTES - other);
        if (change !== null && change < BYTES) memory.setUint8(BASE + change, 9);
        const plain = memory.read(BASE, BYTES);
        const want = Buffer.compare(plain.subarray(start, start + size), plain.subarray(other, other + size));
        expect(memory.compare(BASE + start, BASE + other, size)).toBe(want);
      }),
      { numRuns: 100 },
    );
  });

  test("compare takes bytes as unsigned", () => {
    const memory = make();
    memory.fill(BASE, 0x7f, 16);
    memory.fill(BASE + PAGE_SIZE, 0x80, 16);
    expect(memory.compare(BASE, BASE + PAGE_SIZE, 16)).toBe(-1);
    expect(memory.compare(BASE + PAGE_SIZE, BASE, 16)).toBe(1);
  });
});

test("a copy between pages of the same frames goes page by page upwards, though their frames are neighbours", () => {
  const { memory } = pagedThread(ram, pages([5, 6, 7, 6, 7, 8]));
  filled(memory);
  const first = memory.read(BASE, PAGE_SIZE);
  memory.copy(BASE + 3 * PAGE_SIZE, BASE, 3 * PAGE_SIZE);
  for (const page of [3, 4, 5]) expect(sameBytes(memory.read(BASE + page * PAGE_SIZE, PAGE_SIZE), first)).toBe(true);
});

describe("strings", () => {
  const memory = () => pagedThread(ram, pages([5, 20, 7])).memory;

  test.each(["", "plain", "größer als ASCII", "🂡 four bytes", "x".repeat(5000)])(
    "%j comes back over a page border",
    (text) => {
      const of = memory();
      const at = BASE + PAGE_SIZE - 3;
      expect(of.writeString(at, text)).toBe(Buffer.byteLength(text) + 1);
      expect(of.readString(at)).toBe(text);
    },
  );

  test("a string without NUL ends at maxLength, and nothing beyond is touched", () => {
    const of = memory();
    of.fill(BASE, 0x61, 3 * PAGE_SIZE);
    expect(of.readString(BASE + 3 * PAGE_SIZE - 4, 4)).toBe("aaaa");
    expect(of.readString(BASE, 0)).toBe("");
  });

  test("a string that runs out of its mapping faults at the first byte beyond", () => {
    const of = memory();
    of.fill(BASE, 0x61, 3 * PAGE_SIZE);
    expect(() => of.readString(BASE)).toThrow(expect.objectContaining({ address: BASE + 3 * PAGE_SIZE }));
  });
});

type Operation = readonly [name: string, run: (memory: Memory, address: number, length: number) => unknown];
const stores: readonly Operation[] = [
  ["fill", (memory, address, length) => memory.fill(address, 0xee, length)],
  ["fillPattern", (memory, address, length) => memory.fillPattern(address, length, Uint8Array.of(0xee, 0xee, 0xee))],
  ["write", (memory, address, length) => memory.write(address, new Uint8Array(length).fill(0xee))],
];
const loads: readonly Operation[] = [
  ["read", (memory, address, length) => memory.read(address, length)],
  ["readInto", (memory, address, length) => memory.readInto(address, new Uint8Array(length))],
  ["compare", (memory, address, length) => memory.compare(address, BASE, length)],
  ["copy from", (memory, address, length) => memory.copy(BASE, address, length)],
];
const all: readonly Operation[] = [
  ...stores,
  ...loads,
  ["copy to", (memory, address, length) => memory.copy(address, BASE, length)],
];

describe.each(stores)("%s", (_, run) => {
  test("into a page that may not be written stops there, with what lies before it stored", () => {
    const { memory } = pagedThread(ram, [
      { page: FIRST, frame: 5 },
      { page: FIRST + 1, frame: 6, flags: PTE_READ },
      { page: FIRST + 2, frame: 7 },
    ]);
    for (const frame of [5, 6, 7]) ram.fillFrame(frame, 1);
    expect(() => run(memory, BASE + 4000, 2 * PAGE_SIZE)).toThrow(
      expect.objectContaining({ code: "SEGV_ACCERR", address: BASE + PAGE_SIZE, access: "store" }),
    );
    expect(new Set(memory.read(BASE + 4000, 96))).toEqual(new Set([0xee]));
    expect(new Set(memory.read(BASE + PAGE_SIZE, 2 * PAGE_SIZE))).toEqual(new Set([1]));
  });
});

describe.each(all)("%s", (_, run) => {
  test("of no bytes does nothing, wherever it points", () => {
    const { memory } = pagedThread(ram, pages([5]));
    expect(() => run(memory, 0x123456, 0)).not.toThrow();
  });

  test.each([NaN, BASE + 0.5, Infinity])("refuses address %d", (address) => {
    const { memory } = pagedThread(ram, pages([5, 6]));
    expect(() => run(memory, address, 10)).toThrow(RangeError);
  });

  test.each([-1, 2 ** 38, 2 ** 38 + BASE, -(2 ** 52)])("faults at address %d", (address) => {
    const { memory } = pagedThread(ram, [{ page: 0, frame: 4 }, ...pages([5, 6])]);
    expect(() => run(memory, address, 10)).toThrow(expect.objectContaining({ name: "SegmentationFault" }));
  });

  test("does not wrap from the last address to the first", () => {
    const { memory } = pagedThread(ram, [{ page: 2 ** 26 - 1, frame: 5 }, { page: 0, frame: 6 }, ...pages([8, 9])]);
    for (const frame of [5, 6, 8, 9]) ram.fillFrame(frame, 1);
    expect(() => run(memory, 2 ** 38 - PAGE_SIZE, PAGE_SIZE + 8)).toThrow(
      expect.objectContaining({ name: "SegmentationFault", address: 2 ** 38 }),
    );
    expect(memory.getUint32(0)).toBe(0x01010101);
  });

  test("takes pointers with tags", () => {
    const { memory } = pagedThread(ram, pages([5, 6]));
    expect(() => run(memory, BASE + PAGE_SIZE - 8 + 3 * TAG_UNIT, 16)).not.toThrow();
  });
});

test.each([NaN, -1, 1.5, Infinity])("a length of %d is refused", (length) => {
  const { memory } = pagedThread(ram, pages([5]));
  expect(() => memory.fill(BASE, 1, length)).toThrow(RangeError);
  expect(() => memory.fillPattern(BASE, length, Uint8Array.of(1, 2))).toThrow(RangeError);
  expect(() => memory.copy(BASE, BASE + 8, length)).toThrow(RangeError);
  expect(() => memory.compare(BASE, BASE + 8, length)).toThrow(RangeError);
  expect(() => memory.read(BASE, length)).toThrow(RangeError);
});

test("an empty pattern is refused", () => {
  expect(() => pagedThread(ram, pages([5])).memory.fillPattern(BASE, 8, new Uint8Array(0))).toThrow(RangeError);
});

test("bytes that a program fills are counted, those that a fault kept it from are not", () => {
  const { memory, counters } = pagedThread(ram, pages([5, 6]));
  memory.fill(BASE, 1, 100);
  memory.fillPattern(BASE, 50, Uint8Array.of(1, 2));
  expect(counters.userBytesFilled).toBe(150);
  expect(() => memory.fill(BASE, 1, 3 * PAGE_SIZE)).toThrow();
  expect(() => memory.fillPattern(BASE, 3 * PAGE_SIZE, Uint8Array.of(1, 2))).toThrow();
  expect(counters.userBytesFilled).toBe(150 + 4 * PAGE_SIZE);
});
