// Constants of scripts as bits, and whether a result's bits are those that a script expects, with its patterns of NaN.
// Numbers are read by the assembler, which rounds as the standard says; references are JavaScript's.
import { ByteReader } from "../../../allocator/wasm/binary/byte-reader.ts";
import { assemble } from "./assemble.ts";
import type { Constant } from "./commands.ts";

export type NumberType = "i32" | "i64" | "f32" | "f64" | "v128";

export const BYTES_OF: Readonly<Record<NumberType, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };

const SECTION_GLOBAL = 6;
const LANES: Readonly<Record<string, number>> = { f32x4: 4, f64x2: 8 };
const PATTERN = /^nan:(?:canonical|arithmetic)$/;

export function numberTypeOf({ word }: Constant): NumberType | null {
  const type = word.endsWith(".const") ? word.slice(0, -".const".length) : "";
  return Object.hasOwn(BYTES_OF, type) ? (type as NumberType) : null;
}

/** Bits of constants by their text, with zero where a pattern of NaN stands. @throws NotAssembled */
export function bitsOf(constants: Iterable<Constant>): ReadonlyMap<string, Uint8Array> {
  const texts = new Map<string, string>();
  for (const constant of constants) {
    const type = numberTypeOf(constant);
    if (type === null) continue;
    const parts = constant.parts.map((part) => (PATTERN.test(part) ? "0" : part));
    texts.set(constant.text, `(global ${type} (${constant.word} ${parts.join(" ")}))`);
  }
  const values = globalValues(assemble(`(module ${[...texts.values()].join("\n")})`));
  return new Map([...texts.keys()].map((text, index) => [text, values[index]]));
}

/** Bits of the constants that a module's globals begin with. */
function globalValues(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes, 8);
  while (!reader.isAtEnd) {
    const id = reader.byte();
    const section = reader.take(reader.u32());
    if (id !== SECTION_GLOBAL) continue;
    const part = new ByteReader(section);
    return Array.from({ length: part.u32() }, () => {
      part.skip(2);
      const value = constantBits(part);
      part.skip(1);
      return value.slice();
    });
  }
  return [];
}

function constantBits(part: ByteReader): Uint8Array {
  switch (part.byte()) {
    case 0x41:
      return new Uint8Array(Int32Array.of(part.s32()).buffer);
    case 0x42:
      return new Uint8Array(BigInt64Array.of(signed64(part)).buffer);
    case 0x43:
      return part.take(4);
    case 0x44:
      return part.take(8);
    default:
      part.skip(1);
      return part.take(16);
  }
}

function signed64(part: ByteReader): bigint {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = part.byte();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, BigInt.asIntN(Number(shift) + 7, value));
  }
}

/** @param bits of the expected constant, from {@link bitsOf} */
export function matchesBits(expected: Constant, bits: Uint8Array, got: Uint8Array): boolean {
  const lane = expected.word === "v128.const" ? LANES[expected.parts[0]] : got.length;
  const patterns = expected.word === "v128.const" ? expected.parts.slice(1) : expected.parts;
  if (lane === undefined || !patterns.some((part) => PATTERN.test(part)))
    return got.every((byte, index) => byte === bits[index]);
  return patterns.every((part, index) => {
    const from = index * lane;
    const found = got.subarray(from, from + lane);
    if (PATTERN.test(part)) return isNan(part, found);
    return found.every((byte, at) => byte === bits[from + at]);
  });
}

/** Canonical: a quiet NaN with no other bit, of any sign. Arithmetic: any quiet NaN. */
function isNan(pattern: string, got: Uint8Array): boolean {
  const view = new DataView(got.buffer, got.byteOffset, got.length);
  const bits = got.length === 4 ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
  const quiet = got.length === 4 ? 0x7fc00000n : 0x7ff8000000000000n;
  const magnitude = got.length === 4 ? 0x7fffffffn : 0x7fffffffffffffffn;
  return pattern === "nan:canonical" ? (bits & magnitude) === quiet : (bits & quiet) === quiet;
}

const externals = new Map<string, object>();

/** The object that stands for `(ref.extern N)`. */
function external(number: string): object {
  let object = externals.get(number);
  if (object === undefined) {
    object = { extern: number };
    externals.set(number, object);
  }
  return object;
}

/** A constant as JavaScript gives it to a function; undefined: it cannot. */
export function valueOfConstant(constant: Constant, bits: ReadonlyMap<string, Uint8Array>): unknown {
  const type = numberTypeOf(constant);
  if (type !== null) return type === "v128" ? undefined : numberOfBits(type, bits.get(constant.text)!);
  if (constant.word === "ref.null") return null;
  if (constant.word === "ref.extern" || constant.word === "ref.host") return external(constant.parts[0]);
  return undefined;
}

function numberOfBits(type: NumberType, bits: Uint8Array): number | bigint {
  const view = new DataView(bits.buffer, bits.byteOffset, bits.length);
  if (type === "i32") return view.getInt32(0, true);
  if (type === "i64") return view.getBigInt64(0, true);
  return type === "f32" ? view.getFloat32(0, true) : view.getFloat64(0, true);
}

/** Whether what a function gave to JavaScript, or a global has, is what is expected. */
export function matchesValue(expected: Constant, bits: ReadonlyMap<string, Uint8Array>, got: unknown): boolean {
  if (expected.word === "either") return expected.alternatives.some((one) => matchesValue(one, bits, got));
  if (numberTypeOf(expected) !== null) {
    if (expected.parts[0].includes("nan")) return Number.isNaN(got);
    return Object.is(got, valueOfConstant(expected, bits));
  }
  if (expected.word === "ref.func") return typeof got === "function";
  if (expected.word === "ref.null") return got === null;
  if (expected.parts.length === 0) return got !== null && got !== undefined;
  return got === valueOfConstant(expected, bits);
}
