// The MTE instructions on a thread without a kernel; the recorded cases of a real CPU model are replayed in test/bench/conformance/mte/mte.test.ts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BusError, IllegalInstruction, SegmentationFault } from "../../../platform/hardware/faults.ts";
import { PTE_READ } from "../../../platform/hardware/layout.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import * as registers from "../../../platform/hardware/mte-registers.ts";
import { tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";
import { BASE, bareThread, READ_MTE, RW, RW_MTE } from "./bare-thread.ts";

/** The register that a number stands for: 48 bits of address below the tag, sign-extended as hardware's 56. */
function register(address: number): bigint {
  const plain = BigInt.asUintN(56, BigInt.asIntN(48, BigInt(withoutTag(address))));
  return plain | (BigInt(tagOf(address)) << 56n);
}

const pointer = fc.tuple(fc.nat(2 ** 30), fc.nat(15)).map(([address, tag]) => withTag(address * 16, tag));

describe("IRG", () => {
  test("draws every tag that is left about equally often, and no other", () => {
    const { memory } = bareThread([]);
    memory.tagExclude = 0x0003;
    const seen = new Array<number>(16).fill(0);
    for (let draw = 0; draw < 13_000; draw++) seen[tagOf(mte.irg(memory, withTag(BASE, 7), 0x0100))]++;
    const left = [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15];
    for (let tag = 0; tag < 16; tag++) {
      if (left.includes(tag)) expect(Math.abs(seen[tag] - 1000)).toBeLessThan(170);
      else expect(seen[tag]).toBe(0);
    }
  });

  test("gives tag 0 when none is left, and keeps the address", () => {
    const { memory } = bareThread([]);
    memory.tagExclude = 0xff00;
    expect(mte.irg(memory, withTag(BASE + 5, 9), 0xff)).toBe(BASE + 5);
    expect(withoutTag(mte.irg(memory, withTag(BASE + 5, 9)))).toBe(BASE + 5);
  });

  test("repeats its draws from the same seed", () => {
    const { memory } = bareThread([]);
    const draws = (): number[] => {
      memory.randomTagState = 42;
      return Array.from({ length: 20 }, () => mte.irg(memory, BASE));
    };
    expect(draws()).toEqual(draws());
  });
});

describe("pointer arithmetic", () => {
  test("is that of the 64-bit registers", () => {
    const { memory } = bareThread([]);
    fc.assert(
      fc.property(pointer, pointer, fc.nat(63), fc.nat(15), fc.nat(0xffff), (a, b, granules, steps, exclude) => {
        memory.tagExclude = exclude;
        const offset = granules * 16;
        expect(register(mte.addg(memory, a, offset, steps))).toBe(
          registers.addgRegister(register(a), offset, steps, exclude),
        );
        if (withoutTag(a) >= offset) {
          expect(register(mte.subg(memory, a, offset, steps))).toBe(
            registers.addgRegister(register(a), -offset, steps, exclude),
          );
        }
        expect(BigInt.asUintN(64, BigInt(mte.subp(a, b)))).toBe(registers.subpRegister(register(a), register(b)));
        expect(mte.subps(memory, a, b)).toBe(mte.subp(a, b));
        expect(memory.nzcv).toBe(registers.subpsFlags(register(a), register(b)));
        expect(BigInt(mte.gmi(a, exclude))).toBe(registers.gmiRegister(register(a), BigInt(exclude)));
      }),
    );
  });

  test("refuses what the instruction cannot encode", () => {
    const { memory } = bareThread([]);
    expect(() => mte.addg(memory, BASE, 1024, 0)).toThrow(RangeError);
    expect(() => mte.addg(memory, BASE, 8, 0)).toThrow(RangeError);
    expect(() => mte.subg(memory, BASE, 0, 16)).toThrow("subg: 16 tag steps are not a whole number from 0 to 15");
    expect(() => mte.stg(memory, BASE, 2 ** 52)).toThrow(RangeError);
  });
});

describe("tag stores", () => {
  test("take the tag of the register and ignore that of the address", () => {
    const { memory } = bareThread([RW_MTE]);
    memory.tagCheckMode = 1;
    mte.stg(memory, withTag(BASE, 3), withTag(0, 9));
    expect(tagOf(mte.ldg(memory, BASE + 15))).toBe(9);
    expect(tagOf(mte.ldg(memory, BASE + 16))).toBe(0);
    expect(mte.ldg(memory, BASE, withTag(77, 1))).toBe(withTag(77, 9));
  });

  test("zero exactly their granules, or none", () => {
    const { memory } = bareThread([RW_MTE]);
    memory.fill(BASE, 0xee, 128);
    mte.stg(memory, BASE, withTag(0, 1));
    mte.stzg(memory, BASE + 16, withTag(0, 2));
    mte.st2g(memory, BASE + 32, withTag(0, 3));
    mte.stz2g(memory, BASE + 64, withTag(0, 4));
    const zeroed = [...memory.read(BASE, 128)].map((byte) => (byte === 0 ? 1 : 0));
    const expected = [...Array(128).keys()].map((i) => ((i >= 16 && i < 32) || (i >= 64 && i < 96) ? 1 : 0));
    expect(zeroed).toEqual(expected);
    const tags = [...Array(8).keys()].map((granule) => tagOf(mte.ldg(memory, BASE + granule * 16)));
    expect(tags).toEqual([1, 2, 3, 3, 4, 4, 0, 0]);
  });

  test("need granule alignment before anything else, permission next", () => {
    const { memory } = bareThread([READ_MTE, 0]);
    expect(() => mte.stg(memory, BASE + 4096 + 8, 0)).toThrow(BusError);
    expect(() => mte.st2g(memory, BASE + 8, 0)).toThrow(BusError);
    expect(() => mte.stg(memory, BASE, 0)).toThrow(expect.objectContaining({ code: "SEGV_ACCERR", address: BASE }));
    expect(() => mte.ldg(memory, BASE + 4096 + 9)).toThrow(
      expect.objectContaining({ code: "SEGV_MAPERR", address: BASE + 4096 }),
    );
  });

  test("of two granules change nothing if the second page refuses", () => {
    const { memory } = bareThread([RW_MTE, READ_MTE]);
    memory.fill(BASE + 4080, 0x11, 16);
    expect(() => mte.stz2g(memory, BASE + 4080, withTag(0, 5))).toThrow(SegmentationFault);
    expect(memory.getUint8(BASE + 4080)).toBe(0x11);
    expect(tagOf(mte.ldg(memory, BASE + 4080))).toBe(0);
  });

  test("without PROT_MTE do their data part only", () => {
    const { memory } = bareThread([RW]);
    memory.fill(BASE, 0xee, 64);
    mte.stzg(memory, BASE, withTag(0, 5));
    mte.stgp(memory, withTag(BASE + 16, 5), 0x0807060504030201n, 0x100f0e0d0c0b0a09n);
    expect([...memory.read(BASE, 33)]).toEqual([
      ...Array(16).fill(0),
      ...Array.from({ length: 16 }, (_, i) => i + 1),
      0xee,
    ]);
    expect(mte.ldg(memory, withTag(BASE, 5))).toBe(BASE);
  });

  test("by block cover the aligned block around the address", () => {
    const { memory } = bareThread([RW_MTE]);
    memory.fill(BASE, 0xee, 256);
    mte.dcGva(memory, withTag(BASE + 64 + 37, 6));
    expect(memory.getUint8(BASE + 64)).toBe(0xee);
    mte.dcGzva(memory, withTag(BASE + 128, 7));
    const tags = [...Array(16).keys()].map((granule) => tagOf(mte.ldg(memory, BASE + granule * 16)));
    expect(tags).toEqual([0, 0, 0, 0, 6, 6, 6, 6, 7, 7, 7, 7, 0, 0, 0, 0]);
    expect([...memory.read(BASE + 127, 66)]).toEqual([0xee, ...Array(64).fill(0), 0xee]);
    expect(memory.counters.gzvaBlocks).toBe(1);
  });

  test("of many granules together are for the kernel", () => {
    const { memory } = bareThread([RW_MTE]);
    for (const instruction of [mte.ldgm, mte.stgm, mte.stzgm]) {
      expect(() => instruction(memory, BASE)).toThrow(IllegalInstruction);
    }
  });
});

describe("DC ZVA", () => {
  test("is checked over its whole block, and does nothing if a granule differs", () => {
    const { memory } = bareThread([RW_MTE]);
    memory.fill(BASE, 0xee, 64);
    mte.stg(memory, BASE + 48, withTag(0, 1));
    memory.tagCheckMode = 1;
    expect(() => mte.dcZva(memory, BASE + 5)).toThrow(
      expect.objectContaining({ code: "SEGV_MTESERR", address: BASE + 48 }),
    );
    memory.tco = true;
    expect(memory.getUint8(BASE)).toBe(0xee);
    mte.dcZva(memory, BASE + 5);
    expect(memory.compare(BASE, BASE + 64, 64)).toBe(0);
    expect(tagOf(mte.ldg(memory, BASE + 48))).toBe(1);
  });

  test("needs write permission", () => {
    const { memory } = bareThread([PTE_READ]);
    expect(() => mte.dcZva(memory, BASE)).toThrow(SegmentationFault);
  });
});
