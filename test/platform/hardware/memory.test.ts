// Every load and store against a DataView over plain bytes: in ordinary, scattered, tagged and high memory, at every alignment
// and over page borders; and what an access that cannot be made throws and leaves as it was.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { PAGE_SIZE, PTE_CHECKED, PTE_MTE, PTE_READ, TAG_UNIT } from "../../../platform/hardware/layout.ts";
import type { Memory } from "../../../platform/hardware/memory.ts";
import { PhysicalMemory } from "../../../platform/hardware/physical-memory.ts";
import { type PageAt, pagedThread, RW } from "./paged-thread.ts";

const ram = new PhysicalMemory({ memoryBytes: 16 * 2 ** 20, mte: true, shadow: false, gzvaBlockBytes: 64 });
const large = new PhysicalMemory({ memoryBytes: 5 * 2 ** 30, mte: false, shadow: false, gzvaBlockBytes: 64 });
// As a kernel does when it initialises a frame: a bank is made when it is first asked for.
large.bankOf(large.frameCount - 1);
const shadowed = new PhysicalMemory({ memoryBytes: 16 * 2 ** 20, mte: false, shadow: true, gzvaBlockBytes: 64 });
const BANK_FRAMES = 2 ** 20;
const FIRST = 0x1000;
const BASE = FIRST * PAGE_SIZE;
const LIMIT = 2 ** 38;

function pages(frames: readonly number[], flags = RW): PageAt[] {
  return frames.map((frame, index) => ({ page: FIRST + index, frame, flags }));
}

/** Four pages each; what differs is where their frames lie and which path an access takes. */
const kinds: readonly (readonly [string, () => Memory])[] = [
  ["consecutive frames", () => pagedThread(ram, pages([5, 6, 7, 8])).memory],
  ["scattered frames", () => pagedThread(ram, pages([9, 3, 20, 1])).memory],
  ["PROT_MTE pages", () => pagedThread(ram, pages([9, 3, 20, 1], RW | PTE_MTE | PTE_CHECKED)).memory],
  ["RAM with validity bits", () => pagedThread(shadowed, pages([9, 3, 20, 1])).memory],
  ["frames of both banks", () => pagedThread(large, pages([BANK_FRAMES + 1, 3, BANK_FRAMES - 1, BANK_FRAMES])).memory],
];

type Name =
  | "Uint8"
  | "Int8"
  | "Uint16"
  | "Int16"
  | "Uint32"
  | "Int32"
  | "Float32"
  | "Float64"
  | "BigUint64"
  | "BigInt64";
const sizes: Record<Name, number> = {
  Uint8: 1,
  Int8: 1,
  Uint16: 2,
  Int16: 2,
  Uint32: 4,
  Int32: 4,
  Float32: 4,
  Float64: 8,
  BigUint64: 8,
  BigInt64: 8,
};
const names = Object.keys(sizes) as Name[];
const numbers = [
  0,
  1,
  -1,
  127,
  128,
  255,
  256,
  65535,
  65537,
  2 ** 31,
  2 ** 32 + 5,
  -(2 ** 31),
  3.99,
  1e300,
  -0,
  NaN,
  Infinity,
];
const bigints = [0n, 1n, -1n, 2n ** 63n, 2n ** 64n + 7n, -(2n ** 63n)];

type Value = number | bigint;

function store(target: Memory | DataView, name: Name, at: number, value: Value): void {
  const set = target[`set${name}`] as (at: number, value: Value, littleEndian: boolean) => void;
  set.call(target, at, value, true);
}

function load(source: Memory | DataView, name: Name, at: number): Value {
  const get = source[`get${name}`] as (at: number, littleEndian: boolean) => Value;
  return get.call(source, at, true);
}

/** The first byte that differs between memory, read by the slowest way there is, and plain bytes; −1 if none does. */
function difference(memory: Memory, plain: DataView): number {
  for (let i = 0; i < 4 * PAGE_SIZE; i++) if (memory.getUint8(BASE + i) !== plain.getUint8(i)) return i;
  return -1;
}

