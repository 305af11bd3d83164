// Instructions for the model's programs that take values and leave one, as data: their text, their types, and what they do to values and
// shadows, both as BigInts. Here are the scalar ones; vectors are definedness-lanes.ts. Float arithmetic is followed immediately by what
// makes an integer of it, since the bits of a NaN are the engine's choice.

export type Type = "i32" | "i64" | "f32" | "f64" | "v128";

export const BITS: Readonly<Record<Type, bigint>> = { i32: 32n, i64: 64n, f32: 32n, f64: 64n, v128: 128n };

/** A value and its shadow. */
export type Pair = readonly [value: bigint, shadow: bigint];

export interface Operation {
  /** In the text format, one instruction or several. */
  readonly text: string;
  readonly params: readonly Type[];
  readonly result: Type;
  apply(...operands: Pair[]): Pair;
}

export const mask = (bits: bigint): bigint => (1n << bits) - 1n;
const all = (condition: boolean): bigint => (condition ? -1n : 0n);

/** All of the result is undefined if any bit of an operand is. */
const whole =
  (compute: (...values: bigint[]) => bigint) =>
  (...operands: Pair[]): Pair => [
    compute(...operands.map(([value]) => value)),
    all(operands.some(([, shadow]) => shadow !== 0n)),
  ];
const truth = (compute: (...values: bigint[]) => boolean) => {
  const rule = whole((...values) => (compute(...values) ? 1n : 0n));
  return (...operands: Pair[]): Pair => {
    const [value, shadow] = rule(...operands);
    return [value, shadow & 1n];
  };
};
/** The same on the value and on the shadow. */
const same =
  (compute: (value: bigint) => bigint) =>
  ([value, shadow]: Pair): Pair => [compute(value), compute(shadow)];

const view = new DataView(new ArrayBuffer(8));
export const toFloat = (bits: bigint, width: bigint): number => {
  if (width === 32n) view.setUint32(0, Number(bits));
  else view.setBigUint64(0, bits);
  return width === 32n ? view.getFloat32(0) : view.getFloat64(0);
};
export const fromFloat = (value: number, width: bigint): bigint => {
  if (width === 32n) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return width === 32n ? BigInt(view.getUint32(0)) : view.getBigUint64(0);
};
/** As trunc_sat_s does: 0 for a NaN, the nearest that there is beyond the ends. */
export const saturated = (value: number, bits: bigint): bigint => {
  if (Number.isNaN(value)) return 0n;
  const [least, most] = [-(1n << (bits - 1n)), mask(bits - 1n)];
  if (!Number.isFinite(value)) return value < 0 ? least : most;
  const whole = BigInt(Math.trunc(value));
  return whole < least ? least : whole > most ? most : whole;
};

const count = (bits: bigint, value: bigint, from: (at: bigint) => bigint): bigint => {
  let zeros = 0n;
  while (zeros < bits && ((value >> from(zeros)) & 1n) === 0n) zeros++;
  return zeros;
};
const ones = (value: bigint): bigint => BigInt(value.toString(2).replaceAll("0", "").length);

function ofIntegers(type: "i32" | "i64"): Operation[] {
  const bits = BITS[type];
  const row = (name: string, params: readonly Type[], apply: Operation["apply"], result: Type = type): Operation => ({
    text: `${type}.${name}`,
    params,
    result,
    apply,
  });
  const shift = (name: string, compute: (value: bigint, amount: bigint) => bigint) =>
    row(name, [type, type], ([value, shadow], [amount, t]) => {
      const undefinedAmount = all((t & (bits - 1n)) !== 0n);
      return [compute(value, amount % bits), compute(shadow, amount % bits) | undefinedAmount];
    });
  const turn = (value: bigint, amount: bigint): bigint => (value << amount) | (value >> (bits - amount));
  const zeros = (name: string, from: (at: bigint) => bigint) =>
    row(name, [type], ([value, shadow]) => [
      count(bits, value, from),
      all(count(bits, shadow, from) < count(bits, value & ~shadow, from)),
    ]);
  const extend = (from: bigint) =>
    row(
      `extend${from}_s`,
      [type],
      same((value) => BigInt.asIntN(Number(from), value)),
    );
  return [
    shift("shr_s", (value, amount) => BigInt.asIntN(Number(bits), value) >> amount),
    shift("rotl", turn),
    shift("rotr", (value, amount) => turn(value, (bits - amount) % bits)),
    zeros("clz", (at) => bits - 1n - at),
    zeros("ctz", (at) => at),
    row("popcnt", [type], whole(ones)),
    extend(8n),
    extend(16n),
    ...(type === "i64" ? [extend(32n)] : []),
  ];
}

function ofFloats(type: "f32" | "f64", integer: "i32" | "i64"): Operation[] {
  const bits = BITS[type];
  const sign = 1n << (bits - 1n);
  const float = (value: bigint): number => toFloat(value, bits);
  const round = (value: number): number => (type === "f32" ? Math.fround(value) : value);
  const compare = (name: string, compute: (a: number, b: number) => boolean): Operation => ({
    text: `${type}.${name}`,
    params: [type, type],
    result: "i32",
    apply: truth((a, b) => compute(float(a), float(b))),
  });
  const arithmetic = (name: string, compute: (a: number, b: number) => number): Operation => ({
    text: `${type}.${name}\ni32.trunc_sat_${type}_s`,
    params: [type, type],
    result: "i32",
    apply: whole((a, b) => saturated(round(compute(float(a), float(b))), 32n)),
  });
  return [
    { text: `${type}.neg`, params: [type], result: type, apply: ([value, shadow]) => [value ^ sign, shadow] },
    { text: `${type}.abs`, params: [type], result: type, apply: whole((value) => value & ~sign) },
    {
      text: `${type}.copysign`,
      params: [type, type],
      result: type,
      apply: whole((a, b) => (a & ~sign) | (b & sign)),
    },
    { text: `${type}.reinterpret_${integer}`, params: [integer], result: type, apply: (pair) => pair },
    { text: `${integer}.reinterpret_${type}`, params: [type], result: integer, apply: (pair) => pair },
    {
      text: `${type}.convert_i32_s`,
      params: ["i32"],
      result: type,
      apply: whole((value) => fromFloat(Number(BigInt.asIntN(32, value)), bits)),
    },
    compare("eq", (a, b) => a === b),
    compare("lt", (a, b) => a < b),
    compare("ge", (a, b) => a >= b),
    arithmetic("add", (a, b) => a + b),
    arithmetic("mul", (a, b) => a * b),
    arithmetic("min", (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.min(a, b))),
  ];
}

export const SCALARS: readonly Operation[] = [
  ...ofIntegers("i32"),
  ...ofIntegers("i64"),
  ...ofFloats("f32", "i32"),
  ...ofFloats("f64", "i64"),
  { text: "i64.extend_i32_u", params: ["i32"], result: "i64", apply: (pair) => pair },
];
