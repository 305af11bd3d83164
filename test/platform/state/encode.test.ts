// Any object graph comes back from a snapshot as it was, and what cannot is refused by name: values of every kind, shared objects and
// circles, hidden fields, views, and names that this version does not know. Whole machines are snapshot.test.ts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode } from "../../../platform/state/decode.ts";
import { digest, encode } from "../../../platform/state/encode.ts";
import { engineMemoryOf, isEngineMemory, makeEngineMemory } from "../../../platform/state/engine-memory.ts";
import { SnapshotError } from "../../../platform/state/error.ts";
import { hashBytes } from "../../../platform/state/hash.ts";
import { keepClass, keepMaker, keepPlaceOfGiven, keepTable, keepValue } from "../../../platform/state/kept.ts";

class Thing {
  readonly inside: unknown;
  constructor(inside: unknown) {
    this.inside = inside;
  }
}
keepClass("TestThing", Thing);
class OfHost {
  readonly inside: unknown;
  constructor(inside: unknown) {
    this.inside = inside;
  }
}
keepClass("TestOfHost", OfHost, { isOfHost: true });
class Resting {
  depth = 0;
}
keepClass("TestResting", Resting, { atRest: () => ({ depth: 0 }) });
const makeAdder = keepMaker("TestAdder", (cell: { n: number }) => () => cell.n + 1);
const theValue = keepValue("TestValue", { is: "one of a kind" });
const notes = keepTable("TestNotes", new WeakMap<object, unknown>());
const giveClock = keepPlaceOfGiven("TestClock", () => 42);

const through = <Value extends object>(value: Value): Value => decode(encode([value]))[0] as Value;

/** A snapshot in which one text became another, its hash made to fit. */
function renamed(value: object, from: string, to: string): Uint8Array {
  const bytes = encode([value]);
  const text = String.fromCharCode(...bytes).replace(from, to);
  const changed = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const end = changed.length - hashBytes(bytes, 0).length;
  changed.set(new TextEncoder().encode(hashBytes(changed, end)), end);
  return changed;
}

test("any values come back, down to the sign of zero", () => {
  const leaf = fc.oneof(
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom(0, -0, 127, 128, -1, 2 ** 53, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY, 0.1, 2 ** 31),
    fc.boolean(),
    fc.string(),
    fc.bigInt(),
    fc.constant(null),
    fc.constant(undefined),
    fc.uint8Array(),
    fc.float64Array(),
    fc.int32Array(),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("tree")),
      fc.dictionary(fc.string(), tie("tree"), { noNullPrototype: false }),
      fc.array(fc.tuple(tie("tree"), tie("tree"))).map((entries) => new Map(entries)),
      fc.array(tie("tree")).map((values) => new Set(values)),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const box = { value };
      expect(through(box)).toStrictEqual(box);
      expect(digest([through(box)])).toBe(digest([box]));
    }),
  );
});

test("objects that are the same stay so, in circles too, and maps and sets keep their order", () => {
  const shared = { n: 1 };
  const circle: Record<string, unknown> = { a: shared, b: [shared, shared] };
  circle.self = circle;
  circle.map = new Map<unknown, unknown>([
    [shared, circle],
    ["second", 2],
    [3, shared],
  ]);
  circle.set = new Set([3, 1, shared, 2]);
  const copy = through(circle) as typeof circle;
  expect(copy.self).toBe(copy);
  expect((copy.b as unknown[])[1]).toBe(copy.a);
  expect([...(copy.map as Map<unknown, unknown>).keys()]).toEqual([copy.a, "second", 3]);
  expect((copy.map as Map<unknown, unknown>).get(copy.a)).toBe(copy);
  expect([...(copy.set as Set<unknown>)]).toEqual([3, 1, copy.a, 2]);
  expect(copy.a).not.toBe(shared);
});

