// Options of a heap: defaults, the typed object, the string, the environment, and what bad ones are answered.
import { describe, expect, test } from "vitest";
import { editDistance, nearestName, OptionError } from "../../../allocator/options/option-error.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { resolveOptions } from "../../../allocator/options/resolve-options.ts";

function failure(options: unknown): OptionError {
  try {
    resolveOptions(options as HeapOptions);
  } catch (error) {
    if (error instanceof OptionError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(options)} was accepted`);
}

describe("defaults", () => {
  test("are Scudo's, with large fills by reference page", () => {
    const options = resolveOptions();
    expect(options.flags).toEqual({
      quarantine_size_kb: 0,
      thread_local_quarantine_size_kb: 0,
      quarantine_max_chunk_size: 0,
      dealloc_type_mismatch: false,
      delete_size_mismatch: true,
      zero_contents: false,
      pattern_fill_contents: false,
      may_return_null: true,
      release_to_os_interval_ms: 5000,
      allocation_ring_buffer_size: 32768,
    });
    expect(options).toMatchObject({
      fill: "none",
      largeFill: "refpage",
      tagging: "off",
      uninitialised: "off",
      seed: null,
    });
    expect(options.pattern).toEqual(Uint8Array.of(0xab));
  });
});

describe("the typed object", () => {
  test("says the same as the string", () => {
    const typed = resolveOptions({
      fill: "pattern",
      quarantine: { sizeKb: 256, threadLocalSizeKb: 64, maxChunkSize: 2048 },
      deallocTypeMismatch: true,
      mayReturnNull: false,
      releaseToOSIntervalMs: -1,
    });
    const text = resolveOptions(
      "pattern_fill_contents=1:quarantine_size_kb=256:thread_local_quarantine_size_kb=64:quarantine_max_chunk_size=2048" +
        ":dealloc_type_mismatch=1:may_return_null=0:release_to_os_interval_ms=-1",
    );
    expect(typed.flags).toEqual(text.flags);
    expect(typed.fill).toBe(text.fill);
  });

  test("takes patterns of 1, 2, 4, 8 and 16 bytes", () => {
    for (const length of [1, 2, 4, 8, 16]) {
      const pattern = Array.from({ length }, (_, index) => index);
      expect([...resolveOptions({ pattern }).pattern]).toEqual(pattern);
    }
  });

  test("true for stacks means a default size", () => {
    expect(resolveOptions({ stacks: true }).stacks).toEqual({ capacity: 4096, frames: 16 });
    expect(resolveOptions({ stacks: { capacity: 8 } }).stacks).toEqual({ capacity: 8, frames: 16 });
    expect(resolveOptions({ stacks: false }).stacks).toBeNull();
  });

  test.each([
    [{ filll: "zero" }, "filll", "fill"],
    [{ quarantin: {} }, "quarantin", "quarantine"],
    [{ fill: "patern" }, "fill", "pattern"],
    [{ largeFill: "refpages" }, "largeFill", "refpage"],
    [{ tagging: "synch" }, "tagging", "sync"],
    [{ uninitialised: "bytes" }, "uninitialised", "byte"],
    [{ config: "androide" }, "config", "android"],
    [{ seed: 1.4 }, "seed", "1"],
    [{ memoryBytes: 0 }, "memoryBytes", "16777216"],
    [{ hooks: { allocation: () => {} } }, "hooks.allocation", "hooks.allocate"],
    [{ quarantine: { sizeKB: 1 } }, "quarantine.sizeKB", "quarantine.sizeKb"],
    [{ stacks: { frame: 3 } }, "stacks.frame", "stacks.frames"],
  ])("%j is answered with the nearest right one", (options, option, nearest) => {
    expect(failure(options)).toMatchObject({ kind: "invalid-option", option, nearest });
  });

  test.each([
    [{ pattern: [1, 2, 3] }, "pattern"],
    [{ pattern: 256 }, "pattern"],
    [{ pattern: [1.5] }, "pattern"],
    [{ seed: Number.NaN }, "seed"],
    [{ seed: -1 }, "seed"],
    [{ mayReturnNull: 1 }, "mayReturnNull"],
    [{ releaseToOSIntervalMs: 2 ** 31 }, "releaseToOSIntervalMs"],
    [{ stacks: "yes" }, "stacks"],
    [null, "options"],
    [42, "options"],
  ])("%j is refused by name", (options, option) => {
    expect(failure(options).option).toBe(option);
  });
});

describe("the option string", () => {
  test("may be the whole options", () => {
    expect(resolveOptions("zero_contents=1:pattern_fill_contents=1").fill).toBe("zero");
  });

  test("beats the typed object", () => {
    const options = resolveOptions({ mayReturnNull: false, scudoOptions: "may_return_null=1" });
    expect(options.flags.may_return_null).toBe(true);
  });

  test("with an unknown name is refused, with the nearest right name", () => {
    const error = failure("zero_content=1");
    expect(error).toMatchObject({ option: "zero_content", value: "1", nearest: "zero_contents" });
    expect(error.message).toContain("did you mean 'zero_contents'?");
  });

  test("with an unknown name is Scudo's warning when asked for", () => {
    const written: string[] = [];
    resolveOptions({ scudoOptions: "foo=1", unknownOptions: "warn", write: (text) => written.push(text) });
    expect(written).toEqual(["Scudo WARNING: found 1 unrecognized flag(s):\n    foo=1\n"]);
  });

  test("with a global quarantine but no thread-local one fails Scudo's CHECK", () => {
    expect(() => resolveOptions("quarantine_size_kb=64")).toThrow(
      "((Size == 0 && CacheSize == 0) || CacheSize != 0) != 0",
    );
    expect(resolveOptions("thread_local_quarantine_size_kb=64").flags.thread_local_quarantine_size_kb).toBe(64);
  });
});

describe("the environment", () => {
  const environment = { SCUDO_OPTIONS: "zero_contents=1", SCUDO_ALLOCATION_RING_BUFFER_SIZE: "77" };

  test("is read only when it is handed over, and beats the string", () => {
    expect(resolveOptions({ scudoOptions: "zero_contents=0" }).fill).toBe("none");
    expect(resolveOptions({ scudoOptions: "zero_contents=0", environment }).fill).toBe("zero");
  });

  test("has a variable of its own for the ring buffer's size", () => {
    expect(resolveOptions({ environment }).flags.allocation_ring_buffer_size).toBe(77);
    const odd = resolveOptions({ environment: { SCUDO_ALLOCATION_RING_BUFFER_SIZE: "5:zero_contents=1" } });
    expect([odd.flags.allocation_ring_buffer_size, odd.fill]).toEqual([5, "none"]);
  });
});

describe("the nearest name", () => {
  test("is the one of least edit distance, the first of equals", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(nearestName("ab", ["ax", "ay", "zzz"])).toBe("ax");
    expect(nearestName("anything", [])).toBeNull();
  });

  test("of a text that is far longer than any name is looked for by its begin", () => {
    const text = "zero_contents".repeat(2 ** 16);
    expect(nearestName(text, ["fill", "zero_contents"])).toBe(
      nearestName(text.slice(0, 64), ["fill", "zero_contents"]),
    );
  });
});
