// C++ on LLVM's library: new and delete in all their forms, those that do not belong together, and a program's own; built where a
// compiler is installed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import type { EngineMemory } from "../../../../platform/host/engine.ts";
import { compileC } from "../clang.ts";
import { TinyWasi } from "../wasi.ts";

const folder = mkdtempSync(join(tmpdir(), "refheap-cplusplus-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A library whose functions the tests call. */
function build(text: string): Uint8Array<ArrayBuffer> | null {
  const file = join(folder, "program.cc");
  writeFileSync(file, text.replaceAll("TEST(", 'extern "C" __attribute__((export_name('));
  const cplusplus = ["--driver-mode=g++", "-std=c++17", "-fno-exceptions", "-mexec-model=reactor"];
  return compileC(file, [...cplusplus, "-O1", "-g"]);
}

function instantiate(bytes: Uint8Array<ArrayBuffer>, options: ModuleOptions = {}): Instance {
  const wasi = new TinyWasi();
  const instance = new Instance(
    new Module(bytes, { memoryBytes: 2 ** 26, uninitialised: "byte", ...options }),
    wasi.imports,
  );
  wasi.memory = instance.exports.memory as EngineMemory;
  (instance.exports._initialize as (() => void) | undefined)?.();
  return instance;
}

/** What is found in a call, as cause and function, and lost behind it. */
function found(instance: Instance, name: string): string[] {
  const before = instance.checker.findings.length;
  (instance.exports[name] as () => number)();
  instance.checker.leakCheck();
  const findings = instance.checker.findings.slice(before);
  return findings.map(({ kind, cause, stack }) => `${cause ?? kind} in ${stack[0].functionName}:${stack[0].line}`);
}

const MIXED = `#include <cstdlib>
#include <new>
#include <string>
#include <vector>
#define FAR __attribute__((noinline))
struct Widget { int value; ~Widget() { value = 0; } };
FAR void deleteOne(int *p) { delete p; }
FAR void deleteArray(int *p) { delete[] p; }
FAR void release(void *p) { free(p); }
FAR void *escape(void *p) { asm volatile("" : "+r"(p)); return p; }
TEST("arrayDeleted"))) void a() { deleteOne((int *)escape(new int[10])); }
TEST("oneDeletedAsArray"))) void b() { deleteArray((int *)escape(new int)); }
TEST("mallocDeleted"))) void c() { deleteOne((int *)escape(malloc(4))); }
TEST("newFreed"))) void d() { release(escape(new int)); }
TEST("newArrayFreed"))) void e() { release(escape(new char[30])); }
TEST("alignedReallocated"))) void f() { release(realloc(escape(aligned_alloc(64, 64)), 500)); }
struct alignas(64) Line { char bytes[64]; };
TEST("forms"))) void g() {
  delete (int *)escape(new (std::nothrow) int);
  delete[] (int *)escape(new (std::nothrow) int[9]);
  delete (Line *)escape(new Line);
  delete[] (Line *)escape(new Line[3]);
  delete (Line *)escape(new (std::nothrow) Line);
  delete[] (Widget *)escape(new Widget[5]);
  release(escape(malloc(4)));
  release(escape(aligned_alloc(64, 128)));
  void *room = malloc(sizeof(std::string));
  auto *text = new (room) std::string(200, 'x');
  text->~basic_string();
  release(room);
  std::vector<std::string> all(20, std::string(40, 'y'));
  all.resize(3);
}`;

describe("new and delete", () => {
  const bytes = build(MIXED);

  test.for([
    ["arrayDeleted", "mismatched-free in deleteOne(int*):7"],
    ["oneDeletedAsArray", "mismatched-free in deleteArray(int*):8"],
    ["mallocDeleted", "mismatched-free in deleteOne(int*):7"],
    ["newFreed", "mismatched-free in release(void*):9"],
    ["newArrayFreed", "mismatched-free in release(void*):9"],
  ])("that do not belong together are found, once, and the block is given back: %s", ([name, finding], { skip }) => {
    if (bytes === null) return skip("clang, wasm-ld or libc++ for WASI is not installed");
    const instance = instantiate(bytes);
    expect(found(instance, name)).toEqual([finding]);
    expect([...instance.checker.liveBlocks()]).toEqual([]);
    instance[Symbol.dispose]();
  });

  test.for(["forms", "alignedReallocated"])(
    "in all forms that belong together are no findings: %s",
    (name, { skip }) => {
      if (bytes === null) return skip("clang, wasm-ld or libc++ for WASI is not installed");
      const instance = instantiate(bytes);
      expect(found(instance, name)).toEqual([]);
      instance[Symbol.dispose]();
    },
  );

  test("that the program has itself go on as they are, and malloc below them is the heap's", ({ skip }) => {
    const own = build(`#include <cstdlib>
      #include <new>
      static int count;
      __attribute__((noinline)) void *operator new(std::size_t size) { count++; return std::malloc(size); }
      __attribute__((noinline)) void operator delete(void *p) noexcept { count += 100; std::free(p); }
      __attribute__((noinline)) void operator delete(void *p, std::size_t) noexcept { count += 100; std::free(p); }
      __attribute__((noinline)) void *escape(void *p) { asm volatile("" : "+r"(p)); return p; }
      TEST("run"))) int run() {
        delete (int *)escape(new int);
        delete[] (int *)escape(new int[4]);
        escape(new int);
        return count;
      }`);
    if (own === null) return skip("clang, wasm-ld or libc++ for WASI is not installed");
    const instance = instantiate(own);
    expect((instance.exports.run as () => number)()).toBe(203);
    expect([...instance.checker.liveBlocks()]).toHaveLength(1);
    instance[Symbol.dispose]();
  });
});

test("a module that only frees has its free on the heap: what it is given is no block", ({ skip }) => {
  const bytes = build(`#include <cstdlib>
    __attribute__((noinline)) void release(void *p) { free(p); }
    TEST("run"))) void run() { int local; release(&local); }`);
  if (bytes === null) return skip("clang or wasm-ld is not installed");
  const instance = instantiate(bytes, { invalidFree: "report" });
  expect(found(instance, "run")).toEqual(["foreign-pointer in release(void*):2"]);
  instance[Symbol.dispose]();
});

describe("where an optimiser may have put delete's code into its callers", () => {
  const NAMED = `(module (memory (export "memory") 1 64)
    (func $malloc (param i32) (result i32) unreachable)
    (func $free (param i32) unreachable)
    (func $_Znwm (param i32) (result i32) unreachable)
    (func (export "run") (call $free (call $_Znwm (i32.const 4)))))`;

  test("a free of new's block is not judged", () => {
    const instance = instantiate(wat(NAMED));
    expect(found(instance, "run")).toEqual([]);
    instance[Symbol.dispose]();
  });

  test("it is with the heap's option, as a HeapError unless invalid frees are only reported", () => {
    const heap = { deallocTypeMismatch: true };
    const throwing = instantiate(wat(NAMED), { heap });
    expect(() => found(throwing, "run")).toThrow(/allocation type mismatch/);
    throwing[Symbol.dispose]();
    const reporting = instantiate(wat(NAMED), { heap, invalidFree: "report" });
    expect(found(reporting, "run")).toEqual(["mismatched-free in run:1"]);
    expect([...reporting.checker.liveBlocks()]).toEqual([]);
    reporting[Symbol.dispose]();
  });
});
