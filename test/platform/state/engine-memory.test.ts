// Host memory that WebAssembly code of the library's own can reach, on engines that have it, refuse it, or never heard of it.
import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "../../../platform/host/engine.ts";
import {
  ENGINE_MEMORY_LIMIT,
  engineMemoryOf,
  isEngineMemory,
  makeEngineMemory,
  toEnginePages,
} from "../../../platform/state/engine-memory.ts";

const PAGE = 65_536;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.resetModules();
});

/** The file as an engine loads it that has this in the place of WebAssembly. */
async function loadWith(WebAssembly: unknown): Promise<typeof import("../../../platform/state/engine-memory.ts")> {
  vi.resetModules();
  vi.stubGlobal("WebAssembly", WebAssembly);
  return await import("../../../platform/state/engine-memory.ts");
}

test("it is as long as it was asked for, all zeroes, and known as what it is", () => {
  const buffer = makeEngineMemory(2 * PAGE);
  expect(buffer.byteLength).toBe(2 * PAGE);
  expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
  expect(isEngineMemory(buffer)).toBe(true);
  expect(engineMemoryOf(buffer)?.buffer).toBe(buffer);
  expect([isEngineMemory(new ArrayBuffer(8)), engineMemoryOf(new ArrayBuffer(8))]).toEqual([false, null]);
});

test("it cannot grow, which would take the buffer from those who have it", () => {
  const buffer = makeEngineMemory(PAGE);
  expect(() => engineMemoryOf(buffer)?.grow(1)).toThrow(RangeError);
  expect(buffer.byteLength).toBe(PAGE);
});

test("lengths are rounded up to whole pages", () => {
  expect([0, 1, PAGE, PAGE + 1, ENGINE_MEMORY_LIMIT].map(toEnginePages)).toEqual([0, PAGE, PAGE, 2 * PAGE, 2 ** 32]);
});

describe("a plain buffer does instead, which no code reaches", () => {
  const refusing = (error: unknown) => ({
    Memory: class {
      constructor() {
        throw error;
      }
    },
  });
  test.each([
    ["an engine without WebAssembly", undefined],
    ["an engine whose WebAssembly has no memories", {}],
    ["an engine that has no room", refusing(new RangeError("no room"))],
    ["an engine that refuses by another error", refusing(new Error("not permitted"))],
  ])("on %s", async (_what, WebAssembly) => {
    const { makeEngineMemory: make, isEngineMemory: is, engineMemoryOf: of } = await loadWith(WebAssembly);
    const buffer = make(PAGE);
    expect([buffer.byteLength, is(buffer), of(buffer)]).toEqual([PAGE, true, null]);
  });

  test("on a host whose words are big-endian, as WebAssembly's are not", async () => {
    vi.spyOn(Int32Array, "of").mockReturnValue(new Int32Array(Uint8Array.of(0, 0, 0, 1).buffer));
    const { makeEngineMemory: make, engineMemoryOf: of } = await loadWith(engine);
    expect(of(make(PAGE))).toBeNull();
  });
});
