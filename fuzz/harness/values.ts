// Values that no caller should give, as words in a program's JSON: numbers that C could not pass, objects that answer with lies or
// throw. What a fuzzer does with them is up to it.
import fc from "fast-check";

/** A value, or the word for one that JSON has no way to say. */
export type Spelled = number | string | boolean | null;

const made: Readonly<Record<string, () => unknown>> = {
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  "-Infinity": () => Number.NEGATIVE_INFINITY,
  "-0": () => -0,
  undefined: () => undefined,
  "10n": () => 10n,
  symbol: () => Symbol("word"),
  array: () => [],
  "nested array": () => [[1], [2]],
  object: () => ({}),
  "null prototype": () => Object.create(null),
  "throwing getter": () =>
    Object.defineProperty({}, "sizeKb", {
      enumerable: true,
      get: () => {
        throw new HostileError("getter");
      },
    }),
  "throwing proxy": () => {
    const refuse = (): never => {
      throw new HostileError("proxy");
    };
    return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getPrototypeOf: refuse });
  },
  "silent proxy": () => new Proxy({}, {}),
  "revoked proxy": () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  "throwing valueOf": () => ({
    valueOf: () => {
      throw new HostileError("valueOf");
    },
  }),
  "number object": () => new Number(64),
  "string object": () => new String("zero"),
  "own __proto__": () => JSON.parse('{"__proto__": {"fill": "zero"}}') as unknown,
  "inherited fill": () => Object.create({ fill: "zero" }),
  function: () => () => 1,
  "throwing function": () => () => {
    throw new HostileError("function");
  },
  class: () => class {},
  date: () => new Date(0),
  "typed array": () => Uint8Array.of(1, 2, 3, 4),
  "detached array": () => {
    const bytes = new Uint8Array(4);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  },
  "big array": () => new Float64Array(2),
  "array with a hole": () => {
    const holes = [1, 2, 3, 4];
    delete holes[1];
    return holes;
  },
  "endless array": () => ({ length: 4_294_967_295 }),
};

/** What a hostile value throws by itself: it passes through to the caller, who gave it. */
export class HostileError extends Error {
  override readonly name = "HostileError";
}

export const hostile: fc.Arbitrary<string> = fc.constantFrom(...Object.keys(made)).map((word) => `!${word}`);

/** Numbers at which lengths, addresses and descriptors turn over. */
export const edgeNumbers: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, 15, 16, 17, 4095, 4096, 4097, 65535, 65536, 131072, 2 ** 31 - 1, 2 ** 31, -(2 ** 31)),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 38 - 4096, 2 ** 38, 2 ** 47, 2 ** 48, 2 ** 52, 2 ** 53 - 1, -4096, 0.5),
  fc.integer({ min: -16, max: 70_000 }),
);

/** The value that a word stands for; all else is itself. */
export function spelledValue(spelled: Spelled): unknown {
  if (typeof spelled !== "string" || !spelled.startsWith("!")) return spelled;
  return made[spelled.slice(1)]();
}
