// One access of 1 to 16 bytes (platform/hardware/access.ts), over page borders and frames that are no neighbours; that tags are compared
// first is tag-check.test.ts.
import { expect, test } from "vitest";
import { loadBytes, storeBytes } from "../../../platform/hardware/access.ts";
import { ACCESS_LOAD, PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { PhysicalMemory } from "../../../platform/hardware/physical-memory.ts";
import { findUndefined } from "../../../platform/hardware/validity.ts";
import { pagedThread } from "./paged-thread.ts";

const ram = new PhysicalMemory({ memoryBytes: 2 ** 20, mte: false, shadow: false, gzvaBlockBytes: 64 });
const FIRST = 50;
const BORDER = (FIRST + 1) * PAGE_SIZE;

/** Two pages whose frames lie far apart, the higher one first. */
const { memory } = pagedThread(ram, [
  { page: FIRST, frame: 90 },
  { page: FIRST + 1, frame: 7 },
]);

const byteOf = (address: number): number => memory.getUint8(address);

test.each(Array.from({ length: 16 }, (_, i) => i + 1))(
  "%i bytes are loaded and stored at each place around a border",
  (size) => {
    for (let address = BORDER - size - 1; address <= BORDER + 1; address++) {
      for (let i = -20; i < 40; i++) memory.setUint8(BORDER + i, (i * 7) & 255);
      const loaded = new Uint8Array(size);
      loadBytes(memory, address, loaded);
      expect([...loaded]).toEqual(Array.from({ length: size }, (_, i) => byteOf(address + i)));
      storeBytes(
        memory,
        address,
        Uint8Array.from({ length: size }, (_, i) => 200 + i),
      );
      for (let i = -20; i < 40; i++) {
        const at = BORDER + i - address;
        expect(byteOf(BORDER + i)).toBe(at >= 0 && at < size ? 200 + at : (i * 7) & 255);
      }
    }
  },
);

test.each([0, 17, 4096])("%i bytes are no access, and nothing is loaded or stored", (size) => {
  memory.setUint8(BORDER, 5);
  const target = new Uint8Array(size).fill(9);
  expect(() => loadBytes(memory, BORDER, target)).toThrow(`loadBytes: ${size} bytes are not one access (1 to 16)`);
  expect(() => storeBytes(memory, BORDER, target)).toThrow(`storeBytes: ${size} bytes are not one access (1 to 16)`);
  expect([byteOf(BORDER), target.every((byte) => byte === 9)]).toEqual([5, true]);
});

test("a second page that is not there lets nothing of the first be loaded or stored", () => {
  const end = BORDER + PAGE_SIZE;
  memory.setUint8(end - 1, 3);
  const target = new Uint8Array(2);
  expect(() => loadBytes(memory, end - 1, target)).toThrow("SEGV_MAPERR");
  expect(() => storeBytes(memory, end - 1, Uint8Array.of(1, 2))).toThrow("SEGV_MAPERR");
  expect([byteOf(end - 1), target[0]]).toEqual([3, 0]);
});

test("with validity bits a store defines the bytes on both sides of a border, and a load of undefined ones is seen", () => {
  const shadow = new PhysicalMemory({ memoryBytes: 2 ** 20, mte: false, shadow: true, gzvaBlockBytes: 64 });
  const { memory: checked } = pagedThread(shadow, [
    { page: FIRST, frame: 90 },
    { page: FIRST + 1, frame: 7 },
  ]);
  const isUndefined = (address: number): boolean => {
    checked.translate(address, 1, ACCESS_LOAD);
    return findUndefined(shadow, checked.frame * PAGE_SIZE + (address % PAGE_SIZE), 1) >= 0;
  };
  for (const size of [2, 8, 16]) {
    for (let head = 0; head <= size; head++) {
      shadow.fillValidity(90, 0xff);
      shadow.fillValidity(7, 0xff);
      const address = BORDER - head;
      storeBytes(checked, address, new Uint8Array(size));
      for (let at = address - 3; at < address + size + 3; at++)
        expect(isUndefined(at)).toBe(at < address || at >= address + size);
    }
  }
});
