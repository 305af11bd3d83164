// Options of checks and of the heap together: what is found does not depend on the others, and nothing is found that is not there.
import { describe, expect, test } from "vitest";
import { formatSuppressions, parseSuppressions, type Suppression } from "../../../../allocator/checker/suppressions.ts";
import type { HeapOptions } from "../../../../allocator/options/options.ts";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

type Call = (...values: number[]) => number;

const MODULE = wat(`(module (import "h" "f" (func $host (param i32) (result i32)))
  (memory (export "memory") 1 64) (global $__stack_pointer (mut i32) (i32.const 8192))
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $calloc (export "calloc") (param i32 i32) (result i32) unreachable)
  (func $realloc (export "realloc") (param i32 i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)
  (func $decide (export "decide") (param i32) (if (i32.load (local.get 0)) (then)))
  (func $carry (export "carry") (param i32)
    (if (i32.and (i32.add (i32.load8_u (local.get 0)) (i32.load (local.get 0))) (i32.const 0)) (then))
    (if (i32.and (i32.add (i32.load8_u (local.get 0)) (i32.const 3)) (i32.const 0x10000)) (then)))
  (func $give (export "give") (param i32) (drop (call $host (i32.load (local.get 0)))))
  (func $write (export "write") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func $read (export "read") (param i32) (result i32) (i32.load (local.get 0)))
  (func $frame (export "frame") (local i32)
    (global.set $__stack_pointer (local.tee 0 (i32.sub (global.get $__stack_pointer) (i32.const 16))))
    (call $decide (local.get 0))
    (global.set $__stack_pointer (i32.add (local.get 0) (i32.const 16)))))`);

/** What a program with one of each fault is found to do, in order; sizes reach from a bin to clean pages of large blocks. */
function faults(
  options: ModuleOptions,
  suppressions: readonly Suppression[] = [],
): { found: string[]; origins: (number | string | null)[]; lines: string } {
  const instance = new Instance(new Module(MODULE, { memoryBytes: 2 ** 26, invalidFree: "report", ...options }), {
    h: { f: () => 1 },
  });
  instance.checker.addSuppressions(...suppressions);
  try {
    const call = (name: string, ...values: number[]) => (instance.exports[name] as Call)(...values);
    const small = call("malloc", 40);
    const large = call("malloc", 600_000);
    const zeroed = call("calloc", 75_000, 8);
    for (const block of [small, large]) {
      call("write", block, 1);
      call("decide", block);
      call("decide", block + 8);
    }
    for (let at = 0; at < 600_000; at += 50_000) call("decide", zeroed + at);
    const longer = call("realloc", small, 4000);
    call("decide", longer);
    call("decide", longer + 3000);
    call("carry", longer + 16);
    call("give", longer + 20);
    call("frame");
    call("read", longer + 4000);
    call("free", longer);
    call("read", longer);
    call("free", large);
    call("free", zeroed);
    const { findings } = instance.checker;
    instance.guest.checkInvariants();
    return {
      found: findings.map(({ kind, operation, count }) => `${kind} ${operation} ${count}`),
      origins: findings.map(({ origin, originFrame }) => origin?.size ?? originFrame?.functionName ?? null),
      lines: formatSuppressions(findings),
    };
  } finally {
    instance[Symbol.dispose]();
  }
}

const HEAPS: Readonly<Record<string, HeapOptions>> = {
  "the defaults": {},
  "a pattern by memset": { fill: "pattern", largeFill: "memset", fillOnFree: true },
  "zeroes by reference page": { fill: "zero", largeFill: "refpage" },
  "patterns by reference page": { fill: "pattern", largeFill: "refpage" },
  "level page": { uninitialised: "page", fill: "pattern", largeFill: "refpage" },
  quarantine: { quarantine: { sizeKb: 256, threadLocalSizeKb: 64, maxChunkSize: 2048 } },
  "no stacks": { stacks: false },
};

const ADDRESSES = ["invalid-access load 1", "invalid-access load 1"];

describe.each(Object.keys(HEAPS))("with a heap of %s", (name) => {
  const heap = HEAPS[name];

  test.each([
    [false, false, "check"],
    [false, false, "trust"],
    [false, true, "check"],
    [true, false, "check"],
    [true, true, "trust"],
  ] as const)("origins %s, exact %s, arguments %s", (trackOrigins, exactArithmetic, callArguments) => {
    for (const checks of ["addresses", "none"] as const) {
      const { found, origins } = faults({
        uninitialised: "byte",
        checks,
        trackOrigins,
        exactArithmetic,
        callArguments,
        heap,
      });
      const conditions = found.filter((line) => line.startsWith("uninitialised condition"));
      const total = conditions.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
      // Of the small block, the large one, what realloc added, the frame; and the carry, which only upwards comes so far.
      expect(total, found.join("\n")).toBe(exactArithmetic ? 4 : 5);
      expect(found.filter((line) => line.startsWith("uninitialised argument"))).toHaveLength(
        callArguments === "check" ? 1 : 0,
      );
      expect(found.filter((line) => line.startsWith("invalid-access"))).toEqual(checks === "none" ? [] : ADDRESSES);
      if (!trackOrigins) continue;
      expect(origins).toContain("frame");
      for (const size of [40, 4000]) expect(origins).toContain(size);
    }
  });

  test("undefined bits off: only addresses", () => {
    expect(faults({ heap }).found).toEqual(ADDRESSES);
    expect(faults({ heap, checks: "none" }).found).toEqual([]);
  });
});

test.each([{ trackOrigins: true }, {}])(
  "what generates suppressions, pasted back, silences all of it: %j",
  (options) => {
    const { lines, found } = faults({ uninitialised: "byte", ...options });
    expect(lines.split("\n")).toContain("uninitialised fun:decide file:module.wasm");
    expect(found.length).toBeGreaterThan(4);
    const suppressions = parseSuppressions(lines);
    expect(faults({ uninitialised: "byte", ...options }, suppressions).found).toEqual([]);
    const byFile = parseSuppressions("uninitialised file:module.wasm");
    expect(faults({ uninitialised: "byte", ...options }, byFile).found).toEqual(ADDRESSES);
  },
);
