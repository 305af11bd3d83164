// Memory of which the collector is not told, with and without an engine that has such: what is in it, and how snapshots keep it.
import { afterEach, describe, expect, test, vi } from "vitest";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { decode } from "../../../platform/state/decode.ts";
import { encode } from "../../../platform/state/encode.ts";
import { isSparse, makeSparse } from "../../../platform/state/sparse.ts";

function snapshotOfAKernel(): Uint8Array {
  const kernel = new Kernel({ memoryBytes: 2 ** 26 }, { clock: () => 5 });
  const process = kernel.createProcess();
  process.memory.setUint32(process.mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 7);
  return kernel.machine.snapshot();
}

describe("sparse memory", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test("is zeroes of the length that was asked for, in a buffer whose length the collector does not count", () => {
    const buffer = makeSparse(4096);
    expect(buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(new Uint8Array(buffer)).toEqual(new Uint8Array(4096));
  });

  test("is an ordinary buffer where pages are not isolated from other origins", () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    const buffer = makeSparse(4096);
    expect(buffer).toBeInstanceOf(ArrayBuffer);
    expect(isSparse(buffer)).toBe(true);
  });

  test("comes back from a snapshot with its bytes, and sparse", () => {
    const words = new Int32Array(makeSparse(64));
    words[5] = -3;
    const [restored] = decode(encode([words])) as [Int32Array];
    expect([...restored]).toEqual([...words]);
    expect(isSparse(restored.buffer)).toBe(true);
  });

  test("is no part of a snapshot that others have made shared", () => {
    expect(() => encode([new Int32Array(new SharedArrayBuffer(64))])).toThrow("a view of this kind");
  });

  test("makes the same snapshot on every host", () => {
    const here = snapshotOfAKernel();
    vi.stubGlobal("SharedArrayBuffer", undefined);
    expect(snapshotOfAKernel()).toEqual(here);
  });
});
