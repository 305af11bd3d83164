// What is read off a constant, of every length of LEB128, beside BigInts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { lowZerosOf, shiftOf, worksOnParts } from "../../../../allocator/wasm/definedness/constants.ts";

function instruction(opcode: number, value: bigint): Uint8Array {
  const bytes = [opcode];
  for (let rest = value; ; rest >>= 7n) {
    const isLast = rest >> 6n === 0n || rest >> 6n === -1n;
    bytes.push(Number(rest & 127n) | (isLast ? 0 : 128));
    if (isLast) break;
  }
  return Uint8Array.from([...bytes, 0x0b, 0xff]);
}

const zeros = (value: bigint, bits: number): number => {
  let count = 0;
  while (count < bits && ((value >> BigInt(count)) & 1n) === 0n) count++;
  return count;
};

test.each([
  [32, 0x41],
  [64, 0x42],
])("low zeros and shifts of %d bits", (bits, opcode) => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(63), (number, shift) => {
      const value = BigInt.asIntN(bits, number << BigInt(shift));
      const bytes = instruction(opcode, value);
      expect(lowZerosOf(bytes, 0, bits)).toBe(zeros(value, bits));
      expect(shiftOf(bytes, 0, bits)).toBe(Number(BigInt.asUintN(bits, value) % BigInt(bits)));
    }),
  );
});

test.each([
  [0x01010101n, true],
  [0x7f7f7f7fn, true],
  [0x80808080n, true],
  [0xfefefeffn, true],
  [0x00ff00ffn, true],
  [0x00010001n, true],
  [0xff00ff00n, true],
  [0n, false],
  [0xffffffffn, false],
  [1n, false],
  [0xffffff80n, false],
  [0xffffn, false],
  [0x10000n, false],
  [0x01010103n, false],
])("the constant %d works on a word's parts: %s", (value, expected) => {
  expect(worksOnParts(instruction(0x41, BigInt.asIntN(32, value)), 0)).toBe(expected);
  const half = value === 0xfefefeffn ? 0xfefefefen : value;
  expect(worksOnParts(instruction(0x42, BigInt.asIntN(64, (half << 32n) | value)), 0)).toBe(expected);
  expect(worksOnParts(instruction(0x42, value), 0)).toBe(false);
});
