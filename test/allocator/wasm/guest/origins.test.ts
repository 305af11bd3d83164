// Findings name the allocation or the stack frame that undefined bits are from, also after its end.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { formatFinding } from "../../../../allocator/checker/finding-text.ts";
import { findingsToSarif } from "../../../../allocator/checker/sarif.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import type { EngineMemory } from "../../../../platform/host/engine.ts";
import { compileC } from "../clang.ts";
import { Exit, TinyWasi } from "../wasi.ts";

const made: Instance[] = [];
const OPTIONS = { memoryBytes: 2 ** 26, uninitialised: "byte", trackOrigins: true } as const;

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

const PROGRAM = `(module (memory (export "memory") 1 64)
  (global $__stack_pointer (mut i32) (i32.const 8192))
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)
  (func $realloc (export "realloc") (param i32 i32) (result i32) unreachable)
  (func (export "first") (param i32) (result i32) (call $malloc (local.get 0)))
  (func (export "second") (param i32) (result i32) (call $malloc (local.get 0)))
  (func (export "use") (param i32) (if (i32.load (local.get 0)) (then)))
  (func (export "word") (param i32 i32) (i32.store (local.get 0) (i32.load (local.get 1))))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (i32.load (local.get 1)) (local.get 2)))
  (func $inner (param $to i32) (local $fp i32)
    (global.set $__stack_pointer (local.tee $fp (i32.sub (global.get $__stack_pointer) (i32.const 32))))
    (i32.store (local.get $to) (i32.load offset=8 (local.get $fp)))
    (global.set $__stack_pointer (i32.add (local.get $fp) (i32.const 32))))
  (func (export "frame") (param i32) (call $inner (local.get 0)))
  (func $outer (local $fp i32)
    (global.set $__stack_pointer (local.tee $fp (i32.sub (global.get $__stack_pointer) (i32.const 2000))))
    (if (i32.load offset=1000 (local.get $fp)) (then))
    (global.set $__stack_pointer (i32.add (local.get $fp) (i32.const 2000))))
  (func (export "large") (call $outer)))`;

interface Subject {
  readonly instance: Instance;
  call(name: string, ...values: number[]): number;
  /** Of the last finding: the size of the block that the bits are from, and the function that allocated it. */
  origin(): [number, string] | string | null;
}

function subject(options = {}): Subject {
  const instance = new Instance(new Module(wat(PROGRAM), { ...OPTIONS, ...options }));
  made.push(instance);
  return {
    instance,
    call: (name, ...values) => (instance.exports[name] as (...all: number[]) => number)(...values),
    origin() {
      const { origin, originFrame } = instance.checker.findings.at(-1)!;
      if (originFrame !== null) return originFrame.functionName;
      return origin === null ? null : [origin.size, origin.allocation[0]?.functionName ?? ""];
    },
  };
}

describe("a block", () => {
  test("that bits were copied from, by words and by ranges at any distance", () => {
    const { call, origin } = subject();
    const from = call("first", 40);
    const to = call("second", 64);
    for (const [at, copy] of [
      [0, () => call("word", to, from + 8)],
      [4, () => call("copy", to + 4, from, 8)],
      [17, () => call("copy", to + 17, from + 2, 6)],
      [32, () => call("copy", to + 32, from + 1, 9)],
    ] as const) {
      copy();
      call("use", to + at);
      expect([at, origin()]).toEqual([at, [40, "first"]]);
    }
  });

  test("whose place another block has now", () => {
    const { call, origin, instance } = subject();
    const from = call("first", 40);
    const to = call("second", 64);
    call("word", to, from);
    call("free", from);
    const reused: number[] = [];
    for (let i = 0; i < 200 && !reused.includes(from); i++) reused.push(call("second", 40));
    call("use", to);
    expect(origin()).toEqual([40, "first"]);
    expect(instance.checker.findings[0].origin!.state).toBe("freed");
  });

  test("what realloc kept is from the first allocation, what it added from the second", () => {
    const { call, origin } = subject();
    const block = call("realloc", call("first", 40), 4000);
    call("use", block + 8);
    expect(origin()).toEqual([40, "first"]);
    const other = subject();
    const grown = other.call("realloc", other.call("first", 40), 4000);
    other.call("use", grown + 44);
    expect(other.origin()).toEqual([4000, expect.any(String)]);
  });

  test("a large one, whose pages are touched later", () => {
    const { call, origin } = subject();
    call("use", call("first", 10_000_000) + 5_000_000);
    expect(origin()).toEqual([10_000_000, "first"]);
  });

  test("that a byte was from, of which a range was filled", () => {
    const { call, origin } = subject();
    const to = call("second", 64);
    call("fill", to + 8, call("first", 8), 20);
    call("use", to + 12);
    expect(origin()).toEqual([8, "first"]);
  });

  test("beside bits of another block in the same block", () => {
    const { call, origin } = subject();
    const first = call("first", 16);
    const second = call("second", 24);
    call("word", first, second);
    call("use", first + 4);
    expect(origin()).toEqual([16, "first"]);
    call("use", first);
    expect(origin()).toEqual([24, "second"]);
  });
});

describe("a stack frame", () => {
  test("after its function returned, by what it stored", () => {
    const { call, origin, instance } = subject();
    const block = call("second", 16);
    call("frame", block);
    call("use", block);
    expect(origin()).toBe("inner");
    const text = formatFinding(instance.checker.findings[0], { stable: true }).split("\n");
    expect(text.slice(-2)).toEqual(["  the undefined bits are from a stack frame", "    at inner (module.wasm)"]);
    expect(JSON.stringify(findingsToSarif(instance.checker.findings))).toContain("stack frame");
  });

  test("a long one", () => {
    const { call, origin } = subject();
    call("large");
    expect(origin()).toBe("outer");
  });
});

describe("programs in C", () => {
  const folder = mkdtempSync(join(tmpdir(), "refheap-origins-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const source = `#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct point { char tag; int x, y; };
static volatile int sink;
__attribute__((noinline)) static struct point *make(void) { return malloc(sizeof(struct point)); }
__attribute__((noinline)) static int sum(struct point p) { return p.x * 3 + p.y; }
__attribute__((noinline)) static void part(int *to) { int v[8]; int *volatile p = v; p[0] = 1; memcpy(to, p, sizeof v); }
int main(void) {
  struct point *p = make();
  p->x = 1;
  struct point copy = *p;
  if (sum(copy) > 4) sink = 1;
  int *to = calloc(8, 4);
  part(to);
  if (to[3]) sink = 2;
  char *line = malloc(12);
  memset(line, 'a', 11);
  write(1, line, 12);
  return 0;
}
`;

  test.each(["-O0", "-O1", "-O2"])("say the line of it at %s", (level) => {
    const file = join(folder, "points.c");
    writeFileSync(file, source);
    const bytes = compileC(file, [level, "-g"]);
    if (bytes === null) return;
    const wasi = new TinyWasi();
    const instance = new Instance(new Module(bytes, OPTIONS), wasi.imports);
    made.push(instance);
    wasi.memory = instance.exports.memory as EngineMemory;
    try {
      (instance.exports._start as () => void)();
    } catch (error) {
      if (!(error instanceof Exit)) throw error;
    }
    const [first, second, third] = instance.checker.findings;
    expect([first.origin?.size, first.origin?.allocation[0].line]).toEqual([12, 6]);
    expect([second.originFrame?.functionName, second.originFrame?.line]).toEqual(["part", 8]);
    expect([third.operation, third.block?.size, third.origin, third.originFrame]).toEqual([
      "system call",
      12,
      null,
      null,
    ]);
  });
});
