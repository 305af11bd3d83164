// Each rule is sound: for every value of the operands' undefined bits, the bits of the result that its shadow calls defined are the same.
// The module for an instruction has its operands and their shadows in memory, and its result and the result's shadow.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ACCESS_BYTES,
  F32,
  F64,
  I32,
  I64,
  OP_MEMORY_GROW,
  OPERANDS,
  POPS,
  PUSHES,
  V128,
} from "../../../../allocator/wasm/binary/instructions.ts";
import { computes, RULES } from "../../../../allocator/wasm/definedness/rules.ts";
import { type Tracked, track } from "../../../../fuzz/wasm/definedness-rewritten.ts";
import { engine } from "../../../../platform/host/engine.ts";

const SIZES: Readonly<Record<number, number>> = { [I32]: 4, [I64]: 8, [F32]: 4, [F64]: 8, [V128]: 16 };

/** A body that loads the operands at 0, 16 and 32, does the instruction, and stores the result at 64. */
function moduleOf(opcode: number): Uint8Array {
  const operands = Array.from({ length: POPS[opcode] }, (_, i) => OPERANDS[opcode * 3 + i]);
  const load: Record<number, number[]> = {
    [I32]: [0x28, 0],
    [I64]: [0x29, 0],
    [F32]: [0x2a, 0],
    [F64]: [0x2b, 0],
    [V128]: [0xfd, 0, 0],
  };
  const store: Record<number, number[]> = {
    [I32]: [0x36, 0],
    [I64]: [0x37, 0],
    [F32]: [0x38, 0],
    [F64]: [0x39, 0],
    [V128]: [0xfd, 11, 0],
  };
  const leb = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
  const op =
    opcode < 0x100
      ? [opcode]
      : opcode < 0x200
        ? [0xfc, opcode - 0x100]
        : [0xfd, ...leb(opcode - 0x200), ...immediates(opcode)];
  const code = [
    0x41,
    0x00,
    ...operands.flatMap((type, i) => [0x41, 0x00, ...load[type], 16 * i]),
    ...op,
    ...store[PUSHES[opcode]],
    ...leb(64),
    0x0b,
  ];
  const body = [0, ...code];
  const section = (id: number, content: number[]) => [id, ...leb(content.length), ...content];
  return Uint8Array.from([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [1, 3, 0x72, 0x75, 0x6e, 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

function immediates(opcode: number): number[] {
  const simd = opcode - 0x200;
  if (simd === 0x0d) return [0, 17, 2, 19, 4, 21, 6, 23, 31, 9, 29, 11, 27, 13, 25, 15];
  if (simd >= 0x15 && simd <= 0x22) return [1];
  return [];
}

const divides = (opcode: number): boolean => (opcode >= 0x6d && opcode <= 0x70) || (opcode >= 0x7f && opcode <= 0x82);

/** Trapping operations cannot be run with every operand. */
const traps = (opcode: number): boolean =>
  divides(opcode) || (opcode >= 0xa8 && opcode <= 0xab) || (opcode >= 0xae && opcode <= 0xb1);

const opcodes = Array.from(RULES.keys()).filter(
  (opcode) => computes(opcode) && ACCESS_BYTES[opcode] === 0 && opcode !== OP_MEMORY_GROW,
);
/** Relaxed vector instructions are not in every engine. */
const runnable = opcodes.filter((opcode) => engine.validate(moduleOf(opcode)));
const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
const bytes = fc
  .uint8Array({ minLength: 48, maxLength: 48 })
  .chain(() => fc.array(byte, { minLength: 48, maxLength: 48 }));
/** Mostly a few undefined bits. */
const shadowBytes = fc.array(fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: byte }), {
  minLength: 48,
  maxLength: 48,
});

function resultOf({ exports, bytes: memory }: Tracked, size: number): Uint8Array {
  exports.run();
  return memory.slice(64, 64 + size);
}

describe("every instruction that computes has a rule", () => {
  test("all of them", () => {
    expect(opcodes.filter((opcode) => RULES[opcode] === null).map((opcode) => opcode.toString(16))).toEqual([]);
    expect(opcodes.length).toBeGreaterThan(300);
  });
});

describe.each([false, true])("with exact arithmetic %s, a rule is sound", (exactArithmetic) => {
  test.each(runnable.map((opcode) => [opcode.toString(16), opcode] as const))("instruction 0x%s", (_, opcode) => {
    const subject = track(moduleOf(opcode), { exactArithmetic, sharesMemory: true });
    const size = SIZES[PUSHES[opcode]];
    const isFloat = PUSHES[opcode] === F32 || PUSHES[opcode] === F64;
    fc.assert(
      fc.property(bytes, shadowBytes, fc.array(byte, { minLength: 48, maxLength: 48 }), (values, shadows, others) => {
        const run = (operands: readonly number[]): Uint8Array | null => {
          subject.bytes.set(operands, 0);
          subject.shadow.set(shadows, 0);
          // An undefined divisor is reported, and defined from then on.
          if (divides(opcode)) subject.shadow.fill(0, 16, 32);
          try {
            return resultOf(subject, size);
          } catch {
            return null;
          }
        };
        const first = run(values);
        const firstShadow = subject.shadow.slice(64, 64 + size);
        const second = run(
          values.map((value, i) =>
            divides(opcode) && i >= 16 && i < 32 ? value : (value & ~shadows[i]) | (others[i] & shadows[i]),
          ),
        );
        if (first === null || second === null) {
          expect(traps(opcode)).toBe(true);
          return;
        }
        // A NaN's bits are the engine's choice.
        if (isFloat && firstShadow.every((bit) => bit === 0) === false) return;
        for (let i = 0; i < size; i++) expect((first[i] ^ second[i]) & ~firstShadow[i]).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});