describe("memory that the engine's code reaches", () => {
  /** The length as a snapshot has it: 7 bits a byte, the lowest first. */
  const LENGTH = "\x80\x80\x04";

  test("is such memory again, with its bytes and its views", () => {
    const buffer = makeEngineMemory(65_536);
    new Uint8Array(buffer).set([1, 2, 3], 100);
    const copy = through({ buffer, view: new Uint16Array(buffer, 100, 2) });
    expect([isEngineMemory(copy.buffer), copy.view.buffer === copy.buffer]).toEqual([true, true]);
    expect(engineMemoryOf(copy.buffer)?.buffer).toBe(copy.buffer);
    expect([...copy.view]).toEqual([0x201, 3]);
    expect(digest([copy.buffer])).toBe(digest([buffer]));
    expect(digest([copy.buffer])).not.toBe(digest([new ArrayBuffer(65_536)]));
  });

  test.each([
    ["no whole pages", "\x81\x80\x04"],
    ["more than 4 GiB", "\x80\x80\x80\x80\x80\x01"],
    ["what no host has", "\x80\x80\xc0\xff\xff\xff\xff\x0f"],
  ])("of %s is refused", (_what, length) => {
    const box = { buffer: makeEngineMemory(65_536) };
    expect(() => decode(renamed(box, LENGTH, LENGTH))).not.toThrow();
    expect(() => decode(renamed(box, LENGTH, length))).toThrow(SnapshotError);
  });

  test("of less than its views see is refused", () => {
    const box = { view: new Uint8Array(makeEngineMemory(65_536), 0, 100) };
    expect(() => decode(renamed(box, LENGTH, "\x00"))).toThrow(SnapshotError);
  });
});

test("views of one buffer see each other's stores, at their offsets", () => {
  const bytes = new Uint8Array(64);
  const box = { bytes, words: new Int32Array(bytes.buffer, 16, 4), view: new DataView(bytes.buffer, 8, 8) };
  box.words[1] = 0x01020304;
  const copy = through(box);
  expect([copy.bytes[20], copy.words.length, copy.view.byteOffset, copy.view.byteLength]).toEqual([4, 4, 8, 8]);
  copy.bytes[8] = 9;
  expect(copy.view.getUint8(0)).toBe(9);
});

test("holes of arrays, hidden fields and null prototypes stay what they are", () => {
  const sparse = new Array<number>(4);
  sparse[1] = 5;
  const hidden = Object.defineProperty({ seen: 1 }, "hidden", { value: 2, writable: true, configurable: true });
  const bare = Object.assign(Object.create(null) as object, { a: 1 });
  const copy = through({ sparse, hidden, bare, like: { seen: 3 } });
  expect([copy.sparse.length, 0 in copy.sparse, copy.sparse[1], 3 in copy.sparse]).toEqual([4, false, 5, false]);
  expect([Object.keys(copy.hidden), Reflect.get(copy.hidden, "hidden")]).toEqual([["seen"], 2]);
  expect(Object.getPrototypeOf(copy.bare)).toBe(null);
  expect(copy.like).toEqual({ seen: 3 });
});

test("objects with the same fields in other orders, hidden or not, are told apart", () => {
  const shapes = [{ a: 1, b: 2 }, { b: 3, a: 4 }, { a: 5, b: 6 }, { "a b": 7 }, new Thing(8), { inside: 9 }];
  const copy = through(shapes);
  expect(copy.map((each) => Object.entries(each))).toEqual(shapes.map((each) => Object.entries(each)));
  expect(copy.map((each) => each instanceof Thing)).toEqual([false, false, false, false, true, false]);
});

test("what the library names comes back by its name", () => {
  const cell = { n: 1 };
  const annotated = { is: "annotated" };
  notes.set(annotated, { note: cell });
  const copy = through({ thing: new Thing(cell), adder: makeAdder(cell), value: theValue, cell, annotated });
  expect(copy.thing).toBeInstanceOf(Thing);
  expect(copy.thing.inside).toBe(copy.cell);
  copy.cell.n = 10;
  expect([copy.adder(), copy.value]).toEqual([11, theValue]);
  expect(notes.get(copy.annotated)).toEqual({ note: copy.cell });
  // And once more: a restored object is as good as the first.
  expect(through(copy).adder()).toBe(11);
});

