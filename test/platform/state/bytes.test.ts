// Arrays in a snapshot: runs of zeroes, of equal words and of others come back as they were, in few bytes.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../../platform/state/bytes.ts";
import { SnapshotError } from "../../../platform/state/error.ts";

function packed(words: Int32Array): Uint8Array {
  const writer = new ByteWriter();
  writer.words(words, 0, words.length, 0);
  writer.count(0);
  writer.count(0);
  return writer.finish();
}

function unpacked(bytes: Uint8Array, words: number): Int32Array {
  const target = new Int32Array(words);
  const reader = new ByteReader(bytes, 0, bytes.length);
  reader.words(new Uint8Array(target.buffer));
  expect(reader.isAtEnd).toBe(true);
  return target;
}

const run = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.constantFrom(0, 0, 7, -1, 0x80000000 | 0));

test("all words come back", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(run, fc.tuple(fc.constant(1), fc.integer()))), (runs) => {
      const words = Int32Array.from(runs.flatMap(([length, word]) => Array.from({ length }, () => word)));
      expect(unpacked(packed(words), words.length)).toEqual(words);
    }),
  );
});

test("a page of one word, or a large array that is nearly empty, takes a few bytes", () => {
  expect(packed(new Int32Array(1024).fill(0xabababab | 0)).length).toBeLessThan(12);
  const sparse = new Int32Array(2 ** 20);
  sparse[2 ** 19] = 1;
  expect(packed(sparse).length).toBeLessThan(16);
});

test("runs beyond the array's end are damage", () => {
  const bytes = packed(new Int32Array(8).fill(3));
  expect(() => unpacked(bytes, 4)).toThrow(SnapshotError);
});

test("numbers of every size come back, and those that no number can hold are damage", () => {
  const writer = new ByteWriter();
  const numbers = [0, 1, 127, 128, 2 ** 31, 2 ** 53 - 1];
  for (const each of numbers) writer.count(each);
  writer.number(-0);
  const bytes = writer.finish();
  const reader = new ByteReader(bytes, 0, bytes.length);
  expect(numbers.map(() => reader.count())).toEqual(numbers);
  expect(reader.number()).toBe(-0);
  const endless = new Uint8Array(40).fill(255);
  expect(() => new ByteReader(endless, 0, 40).count()).toThrow(SnapshotError);
});

test.each([
  [[7, 9, 7, 7, 7]],
  [[7, 7, 7]],
  [[7, 7, 7, 7]],
  [[9, 7, 7, 7, 7]],
  [[9, 7, 7, 7]],
  [[1, 0, 0, 0, 0, 1]],
  [[1, 0, 2, 0, 0, 3]],
  [[0, 0, 5, 5, 5, 5, 5, 6]],
])("words %j come back", (words) => {
  expect([...unpacked(packed(Int32Array.from(words)), words.length)]).toEqual(words);
});

test("bytes of more than a piece come back, behind others and in front of others", () => {
  const writer = new ByteWriter();
  const large = Uint8Array.from({ length: 2 ** 22 + 5 }, (_, i) => (i * 7) & 255);
  writer.text("in front");
  writer.raw(large);
  for (let i = 0; i < 100_000; i++) writer.count(i);
  const bytes = writer.finish(3);
  expect(bytes.length).toBe(9 + large.length + 128 + 2 * (2 ** 14 - 128) + 3 * (100_000 - 2 ** 14) + 3);
  const reader = new ByteReader(bytes, 0, bytes.length);
  expect(reader.text()).toBe("in front");
  expect(Buffer.compare(bytes.subarray(9, 9 + large.length), large)).toBe(0);
  const behind = new ByteReader(bytes, 9 + large.length, bytes.length);
  let wrong = 0;
  for (let i = 0; i < 100_000; i++) if (behind.count() !== i) wrong++;
  expect(wrong).toBe(0);
});
