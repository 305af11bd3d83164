// Views of a heap beside the language's own DataView and Uint8Array: what code does to either, it can do to a view, byte for byte.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openHeap } from "../open-heap.ts";

const LENGTH = 5000; // over a page border

function pair() {
  const heap = openHeap();
  const pointer = heap.malloc(LENGTH);
  const real = new Uint8Array(LENGTH).map((_, index) => (index * 7) & 0xff);
  heap.memory.write(pointer, real);
  const view = heap.view(pointer, LENGTH);
  return { heap, pointer, view, bytes: view.bytes, real, dataView: new DataView(real.buffer) };
}

/** What a call answers or throws, by name and message. */
function outcome(act: () => unknown): unknown {
  try {
    const result = act();
    return result instanceof Uint8Array ? [...result] : result;
  } catch (error) {
    return (error as Error).name;
  }
}

type Any = Record<string, (...given: unknown[]) => unknown>;
const kinds = ["Uint8", "Int8", "Uint16", "Int16", "Uint32", "Int32", "Float32", "Float64", "BigUint64", "BigInt64"];

describe("beside a DataView", () => {
  test("every load and store agrees, in both byte orders, at every kind of offset", () => {
    const { view, real, dataView, bytes } = pair();
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.oneof(
          fc.integer({ min: -2, max: LENGTH + 2 }),
          fc.integer({ min: 4085, max: 4100 }),
          fc.constantFrom<unknown>(1.5, Number.NaN, undefined, "7"),
        ),
        fc.double(),
        fc.constantFrom<unknown>(undefined, true, false, 0, 1, null),
        (kind, offset, number, order) => {
          const isBig = kind.startsWith("Big");
          const value = isBig ? BigInt.asUintN(64, BigInt(Number.isFinite(number) ? Math.trunc(number) : 5)) : number;
          const [mine, theirs] = [view, dataView] as unknown as [Any, Any];
          for (const call of [`set${kind}`, `get${kind}`]) {
            const given = call.startsWith("set") ? [offset, value, order] : [offset, order];
            expect(outcome(() => mine[call](...given))).toEqual(outcome(() => theirs[call](...given)));
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(bytes.slice()).toEqual(real);
  });

  test("code that was not told a byte order gets big-endian, as from a DataView; memory is little-endian", () => {
    const { heap, pointer, view } = pair();
    view.setUint32(0, 0x01020304);
    expect([...heap.memory.read(pointer, 4)]).toEqual([1, 2, 3, 4]);
    heap.memory.setUint32(pointer, 0x01020304);
    expect(view.getUint32(0)).toBe(0x04030201);
    expect(view.getUint32(0, true)).toBe(0x01020304);
  });

  test("it is one for instanceof, and has its length", () => {
    const { view, bytes } = pair();
    expect([view instanceof DataView, bytes instanceof Uint8Array, view.byteLength, view.byteOffset]).toEqual([
      true,
      true,
      LENGTH,
      0,
    ]);
    expect(bytes.view.getUint8(1)).toBe(7);
  });

  test("the language's own code, which needs a buffer, gets an error that names pin", () => {
    const { view } = pair();
    expect(() => view.buffer).toThrow(/heap\.pin/);
    expect(() => new TextDecoder().decode(view)).toThrow(TypeError);
  });

  test("a value of the wrong type is the language's error, and nothing is stored", () => {
    const { view, bytes, real } = pair();
    expect(() => view.setBigUint64(0, 1 as never)).toThrow(TypeError);
    expect(() => view.setUint32(0, 1n as never)).toThrow(TypeError);
    expect(bytes.slice()).toEqual(real);
  });
});

describe("beside a Uint8Array", () => {
  /** Calls that only read. */
  const reads: [string, (bytes: Uint8Array) => unknown][] = [
    ["length", (b) => [b.length, b.byteLength, b.BYTES_PER_ELEMENT]],
    ["indexing", (b) => [b[0], b[17], b[LENGTH - 1], b[LENGTH], b[-1], (b as never)["1.5"], (b as never)["01"]]],
    ["at", (b) => [b.at(-1), b.at(3), b.at(LENGTH)]],
    ["iteration", (b) => [...b]],
    [
      "for of subarray",
      (b) => {
        const all = [];
        for (const x of b.subarray(10, 20)) all.push(x);
        return all;
      },
    ],
    ["entries", (b) => [...b.subarray(0, 3).entries()]],
    ["keys, values", (b) => [[...b.subarray(0, 3).keys()], [...b.subarray(0, 3).values()]]],
    [
      "destructuring",
      (b) => {
        const [a, c, ...rest] = b.subarray(4, 9);
        return [a, c, rest];
      },
    ],
    ["spread into a call", (b) => String.fromCharCode(...b.subarray(9, 12))],
    ["slice", (b) => [b.slice(3, 9), b.slice(-4), b.slice(9, 3), b.slice()].map((s) => [...s])],
    [
      "subarray",
      (b) => [b.subarray(3, 9), b.subarray(-4), b.subarray(9, 3), b.subarray(3).subarray(2, 4)].map((s) => [...s]),
    ],
    ["indexOf", (b) => [b.indexOf(21), b.indexOf(21, 4), b.indexOf(999), b.lastIndexOf(21), b.includes(255)]],
    [
      "find",
      (b) => [
        b.find((x) => x > 100),
        b.findIndex((x) => x > 100),
        b.findLast((x) => x < 5),
        b.findLastIndex((x) => x < 5),
      ],
    ],
    ["every, some", (b) => [b.every((x) => x < 256), b.some((x) => x === 3)]],
    ["reduce", (b) => [b.reduce((sum, x) => sum + x, 0), b.reduceRight((sum, x) => sum * 3 + x, 1) > 0]],
    [
      "map, filter",
      (b) => [b.map((x) => x + 250), b.filter((x) => x % 2 === 0)].map((s) => [s.constructor.name, ...s]),
    ],
    [
      "forEach",
      (b) => {
        const seen: number[] = [];
        b.forEach((x, i) => {
          seen.push(x * i);
        });
        return seen;
      },
    ],
    ["join, toString", (b) => [b.subarray(0, 5).join("-"), String(b.subarray(0, 5)), `${b.subarray(2, 4)}`]],
    [
      "copies",
      (b) => [[...Uint8Array.from(b)], [...new Uint8Array(b)], Array.from(b), [...Buffer.from(b as Uint8Array)]],
    ],
    [
      "into a typed array",
      (b) => {
        const all = new Uint8Array(LENGTH + 4);
        all.set(b, 4);
        return [...all];
      },
    ],
    ["text", (b) => new TextDecoder().decode(b.slice(65 * 7 + 2, 65 * 7 + 5))],
    [
      "a loop over the length",
      (b) => {
        let sum = 0;
        for (let i = 0; i < b.length; i++) sum = (sum * 31 + b[i]) | 0;
        return sum;
      },
    ],
  ];

  test.each(reads)("%s", (_name, read) => {
    const { bytes, real } = pair();
    expect(read(bytes)).toEqual(read(real));
  });

  /** Calls that change the bytes. */
  const writes: [string, (bytes: Uint8Array) => unknown][] = [
    [
      "indexing",
      (b) => {
        b[0] = 1;
        b[4095] = 257;
        b[4096] = -1;
        b[LENGTH] = 5;
        b[7] += 3;
        b[8] |= 0x80;
        b[9]++;
      },
    ],
    [
      "set",
      (b) => {
        b.set([1, 2, 300]);
        b.set(Uint8Array.of(9, 8, 7), 4094);
        b.set([], LENGTH);
      },
    ],
    [
      "set of itself, over itself",
      (b) => {
        b.set(b.subarray(0, 100), 50);
        b.set(b.subarray(200, 300), 150);
      },
    ],
    ["set that does not fit", (b) => [outcome(() => b.set([1], LENGTH)), outcome(() => b.set([1], -1))]],
    [
      "fill",
      (b) => {
        b.fill(7, 10, 20);
        b.fill(300, -5);
        b.fill(1, 30, 20);
        b.fill(-1, 4000, 4200);
      },
    ],
    [
      "copyWithin",
      (b) => {
        b.copyWithin(0, 10, 20);
        b.copyWithin(4090, 4080);
        b.copyWithin(5, -3);
      },
    ],
    [
      "reverse, sort",
      (b) => {
        b.subarray(0, 9).reverse();
        b.subarray(100, 400).sort();
        b.subarray(500, 600).sort((x, y) => y - x);
      },
    ],
    [
      "text",
      (b) => {
        b.set(new TextEncoder().encode("grüezi"), 3);
      },
    ],
  ];

  test.each(writes)("%s changes the same bytes", (_name, write) => {
    const { bytes, real } = pair();
    expect(write(bytes)).toEqual(write(real));
    expect(bytes.slice()).toEqual(real);
  });

  test("an index is no property that a view gets", () => {
    const { bytes } = pair();
    bytes[5] = 9;
    expect(Object.keys(bytes)).toEqual([]);
  });

  test("a name that is a number and no index is stored nowhere", () => {
    const { bytes, real } = pair();
    for (const name of ["-1", "1.5", "-0", "NaN", "Infinity", "1e+21", `${LENGTH}`]) {
      for (const each of [bytes, real]) {
        (each as never as Record<string, number>)[name] = 7;
        expect((each as never as Record<string, number>)[name], name).toBeUndefined();
      }
    }
    for (const name of ["1.50", "01", "1e3", "one"]) {
      for (const each of [bytes, real]) {
        (each as never as Record<string, number>)[name] = 7;
        expect((each as never as Record<string, number>)[name], name).toBe(7);
      }
    }
  });

  test("parts are told apart by byteOffset, as in one buffer", () => {
    const { bytes, real } = pair();
    const offsets = (b: Uint8Array) => [b, b.subarray(7), b.subarray(7).subarray(3, 9)].map((part) => part.byteOffset);
    expect(offsets(bytes)).toEqual(offsets(real));
    expect(bytes.subarray(7).view.byteOffset).toBe(7);
  });

  test("what its constructor makes is the language's own", () => {
    const { bytes, view } = pair();
    const Bytes = bytes.constructor as Uint8ArrayConstructor;
    expect(Object.getPrototypeOf(new Bytes(3))).toBe(Uint8Array.prototype);
    expect([Bytes.BYTES_PER_ELEMENT, [...Bytes.from([1, 2])], [...Bytes.of(3)]]).toEqual([1, [1, 2], [3]]);
    const View = view.constructor as DataViewConstructor;
    expect(new View(new ArrayBuffer(8)).byteLength).toBe(8);
  });
});

test("no assignment moves a view's bounds", () => {
  const { view, bytes } = pair();
  for (const name of ["pointer", "byteLength", "byteOffset", "length"]) {
    for (const each of [view, bytes]) expect(Reflect.set(each, name, 2 ** 40)).toBe(false);
  }
  expect([view.byteLength, bytes.length, view.byteOffset]).toEqual([LENGTH, LENGTH, 0]);
  expect(() => {
    (bytes as { byteLength: number }).byteLength = 3;
  }).toThrow(TypeError);
});

describe("a view is checked", () => {
  test("a use after free, an access outside and a read of bytes that were not written are findings", () => {
    const heap = openHeap({ uninitialised: "byte" });
    const p = heap.malloc(64);
    const view = heap.view(p, 80);
    view.bytes[3];
    view.setUint8(70, 1);
    heap.free(p);
    view.getUint16(0);
    expect(heap.checker.findings.map(({ kind, cause }) => cause ?? kind)).toEqual([
      "uninitialised",
      "out-of-bounds",
      "use-after-free",
    ]);
  });

  test("its accesses are recorded, and made as the thread that runs", () => {
    const heap = openHeap();
    const p = heap.malloc(10_000);
    const view = heap.view(p);
    expect(view.byteLength).toBe(10_000);
    let trace = "";
    const recording = heap.record(
      {
        write: (bytes: Uint8Array) => {
          trace += String.fromCharCode(...bytes);
        },
      } as never,
      { format: "text" },
    );
    const q = heap.malloc(5000);
    heap.view(q).bytes[0] = 1;
    recording.stop();
    expect(trace).toContain("write 0 0 1");
  });

  test("of an ended heap says so", () => {
    const heap = openHeap();
    const view = heap.view(heap.malloc(10));
    heap[Symbol.dispose]();
    expect(() => view.getUint8(0)).toThrow("disposed of");
    expect(() => view.bytes[0]).toThrow("disposed of");
  });

  test("refuses what is no pointer or length", () => {
    const heap = openHeap();
    expect(() => heap.view(-1, 1)).toThrow(RangeError);
    expect(() => heap.view(16, 1.5)).toThrow(RangeError);
    expect(() => heap.view("16" as never, 1)).toThrow(TypeError);
  });
});

test("a codec that was written for DataView and Uint8Array runs on a heap as it is", () => {
  /** Length-prefixed text with a checksum, as such codecs are written. */
  function encode(view: DataView, bytes: Uint8Array, text: string): number {
    const utf8 = new TextEncoder().encode(text);
    view.setUint16(0, utf8.length);
    bytes.set(utf8, 2);
    let sum = 0;
    for (let i = 0; i < utf8.length; i++) sum = (sum + bytes[2 + i]) & 0xff;
    bytes[2 + utf8.length] = sum;
    return utf8.length + 3;
  }
  function decode(view: DataView, bytes: Uint8Array): string {
    const length = view.getUint16(0);
    const body = bytes.subarray(2, 2 + length);
    const sum = body.reduce((all, byte) => (all + byte) & 0xff, 0);
    if (sum !== bytes[2 + length]) throw new Error("checksum");
    return new TextDecoder().decode(body.slice());
  }
  const heap = openHeap({ uninitialised: "byte" });
  const view = heap.view(heap.malloc(100));
  expect(encode(view, view.bytes, "grüezi")).toBe(10);
  expect(decode(view, view.bytes)).toBe("grüezi");
  expect(heap.checker.findings).toEqual([]);
});