test("a function of the program's is the one that is given at its place, else the library's", () => {
  const box = { clock: giveClock(() => 7) };
  const bytes = encode([box]);
  expect((decode(bytes)[0] as typeof box).clock()).toBe(42);
  const [copy] = decode(bytes, { TestClock: () => 8 }) as (typeof box)[];
  expect(copy.clock()).toBe(8);
  expect(through(copy).clock()).toBe(42);
});

test("a call that goes on is no part of a state, and what is of the host counts in no digest", () => {
  const resting = new Resting();
  const still = digest([resting]);
  resting.depth = 3;
  expect(digest([resting])).toBe(still);
  expect([through(resting).depth, resting.depth]).toEqual([0, 3]);
  expect(digest([new OfHost(1)])).toBe(digest([new OfHost(2)]));
  expect(through(new OfHost(1)).inside).toBe(1);
});

test("a digest is there of what cannot be kept, too", () => {
  const withFunction = (n: number) => digest([{ n, work: () => 1 }]);
  expect(withFunction(1)).toBe(withFunction(1));
  expect(withFunction(1)).not.toBe(withFunction(2));
});

describe("is refused, with its place,", () => {
  const computed = Object.defineProperty({}, "now", { get: () => 1, enumerable: true });
  class Unknown {}
  const cases: [string, object, string][] = [
    ["a symbol", { a: { b: Symbol("s") } }, "a symbol (root.a)"],
    ["a field by symbol", { a: { [Symbol("s")]: 1 } }, "the field Symbol(s), which is computed (root.a)"],
    ["a computed field", { a: computed }, "the field now, which is computed (root.a)"],
    ["a function", { a: [function work() {}] }, "the function work (root.a.0)"],
    ["an object of another class", new Map([["k", new Unknown()]]), "an object of class Unknown (root.get(k))"],
    ["a view of shared memory", { a: new Uint8Array(new SharedArrayBuffer(8)) }, "a view of this kind (root.a)"],
  ];
  test.each(cases)("%s", (_, value, what) => {
    expect(() => encode([value])).toThrow(SnapshotError);
    expect(() => encode([value])).toThrow(`a snapshot cannot keep ${what}`);
  });

  test("and left out where that is asked for: it says so when it is called", () => {
    const [copy] = decode(encode([{ work: () => 1, kept: 2 }], { lossy: true })) as {
      work: () => void;
      kept: number;
    }[];
    expect(copy.kept).toBe(2);
    expect(() => copy.work()).toThrow("root.work was left out of the snapshot");
  });
});

describe("a snapshot names what this version does not know:", () => {
  test.each([
    [
      "a class",
      new Thing(1),
      "TestThing",
      "TestThink",
      "the snapshot has a TestThink, which this version does not know",
    ],
    [
      "a maker",
      makeAdder({ n: 1 }),
      "TestAdder",
      "TestAddex",
      "names a maker that this version does not know: TestAddex",
    ],
    ["a value", theValue, "TestValue", "TestValux", "names a value that this version does not know: TestValux"],
    [
      "a place",
      giveClock(() => 1),
      "TestClock",
      "TestClocx",
      "names a place that this version does not know: TestClocx",
    ],
  ])("%s", (_, value, from, to, message) => {
    expect(() => decode(renamed({ value }, from, to))).toThrow(SnapshotError);
    expect(() => decode(renamed({ value }, from, to))).toThrow(message);
  });

  test("a table", () => {
    const value = {};
    notes.set(value, 1);
    expect(() => decode(renamed(value, "TestNotes", "TestNotex"))).toThrow(
      "names a table that this version does not know: TestNotex",
    );
  });
});

test("two parts of the library cannot have one name", () => {
  for (const claim of [
    () => keepClass("TestThing", class {}),
    () => keepMaker("TestAdder", () => ({})),
    () => keepValue("TestValue", {}),
    () => keepTable("TestNotes", new WeakMap()),
    () => keepPlaceOfGiven("TestClock", () => 1),
  ])
    expect(claim).toThrow("two parts of the library are named");
});
