// The sum by groups of bits is the sum by steps, for every cookie, pointer and header.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  cookieSum,
  crcChecksum,
  crcDifference,
  granuleChecksum,
  lowBitsDifference,
} from "../../../allocator/combined/checksum.ts";

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const pointers = fc.integer({ min: 0, max: 2 ** 34 - 1 }).map((granule) => granule * 16);

test("by look-ups of ten and twelve bits, a header without offset has the sum of two CRC steps", () => {
  fc.assert(
    fc.property(word, pointers, word, (cookie, pointer, low) => {
      const byGroups = granuleChecksum(cookieSum(cookie), pointer, low);
      expect(byGroups).toBe(crcChecksum(cookie, pointer | 0, (pointer / 2 ** 32) | 0, low, 0));
    }),
    { numRuns: 2000 },
  );
});

test("each single bit of the pointer and of the header has its place in a table", () => {
  for (let bit = 4; bit < 38; bit++) {
    expect(granuleChecksum(0, 2 ** bit, 0)).toBe(crcChecksum(0, (2 ** bit) | 0, Math.floor(2 ** bit / 2 ** 32), 0, 0));
  }
  for (let bit = 0; bit < 32; bit++) expect(granuleChecksum(0, 0, 1 << bit)).toBe(crcChecksum(0, 0, 0, 1 << bit, 0));
});

test("a change of class, state or origin changes the sum as a change of any bits does", () => {
  for (let bits = 0; bits < 2 ** 12; bits++) expect(lowBitsDifference(bits)).toBe(crcDifference(bits));
});