describe.each(kinds)("in %s", (_, make) => {
  let memory: Memory;
  let plain: DataView;
  beforeEach(() => {
    memory = make();
    plain = new DataView(new ArrayBuffer(4 * PAGE_SIZE));
    for (let i = 0; i < 4 * PAGE_SIZE; i++) {
      memory.setUint8(BASE + i, (i * 31 + (i >> 8)) & 0xff);
      plain.setUint8(i, (i * 31 + (i >> 8)) & 0xff);
    }
  });

  test.each(names)("get%s reads what a DataView reads, at each offset around a page border", (name) => {
    for (let at = PAGE_SIZE - 10; at < PAGE_SIZE + 10; at++) {
      expect(load(memory, name, BASE + at)).toEqual(load(plain, name, at));
    }
  });

  test.each(names)("set%s stores what a DataView stores, at each offset around a page border", (name) => {
    const values: readonly Value[] = name.startsWith("Big") ? bigints : numbers;
    for (const value of values) {
      for (let at = 2 * PAGE_SIZE - 10; at < 2 * PAGE_SIZE + 2; at++) {
        store(memory, name, BASE + at, value);
        store(plain, name, at, value);
      }
    }
    expect(difference(memory, plain)).toBe(-1);
  });

  test("any sequence of accesses leaves the bytes that a DataView would have", () => {
    const access = fc.tuple(fc.constantFrom(...names), fc.nat(4 * PAGE_SIZE - 8), fc.integer(), fc.boolean());
    fc.assert(
      fc.property(fc.array(access, { minLength: 1, maxLength: 50 }), (accesses) => {
        for (const [name, at, number, isStore] of accesses) {
          const value = name.startsWith("Big") ? BigInt(number) * 4294967311n : number * 1.5;
          if (isStore) {
            store(memory, name, BASE + at, value);
            store(plain, name, at, value);
          } else expect(load(memory, name, BASE + at)).toEqual(load(plain, name, at));
        }
        expect(difference(memory, plain)).toBe(-1);
      }),
      { numRuns: 30 },
    );
  });

  test("a value of the wrong type is refused as a DataView refuses it, and later stores are not harmed", () => {
    const crossing = BASE + PAGE_SIZE - 3;
    for (const name of names) {
      const wrong = (name.startsWith("Big") ? 5 : 5n) as Value;
      expect(() => store(memory, name, BASE + 8, wrong)).toThrow(TypeError);
      expect(() => store(memory, name, crossing, wrong)).toThrow(TypeError);
    }
    expect(difference(memory, plain)).toBe(-1);
    memory.setUint32(BASE + 2 * PAGE_SIZE, 0xdeadbeef);
    expect(memory.getUint32(BASE + 2 * PAGE_SIZE)).toBe(0xdeadbeef);
  });
});

const accesses: readonly [string, Name, "load" | "store"][] = names.flatMap((name) => [
  [`get${name}`, name, "load"],
  [`set${name}`, name, "store"],
]);

function attempt(memory: Memory, name: Name, kind: "load" | "store", at: number): unknown {
  try {
    if (kind === "load") load(memory, name, at);
    else store(memory, name, at, name.startsWith("Big") ? 1n : 1);
    return "done";
  } catch (error) {
    return error;
  }
}

