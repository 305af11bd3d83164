// Both forms of the header checksum: against headers of the real library, against slow models, and how well flips are found.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bsdChecksum, crc32c64, crcChecksum } from "../../../allocator/combined/checksum.ts";

const low = (value: bigint) => Number(BigInt.asIntN(32, value));
const high = (value: bigint) => Number(BigInt.asIntN(32, value >> 32n));

/** CRC32-C bit by bit, straight from its definition. */
function modelCrc(crc: number, value: bigint): number {
  let state = BigInt(crc >>> 0);
  state ^= value;
  for (let bit = 0; bit < 64; bit++) state = state & 1n ? (state >> 1n) ^ 0x82f63b78n : state >> 1n;
  return Number(BigInt.asIntN(32, state));
}

/** The 16-bit rotating sum over the 16 bytes of two words. */
function modelBsd(cookie: number, pointer: bigint, header: bigint): number {
  let sum = cookie & 0xffff;
  for (const word of [pointer, header]) {
    for (let byte = 0n; byte < 8n; byte++) {
      sum = (sum >> 1) | ((sum & 1) << 15);
      sum = (sum + Number((word >> (8n * byte)) & 0xffn)) & 0xffff;
    }
  }
  return sum;
}

interface Line {
  equivalent_cookie: string;
  chunks: { pointer: string; header: string }[];
}

test("every recorded header of the real library has the CRC32-C checksum", () => {
  const file = new URL("../../golden/scudo/checksum.jsonl", import.meta.url);
  const lines: Line[] = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  let count = 0;
  for (const { equivalent_cookie, chunks } of lines) {
    for (const chunk of chunks) {
      const pointer = BigInt(chunk.pointer);
      const header = BigInt(chunk.header);
      const offset = Number((header >> 32n) & 0xffffn);
      expect(crcChecksum(Number(equivalent_cookie), low(pointer), high(pointer), low(header), offset)).toBe(
        Number(header >> 48n),
      );
      count++;
    }
  }
  expect(count).toBe(51);
});

const word = fc.bigInt(0n, 2n ** 64n - 1n);

test("a table step is the bitwise CRC32-C of a 64-bit value", () => {
  fc.assert(
    fc.property(fc.integer(), word, (crc, value) => crc32c64(crc, low(value), high(value)) === modelCrc(crc, value)),
  );
});

test("the BSD form is the rotating 16-bit sum over pointer, then header", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      word,
      word,
      (cookie, pointer, header) =>
        bsdChecksum(cookie, low(pointer), high(pointer), low(header), high(header)) ===
        modelBsd(cookie, pointer, header),
    ),
  );
});

describe.each([
  ["crc32c", crcChecksum],
  ["bsd", bsdChecksum],
] as const)("%s", (_, checksum) => {
  test("at most 2 of the 64 one-bit flips of a word keep the checksum", () => {
    const word = 0xaaaaaaaaaaaaaaaan;
    const of = (value: bigint) => checksum(0x41414141, 0xaaaaaaaa | 0, 0xaaaaaaaa | 0, low(value), high(value));
    let kept = 0;
    for (let bit = 0n; bit < 64n; bit++) if (of(word ^ (1n << bit)) === of(word)) kept++;
    expect(kept).toBeLessThanOrEqual(2);
  });

  test("the same header at another pointer has another checksum", () => {
    expect(checksum(1, 0x1000, 0x12, 0x101, 0)).not.toBe(checksum(1, 0x1010, 0x12, 0x101, 0));
  });
});
