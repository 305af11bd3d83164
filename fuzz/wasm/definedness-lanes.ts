// Vector instructions for the model's programs, as definedness-operations.ts says: a lane of the result is undefined as a whole if a lane
// that it comes from has an undefined bit; moves, bitwise operations and shifts by a defined amount keep each bit's own shadow.

import { mask, type Operation, type Pair, saturated, type Type, toFloat } from "./definedness-operations.ts";

const FULL = mask(128n);

const lanesOf = (value: bigint, bits: bigint): bigint[] =>
  Array.from({ length: Number(128n / bits) }, (_, i) => (value >> (BigInt(i) * bits)) & mask(bits));
const joined = (lanes: readonly bigint[], bits: bigint): bigint =>
  lanes.reduce((whole, lane, i) => whole | ((lane & mask(bits)) << (BigInt(i) * bits)), 0n);
const signed = (value: bigint, bits: bigint): bigint => BigInt.asIntN(Number(bits), value);
const pessimised = (shadow: bigint, bits: bigint): bigint =>
  joined(
    lanesOf(shadow, bits).map((lane) => (lane === 0n ? 0n : -1n)),
    bits,
  );
const union = (operands: readonly Pair[]): bigint => operands.reduce((whole, [, shadow]) => whole | shadow, 0n);

const row = (text: string, params: readonly Type[], result: Type, apply: Operation["apply"]): Operation => ({
  text,
  params,
  result,
  apply,
});
const V: readonly Type[] = ["v128"];
const VV: readonly Type[] = ["v128", "v128"];

/** Lane by lane, of one or two vectors. */
const byLanes = (text: string, bits: bigint, operands: number, compute: (...lanes: bigint[]) => bigint): Operation =>
  row(text, operands === 1 ? V : VV, "v128", (...pairs) => [
    joined(
      lanesOf(0n, bits).map((_, i) => compute(...pairs.map(([value]) => lanesOf(value, bits)[i]))),
      bits,
    ),
    pessimised(union(pairs), bits),
  ]);

const clamp = (value: bigint, least: bigint, most: bigint): bigint =>
  value < least ? least : value > most ? most : value;

function ofShape(shape: string, bits: bigint): Operation[] {
  const type: Type = bits === 64n ? "i64" : "i32";
  const half = bits / 2n;
  const s = (value: bigint): bigint => signed(value, bits);
  const truth = (condition: boolean): bigint => (condition ? -1n : 0n);
  const two = (name: string, compute: (a: bigint, b: bigint) => bigint) =>
    byLanes(`${shape}.${name}`, bits, 2, compute);
  const one = (name: string, compute: (a: bigint) => bigint) => byLanes(`${shape}.${name}`, bits, 1, compute);
  const shift = (name: string, compute: (lane: bigint, amount: bigint) => bigint) =>
    row(`${shape}.${name}`, ["v128", "i32"], "v128", ([value, shadow], [amount, t]) => {
      const by = amount % bits;
      const shifted = (vector: bigint) =>
        joined(
          lanesOf(vector, bits).map((lane) => compute(lane, by)),
          bits,
        );
      return [shifted(value), (t & (bits - 1n)) !== 0n ? -1n : shifted(shadow)];
    });
  const lane = 128n / bits - 1n;
  const extract = bits < 32n ? "extract_lane_u" : "extract_lane";
  const at = lane * bits;
  const decided =
    (compute: (value: bigint) => bigint) =>
    (pair: Pair): Pair => {
      const [value, shadow] = pair;
      return [compute(value), compute(value | shadow) ^ compute(value & ~shadow)];
    };
  const allTrue = (value: bigint): bigint => (lanesOf(value, bits).every((number) => number !== 0n) ? 1n : 0n);
  const signs = (value: bigint): bigint =>
    lanesOf(value, bits).reduce((whole, number, i) => whole | ((number >> (bits - 1n)) << BigInt(i)), 0n);
  const rows = [
    two("add", (a, b) => a + b),
    two("sub", (a, b) => a - b),
    two("eq", (a, b) => truth(a === b)),
    two("ne", (a, b) => truth(a !== b)),
    two("lt_s", (a, b) => truth(s(a) < s(b))),
    one("neg", (a) => -a),
    one("abs", (a) => (s(a) < 0n ? -s(a) : a)),
    shift("shl", (a, by) => a << by),
    shift("shr_s", (a, by) => s(a) >> by),
    shift("shr_u", (a, by) => a >> by),
    row(`${shape}.splat`, [type], "v128", ([value, shadow]) => {
      const repeated = (number: bigint) =>
        joined(
          lanesOf(0n, bits).map(() => number),
          bits,
        );
      return [repeated(value), repeated(shadow)];
    }),
    row(`${shape}.${extract} ${lane}`, V, type, ([value, shadow]) => [value >> at, shadow >> at]),
    row(`${shape}.replace_lane ${lane}`, ["v128", type], "v128", ([vector, shadow], [value, t]) => {
      const put = (whole: bigint, number: bigint) => (whole & mask(at)) | ((number & mask(bits)) << at);
      return [put(vector, value), put(shadow, t)];
    }),
    row(`${shape}.all_true`, V, "i32", decided(allTrue)),
    row(`${shape}.bitmask`, V, "i32", ([value, shadow]) => [signs(value), signs(shadow)]),
  ];
  if (bits < 64n)
    rows.push(
      two("lt_u", (a, b) => truth(a < b)),
      two("min_s", (a, b) => clamp(s(a), -mask(bits), s(b))),
      two("max_u", (a, b) => clamp(a, b, mask(bits))),
    );
  if (bits > 8n) rows.push(two("mul", (a, b) => a * b));
  if (bits < 32n)
    rows.push(
      two("add_sat_s", (a, b) => clamp(s(a) + s(b), -(1n << (bits - 1n)), mask(bits - 1n))),
      two("sub_sat_u", (a, b) => clamp(a - b, 0n, mask(bits))),
      two("avgr_u", (a, b) => (a + b + 1n) / 2n),
    );
  if (bits > 8n) {
    const from = `i${half}x${128n / half}`;
    const count = Number(128n / bits);
    const low = (vector: bigint) =>
      joined(
        lanesOf(vector, half)
          .slice(0, count)
          .map((lane) => signed(lane, half)),
        bits,
      );
    const high = (vector: bigint) => joined(lanesOf(vector, half).slice(count), bits);
    rows.push(
      row(`${shape}.extend_low_${from}_s`, V, "v128", ([value, shadow]) => [low(value), low(shadow)]),
      row(`${shape}.extend_high_${from}_u`, V, "v128", ([value, shadow]) => [high(value), high(shadow)]),
    );
  }
  return rows;
}