describe.each(accesses)("%s", (_, name, kind) => {
  const size = sizes[name];

  test.each([NaN, BASE + 0.5, BASE + PAGE_SIZE - 0.5, 0.25, Infinity, -Infinity])("refuses address %d", (at) => {
    const { memory } = pagedThread(ram, [{ page: 0, frame: 4 }, ...pages([5, 6])]);
    expect(attempt(memory, name, kind, at)).toBeInstanceOf(RangeError);
  });

  test.each([
    ["negative", -1],
    ["far negative", -(2 ** 52)],
    ["the first beyond 2^38", LIMIT],
    ["as far beyond as a mapped page is from 0", LIMIT + BASE],
    ["2^48 with a tag of 16", 16 * TAG_UNIT + BASE],
    ["2^53", 2 ** 53],
    ["2^63", 2 ** 63],
    ["2^64 + a mapped page", 2 ** 64 + BASE],
    ["1e300", 1e300],
  ])("faults at an address that is %s, although the same bits below are mapped", (_what, at) => {
    const { memory, counters } = pagedThread(ram, [{ page: 0, frame: 4 }, ...pages([5, 6])]);
    const error = attempt(memory, name, kind, at);
    expect(error).toMatchObject({ name: "SegmentationFault", code: "SEGV_MAPERR", access: kind });
    expect(counters.segmentationFaults).toBe(1);
  });

  test("does not wrap from the last address to the first", () => {
    if (size === 1) return;
    const { memory } = pagedThread(ram, [
      { page: 2 ** 26 - 1, frame: 5 },
      { page: 0, frame: 6 },
    ]);
    ram.fillFrame(5, 0);
    ram.fillFrame(6, 0);
    expect(attempt(memory, name, kind, LIMIT - 1)).toMatchObject({ code: "SEGV_MAPERR", address: LIMIT });
    expect(memory.getUint8(LIMIT - 1)).toBe(0);
    expect(memory.getUint8(0)).toBe(0);
    expect(attempt(memory, name, kind, LIMIT - size)).toBe("done");
  });

  test.each([
    ["first", [0, RW], "SEGV_MAPERR"],
    ["second", [RW, 0], "SEGV_MAPERR"],
    ["first", [kind === "load" ? 0x40 : PTE_READ, RW], "SEGV_ACCERR"],
    ["second", [RW, kind === "load" ? 0x40 : PTE_READ], "SEGV_ACCERR"],
  ] as const)(
    "over a border whose %s page refuses it (%j) names the byte and changes nothing",
    (which, flags, code) => {
      if (size === 1) return;
      const present = flags.map((flag, i) => ({ page: FIRST + i, frame: 5 + i, flags: flag }));
      const { memory } = pagedThread(
        ram,
        present.filter((page) => page.flags !== 0),
      );
      ram.fillFrame(5, 0xaa);
      ram.fillFrame(6, 0xbb);
      const at = BASE + PAGE_SIZE - 1;
      const error = attempt(memory, name, kind, at) as SegmentationFault;
      expect(error).toBeInstanceOf(SegmentationFault);
      expect(error).toMatchObject({ code, access: kind, address: which === "first" ? at : at + 1 });
      expect(ram.bankOf(5)[ram.positionOf(5) + PAGE_SIZE - 1]).toBe(0xaa);
      expect(ram.bankOf(6)[ram.positionOf(6)]).toBe(0xbb);
    },
  );

  test("is not harmed by a tag on the pointer where memory is not tagged", () => {
    const { memory } = pagedThread(ram, pages([5, 6]));
    for (const tag of [1, 15]) {
      expect(attempt(memory, name, kind, BASE + 16 + tag * TAG_UNIT)).toBe("done");
      expect(attempt(memory, name, kind, BASE + PAGE_SIZE - 1 + tag * TAG_UNIT)).toBe("done");
    }
  });
});

test("a pointer with a tag reads the same byte as one without", () => {
  const { memory } = pagedThread(ram, pages([5, 6]));
  memory.setUint32(BASE + 100, 0x01020304);
  memory.setUint32(BASE + PAGE_SIZE - 2, 0x05060708);
  expect(memory.getUint32(BASE + 100 + 7 * TAG_UNIT)).toBe(0x01020304);
  expect(memory.getUint32(BASE + PAGE_SIZE - 2 + 7 * TAG_UNIT)).toBe(0x05060708);
});

test("a store through one address is seen through another that maps the same frame", () => {
  const { memory } = pagedThread(ram, [
    { page: FIRST, frame: 9 },
    { page: FIRST + 1, frame: 9 },
  ]);
  memory.setUint16(BASE + PAGE_SIZE - 1, 0x2211);
  expect(memory.getUint8(BASE + PAGE_SIZE - 1)).toBe(0x11);
  expect(memory.getUint8(BASE)).toBe(0x22);
});
