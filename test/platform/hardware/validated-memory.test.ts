// Scalar accesses with validity bits: each width at each place in its 8 bytes defines, and uses, exactly its own bytes.
import { expect, test } from "vitest";
import { USE_LOAD } from "../../../platform/hardware/validity.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const WIDTHS = { Uint8: 1, Int8: 1, Uint16: 2, Int16: 2, Uint32: 4, Int32: 4, Float32: 4, Float64: 8 } as const;
const BIG_WIDTHS = { BigUint64: 8, BigInt64: 8 } as const;
const accesses = Object.entries({ ...WIDTHS, ...BIG_WIDTHS }) as [keyof typeof WIDTHS, number][];

function createMemory() {
  const process = createKernel({ memoryBytes: 16 * 2 ** 20, shadow: true }).createProcess();
  const { memory } = process;
  const base = process.mmap(0, 8192, 3, 0x22);
  memory.fill(base, 0, 8192);
  const uses: (readonly number[])[] = [];
  memory.validityObserver = {
    addressableFrom: base,
    addressableTo: base + 8192,
    undefinedUse: (kind, address, size, first) => void uses.push([kind, address - base, size, first - base]),
    mayAccess: () => false,
  };
  return { process, memory, base, uses };
}

test.each(accesses)("%s", (name, width) => {
  const { memory, base, uses } = createMemory();
  const value = (name.startsWith("Big") ? 1n : 1) as number;
  for (let shift = 0; shift < 9; shift++) {
    const { process, memory: fresh, base: begin, uses: found } = createMemory();
    const at = begin + 64 + shift;
    // Every byte of the first page is undefined.
    fresh.translateUnchecked(begin, 1);
    fresh.ram.mayBeUndefined[fresh.frame] = 1;
    fresh.ram.undefinedBits.fill(0xff, fresh.frame * 512, (fresh.frame + 1) * 512);
    fresh[`set${name}`](at, value);
    expect(fresh[`get${name}`](at)).toEqual(value);
    expect(found).toEqual([]);
    fresh.getUint8(at - 1);
    fresh.getUint8(at + width);
    fresh[`get${name}`](at + width);
    expect(found).toEqual([
      [USE_LOAD, 63 + shift, 1, 63 + shift],
      [USE_LOAD, 64 + shift + width, 1, 64 + shift + width],
      [USE_LOAD, 64 + shift + width, width, 64 + shift + width],
    ]);
    process.exit(0);
  }
  memory[`set${name}`](base + 8, value);
  expect(memory[`get${name}`](base + 8)).toEqual(value);
  expect(uses).toEqual([]);
});