const bitwise = (name: string, apply: (a: Pair, b: Pair) => Pair) => row(`v128.${name}`, VV, "v128", apply);
const ORDER = [0, 17, 2, 19, 4, 21, 6, 23, 31, 9, 29, 11, 27, 13, 25, 15];
const shuffled = (a: bigint, b: bigint): bigint => {
  const lanes = [...lanesOf(a, 8n), ...lanesOf(b, 8n)];
  return joined(
    ORDER.map((index) => lanes[index]),
    8n,
  );
};
const swizzled = (vector: bigint, indices: bigint): bigint =>
  joined(
    lanesOf(indices, 8n).map((index) => (index < 16n ? lanesOf(vector, 8n)[Number(index)] : 0n)),
    8n,
  );

/** Two vectors' lanes into one of half the width, as signed or unsigned numbers. */
const narrow = (text: string, bits: bigint, [least, most]: readonly [bigint, bigint]): Operation =>
  row(text, VV, "v128", (...pairs) => {
    const squeezed = (vectors: readonly bigint[]) =>
      joined(
        vectors.flatMap((vector) => lanesOf(vector, bits).map((lane) => clamp(signed(lane, bits), least, most))),
        bits / 2n,
      );
    return [
      squeezed(pairs.map(([value]) => value)),
      joined(
        pairs.flatMap(([, shadow]) => lanesOf(shadow, bits).map((lane) => (lane === 0n ? 0n : -1n))),
        bits / 2n,
      ),
    ];
  });

const float32 = (lane: bigint): number => toFloat(lane, 32n);

export const VECTORS: readonly Operation[] = [
  ...ofShape("i8x16", 8n),
  ...ofShape("i16x8", 16n),
  ...ofShape("i32x4", 32n),
  ...ofShape("i64x2", 64n),
  row("v128.not", V, "v128", ([value, shadow]) => [~value & FULL, shadow]),
  bitwise("and", ([a, s], [b, t]) => [a & b, (s & t) | (s & b) | (t & a)]),
  bitwise("andnot", ([a, s], [b, t]) => [a & ~b & FULL, (s & t) | (s & ~b) | (t & a)]),
  bitwise("or", ([a, s], [b, t]) => [a | b, (s & t) | (s & ~b) | (t & ~a)]),
  bitwise("xor", ([a, s], [b, t]) => [a ^ b, s | t]),
  row("v128.bitselect", ["v128", "v128", "v128"], "v128", ([a, s], [b, t], [m, u]) => [
    (a & m) | (b & ~m),
    (s & m) | (t & ~m) | (u & ((a ^ b) | s | t)),
  ]),
  row("v128.any_true", V, "i32", ([value, shadow]) => [
    value === 0n ? 0n : 1n,
    shadow !== 0n && (value & ~shadow) === 0n ? 1n : 0n,
  ]),
  row(`i8x16.shuffle ${ORDER.join(" ")}`, VV, "v128", ([a, s], [b, t]) => [shuffled(a, b), shuffled(s, t)]),
  row("i8x16.swizzle", VV, "v128", ([a, s], [b, t]) => [swizzled(a, b), swizzled(s, b) | pessimised(t, 8n)]),
  narrow("i8x16.narrow_i16x8_s", 16n, [-128n, 127n]),
  narrow("i8x16.narrow_i16x8_u", 16n, [0n, 255n]),
  narrow("i16x8.narrow_i32x4_s", 32n, [-32768n, 32767n]),
  narrow("i16x8.narrow_i32x4_u", 32n, [0n, 65535n]),
  byLanes("f32x4.lt", 32n, 2, (a, b) => (float32(a) < float32(b) ? -1n : 0n)),
  byLanes("f32x4.neg", 32n, 1, (a) => a ^ (1n << 31n)),
  byLanes("i32x4.trunc_sat_f32x4_s", 32n, 1, (a) => saturated(float32(a), 32n)),
  row("i32x4.dot_i16x8_s", VV, "v128", (...pairs) => {
    const [a, b] = pairs.map(([value]) => lanesOf(value, 16n).map((lane) => signed(lane, 16n)));
    const sums = lanesOf(0n, 32n).map((_, i) => a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
    return [joined(sums, 32n), pessimised(union(pairs), 32n)];
  }),
];
