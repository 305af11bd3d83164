// What machines there are, and that a large one costs the host nothing until it is written.
import { describe, expect, test } from "vitest";
import { Machine } from "../../../platform/hardware/machine.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

test.each([
  ["less than 16 MiB", 16 * MIB - 4096],
  ["more than 16 GiB", 16 * GIB + 4096],
  ["no whole page", 64 * MIB + 1],
  ["NaN", Number.NaN],
  ["a fraction", 64 * MIB + 0.5],
  ["infinity", Number.POSITIVE_INFINITY],
  ["a negative size", -64 * MIB],
])("memory of %s is refused", (_, memoryBytes) => {
  expect(() => new Machine({ memoryBytes })).toThrow(RangeError);
});

test.each([0, 8, 48, 4096, Number.NaN])("a DC GZVA block of %d bytes is refused", (gzvaBlockBytes) => {
  expect(() => new Machine({ memoryBytes: 16 * MIB, gzvaBlockBytes })).toThrow(RangeError);
});

test("a machine has 1 GiB, MTE and no validity bits unless an option says otherwise", () => {
  const machine = new Machine();
  expect(machine).toMatchObject({ memoryBytes: GIB, frameCount: 262144, mte: true, shadow: false, gzvaBlockBytes: 64 });
});

test("16 GiB are one machine of four banks", () => {
  const { ram, frameCount } = new Machine({ memoryBytes: 16 * GIB });
  expect(ram.banks).toHaveLength(4);
  for (let frame = 0; frame < frameCount; frame += frameCount / 4) expect(ram.bankOf(frame)).toHaveLength(4 * GIB);
});

test("making the largest machine commits less than 20 MiB of the host's memory", () => {
  const before = process.memoryUsage.rss();
  const machine = new Machine({ memoryBytes: 16 * GIB, shadow: true });
  expect(process.memoryUsage.rss() - before).toBeLessThan(20 * MIB);
  expect(machine.frameCount).toBe(4 * 2 ** 20);
});

describe("page tables", () => {
  test("one that comes back is used again, empty", () => {
    const machine = new Machine({ memoryBytes: 16 * MIB });
    const table = machine.takePageTable();
    table.set(5, 1);
    table.set(5, 0);
    table.freeTables(0, 512);
    machine.returnPageTable(table);
    expect(machine.takePageTable()).toBe(table);
  });

  test("one with entries is not taken back", () => {
    const machine = new Machine({ memoryBytes: 16 * MIB });
    const table = machine.takePageTable();
    table.set(5, 1);
    expect(() => machine.returnPageTable(table)).toThrow("entries");
  });
});
