// Modules on the heap, end to end: what a guest may touch, what is found, what is counted, and what JavaScript sees of it.
import { afterEach, describe, expect, test } from "vitest";
import { ModuleError } from "../../../../allocator/wasm/binary/module-error.ts";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { createMemory, Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { type EngineMemory, engine, type Imports } from "../../../../platform/host/engine.ts";
import { RLIMIT_DATA } from "../../../../platform/kernel/abi/rlimit.ts";

type Call = (...values: number[]) => number;

const made: Instance[] = [];

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

function instantiate(text: string, options: ModuleOptions = {}, imports: Imports = {}): Instance {
  const instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 26, ...options }), imports);
  made.push(instance);
  return instance;
}

function call(instance: Instance, name: string, ...values: number[]): number {
  return (instance.exports[name] as Call)(...values);
}

/** A module with an allocator of C's names, whose bodies trap: they must never run. */
const ALLOCATOR = `
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)
  (func $calloc (param i32 i32) (result i32) unreachable)
  (func $realloc (export "realloc") (param i32 i32) (result i32) unreachable)`;

const ACCESSES = `
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load64") (param i32) (result i32) (i32.wrap_i64 (i64.load align=4 (local.get 0))))
  (func (export "load12") (param i32) (result i32) (i32.load offset=12 (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "store8") (param i32 i32) (i32.store8 (i32.add (local.get 0) (i32.const 0)) (local.get 1)))
  (func (export "store128") (param i32) (v128.store (local.get 0) (v128.const i64x2 1 1)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (memory.init $passive (local.get 0) (local.get 1) (local.get 2)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (data $passive "passive bytes")`;

const WITH_HEAP = `(module (memory (export "memory") 1 64) ${ALLOCATOR} ${ACCESSES} (data (i32.const 1024) "hello"))`;
const PLAIN = `(module (memory (export "memory") 1 4) ${ACCESSES})`;

function kinds(instance: Instance): string[] {
  return instance.checker.findings.map(({ kind, operation, cause }) => `${kind} ${operation} ${cause}`);
}

describe("a guest's own memory", () => {
  test("is as the module says: data are there, all else reads zero, and loads see stores of every width", () => {
    const instance = instantiate(WITH_HEAP);
    expect(call(instance, "load8", 1024)).toBe(104);
    expect(call(instance, "load", 2000)).toBe(0);
    call(instance, "store", 3001, 0x01020304);
    expect(call(instance, "load8", 3004)).toBe(1);
    call(instance, "store128", 4090);
    expect(call(instance, "load64", 4098)).toBe(1);
    call(instance, "init", 5000, 8, 5);
    call(instance, "copy", 5010, 5000, 5);
    expect(call(instance, "load8", 5010)).toBe("b".charCodeAt(0));
    call(instance, "fill", 65530, 7, 6);
    expect(call(instance, "load8", 65535)).toBe(7);
    expect(kinds(instance)).toEqual([]);
  });

  test("faults page by page: a load maps a clean page, a store makes it resident, data are the loader's", () => {
    const instance = instantiate(WITH_HEAP);
    const { process, kernel } = instance.guest;
    const { counters } = kernel;
    const [faults, rss] = [process.minorFaults, process.rssBytes];
    call(instance, "load", 8192);
    call(instance, "load", 8196);
    expect([process.minorFaults - faults, process.rssBytes - rss]).toEqual([1, 0]);
    call(instance, "store", 8192, 1);
    call(instance, "store", 8200, 1);
    expect([process.minorFaults - faults, process.rssBytes - rss]).toEqual([2, 4096]);
    expect(counters.cleanReadFaults).toBe(1);
  });

  test("stays as it is where the break cannot move, memory.grow answers −1, and it grows once the break can", () => {
    const instance = instantiate(PLAIN);
    const { process } = instance.guest;
    process.setrlimit(RLIMIT_DATA, 0);
    expect(call(instance, "grow", 1)).toBe(-1);
    expect(call(instance, "size")).toBe(1);
    expect(() => call(instance, "store", 65536, 1)).toThrow();
    call(instance, "store", 65532, 7);
    expect(call(instance, "load", 65532)).toBe(7);
    process.setrlimit(RLIMIT_DATA, Number.POSITIVE_INFINITY);
    expect(call(instance, "grow", 1)).toBe(1);
    call(instance, "store", 65536, 8);
    expect(call(instance, "load", 65536)).toBe(8);
  });

  test("grows as the break does, within the module's maximum, and what is new may be used", () => {
    const instance = instantiate(PLAIN);
    expect(() => call(instance, "store", 65536, 1)).toThrow();
    expect(call(instance, "grow", 2)).toBe(1);
    expect(call(instance, "size")).toBe(3);
    expect(call(instance, "grow", 2)).toBe(-1);
    call(instance, "store", 65536 * 3 - 4, 9);
    expect(call(instance, "load", 65536 * 3 - 4)).toBe(9);
    expect(instance.guest.process.addressSpace.brk).toBe(3 * 65536);
  });

  test("ends where it ends: what lies behind is a finding and a fault, a null pointer a finding", () => {
    const instance = instantiate(WITH_HEAP);
    expect(() => call(instance, "load", 65534)).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
    expect(() => call(instance, "store", -4, 1)).toThrow();
    expect(() => call(instance, "load12", -8)).toThrow();
    expect(() => call(instance, "fill", 65530, 1, 7)).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
    expect(() => call(instance, "copy", 65537, 0, 0)).toThrow();
    call(instance, "load", 0);
    expect(kinds(instance)[0]).toBe("invalid-access load out-of-bounds");
    expect(instance.checker.findings.at(-1)?.address).toBe(0);
  });

  test("low addresses are good where the module has data there, or where the option says so", () => {
    const low =
      '(module (memory 1) (data (i32.const 16) "low") (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))';
    const instance = instantiate(low);
    call(instance, "load", 16);
    expect(kinds(instance)).toEqual([]);
    call(instance, "load", 8);
    expect(kinds(instance)).toHaveLength(1);
    const all = instantiate(WITH_HEAP, { nullBytes: 0 });
    call(all, "load", 0);
    expect(kinds(all)).toEqual([]);
  });
});

describe("blocks of the heap", () => {
  test("are the guest's to use, byte for byte, and nothing around them is", () => {
    const instance = instantiate(WITH_HEAP);
    const pointer = call(instance, "malloc", 21);
    call(instance, "store", pointer, 1);
    call(instance, "store", pointer + 16, 2);
    call(instance, "store8", pointer + 20, 3);
    call(instance, "load64", pointer + 12);
    expect(kinds(instance)).toEqual([]);
    call(instance, "store8", pointer + 21, 3);
    call(instance, "load", pointer + 18);
    call(instance, "load8", pointer - 1);
    call(instance, "load", pointer - 2);
    call(instance, "store128", pointer + 8);
    expect(kinds(instance)).toEqual([
      "invalid-access store out-of-bounds",
      "invalid-access load out-of-bounds",
      "invalid-access load out-of-bounds",
      "invalid-access load out-of-bounds",
      "invalid-access store out-of-bounds",
    ]);
    expect(instance.checker.findings.map(({ offset }) => offset)).toEqual([21, 18, -1, -2, 8]);
  });

  test("are gone when they are freed; the finding has the block and both stacks with the guest's names", () => {
    const instance = instantiate(`(module (memory 1) ${ALLOCATOR}
      (func $make (result i32) (call $malloc (i32.const 40)))
      (func $use (param i32) (result i32) (i32.load offset=8 (local.get 0)))
      (func (export "run") (result i32) (local $p i32)
        (local.set $p (call $make)) (call $free (local.get $p)) (call $use (local.get $p))))`);
    call(instance, "run");
    const [finding] = instance.checker.findings;
    expect(finding).toMatchObject({ cause: "use-after-free", offset: 8, block: { size: 40, state: "freed" } });
    expect(finding.stack.slice(0, 2).map(({ functionName }) => functionName)).toEqual(["use", "run"]);
    expect(finding.block?.allocation.slice(0, 2).map(({ functionName }) => functionName)).toEqual(["make", "run"]);
    expect(finding.block?.free[0].functionName).toBe("run");
  });

  test("a frame's place is the byte of the module as it was given", () => {
    const bytes = wat(WITH_HEAP);
    const module = new Module(bytes, { memoryBytes: 2 ** 26 });
    const instance = new Instance(module);
    made.push(instance);
    call(instance, "load", 0);
    const { file, column } = instance.checker.findings[0].stack[0];
    expect(file).toBe("module.wasm");
    // i32.load with alignment 4 and offset 0, in the first of the accesses.
    expect([...bytes.subarray(column, column + 3)]).toEqual([0x28, 2, 0]);
  });

  test("of a megabyte are clean pages of the reference page, and touched one by one", () => {
    const instance = instantiate(WITH_HEAP, { heap: { fill: "pattern" } });
    const { process } = instance.guest;
    const pointer = call(instance, "malloc", 2 ** 20);
    const rss = process.rssBytes;
    expect(call(instance, "load8", pointer + 300_000)).toBe(0xab);
    expect(process.rssBytes).toBe(rss);
    call(instance, "store8", pointer + 300_000, 1);
    expect(process.rssBytes).toBe(rss + 4096);
    expect(call(instance, "load8", pointer + 300_001)).toBe(0xab);
    call(instance, "free", pointer);
    expect(() => call(instance, "load8", pointer + 300_000)).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
    expect(kinds(instance)).toEqual(["invalid-access load use-after-free"]);
  });

  test("keep what glue wrote before the guest touched them, and a later block is fresh all the same", () => {
    const instance = instantiate(WITH_HEAP, { heap: { fill: "zero", quarantine: { sizeKb: 0 } } });
    const bytes = new Uint8Array((instance.exports.memory as EngineMemory).buffer);
    const pointer = call(instance, "malloc", 200_000);
    bytes.fill(0x55, pointer + 100_000, pointer + 100_010);
    expect(call(instance, "load8", pointer + 100_005)).toBe(0x55);
    call(instance, "store8", pointer + 100_000, 1);
    expect(call(instance, "load8", pointer + 100_005)).toBe(0x55);
    bytes.fill(0x66, pointer + 150_000, pointer + 150_010);
    call(instance, "free", pointer);
    const again = call(instance, "malloc", 200_000);
    for (let at = again; at < again + 200_000; at += 500) expect(call(instance, "load8", at)).toBe(0);
    expect(call(instance, "load8", again + 150_005)).toBe(0);
  });

  test("realloc carries the bytes along and moves what may be accessed", () => {
    const instance = instantiate(WITH_HEAP);
    const pointer = call(instance, "malloc", 16);
    call(instance, "store", pointer, 0x12345);
    const larger = call(instance, "realloc", pointer, 100_000);
    expect(call(instance, "load", larger)).toBe(0x12345);
    call(instance, "store", larger + 99_996, 1);
    const smaller = call(instance, "realloc", larger, 20);
    expect(call(instance, "load", smaller)).toBe(0x12345);
    expect(kinds(instance)).toEqual([]);
    call(instance, "load", smaller + 20);
    expect(kinds(instance)).toHaveLength(1);
  });

  test("a double, an interior and a foreign free are HeapErrors and findings; reported only, the guest goes on", () => {
    const instance = instantiate(WITH_HEAP);
    const pointer = call(instance, "malloc", 64);
    expect(() => call(instance, "free", pointer + 16)).toThrow(expect.objectContaining({ name: "HeapError" }));
    expect(() => call(instance, "free", 2048)).toThrow(expect.objectContaining({ name: "HeapError" }));
    call(instance, "load", pointer + 60);
    call(instance, "free", pointer);
    expect(() => call(instance, "free", pointer)).toThrow(expect.objectContaining({ name: "HeapError" }));
    expect(kinds(instance)).toEqual([
      "invalid-free free interior-pointer",
      "invalid-free free foreign-pointer",
      "invalid-free free double-free",
    ]);
    const lenient = instantiate(WITH_HEAP, { invalidFree: "report" });
    call(lenient, "free", 2048);
    expect(kinds(lenient)).toHaveLength(1);
  });

  test("those that JavaScript allocates by the heap are the guest's as well", () => {
    const instance = instantiate(WITH_HEAP);
    const pointer = instance.heap.malloc(8);
    call(instance, "store", pointer + 4, 77);
    expect(instance.heap.memory.getInt32(pointer + 4)).toBe(77);
    instance.heap.free(pointer);
    call(instance, "load", pointer);
    expect(kinds(instance)).toEqual(["invalid-access load use-after-free"]);
  });

  test("that nothing points to are leaks; globals, static data, other blocks hold pointers", () => {
    const instance = instantiate(`(module (memory 1) (global $g (mut i32) (i32.const 0)) ${ALLOCATOR}
      (func (export "run")
        (global.set $g (call $malloc (i32.const 10)))
        (i32.store (i32.const 2048) (call $malloc (i32.const 20)))
        (i32.store (global.get $g) (call $malloc (i32.const 30)))
        (drop (call $malloc (i32.const 40)))))`);
    call(instance, "run");
    const summary = instance.checker.leakCheck();
    expect(summary.definitely).toEqual({ blocks: 1, bytes: 40 });
    expect(summary.reachable.bytes).toBe(60);
    expect(summary.findings[0].stack[0].functionName).toBe("run");
  });

  test("static data that begin as zero hold pointers, though no segment says where they are", () => {
    const instance = instantiate(`(module (memory 3) (global $__stack_pointer (mut i32) (i32.const 73728)) ${ALLOCATOR}
      (data (i32.const 1024) "data")
      (func (export "run")
        (i32.store (i32.const 5000) (call $malloc (i32.const 10)))
        (i32.store offset=9000 (i32.const 0) (call $malloc (i32.const 20)))
        (i32.store (i32.sub (global.get $__stack_pointer) (i32.const 64)) (call $malloc (i32.const 40)))))`);
    call(instance, "run");
    const summary = instance.checker.leakCheck();
    expect([summary.reachable.bytes, summary.definitely.bytes]).toEqual([30, 40]);
  });
});

describe("which allocator", () => {
  test("a module without one has its memory checked, and says so", () => {
    const instance = instantiate(PLAIN);
    expect(instance.functions.size).toBe(0);
    expect(instantiate(WITH_HEAP).functions.size).toBe(4);
  });

  test('its own runs on with functions: "own", and a map names functions that have no name', () => {
    const own = instantiate(WITH_HEAP, { functions: "own" });
    expect(() => call(own, "malloc", 1)).toThrow(engine.RuntimeError);
    const unnamed = `(module (memory 1) (func (export "a") (param i32) (result i32) unreachable)
      (func (export "b") (param i32) unreachable))`;
    const mapped = instantiate(unnamed, { functions: { malloc: 0, free: 1 } });
    expect(call(mapped, "a", 10)).toBeGreaterThan(0);
  });

  test.each([
    [
      "a malloc with another signature",
      '(module (memory 1) (func (export "malloc") (param i64) (result i32) unreachable))',
      {},
    ],
    ["a map to nowhere", WITH_HEAP, { functions: { malloc: 99 } }],
    ["a map of no heap's function", WITH_HEAP, { functions: { mallok: 0 } }],
  ])("%s is a ModuleError", (_, text, options) => {
    expect(() => instantiate(text, options)).toThrow(
      expect.objectContaining({ name: "ModuleError", code: "allocator" }),
    );
  });
});

describe("the host", () => {
  test("re-enters: guest, host, guest, and an exception of the host's goes through the guest's frames", () => {
    const text = `(module (import "host" "back" (func $back (param i32) (result i32))) (memory 1) ${ALLOCATOR}
      (func (export "in") (param i32) (result i32)
        (i32.store (local.tee 0 (call $malloc (i32.const 8))) (call $back (local.get 0)))
        (i32.load (local.get 0)))
      (func (export "inner") (param i32) (result i32) (i32.store (local.get 0) (i32.const 5)) (i32.load (local.get 0))))`;
    let instance: Instance | null = null;
    let throws = false;
    const back = (pointer: number) => {
      if (throws) throw new TypeError("of the host");
      return call(instance!, "inner", pointer) + 1;
    };
    instance = instantiate(text, {}, { host: { back } });
    expect(call(instance, "in", 0)).toBe(6);
    throws = true;
    expect(() => call(instance!, "in", 0)).toThrow(TypeError);
    throws = false;
    expect(call(instance, "in", 0)).toBe(6);
    expect(kinds(instance)).toEqual([]);
  });

  test("sees the engine's memory object, whose grow asks the guest, and only the module's own exports", () => {
    const instance = instantiate(PLAIN);
    const memory = instance.exports.memory as EngineMemory;
    expect(memory).toBeInstanceOf(engine.Memory);
    expect(instance.instance).toBeInstanceOf(engine.Instance);
    expect(Object.keys(instance.exports).filter((name) => name.startsWith("__refheap"))).toEqual([]);
    const { buffer } = memory;
    expect(memory.grow(1)).toBe(1);
    expect(call(instance, "size")).toBe(2);
    expect(memory.buffer).toBe(buffer);
    // Glue that wants 3 pages and reckons from the buffer's length.
    expect(memory.grow(3 - buffer.byteLength / 65536)).toBe(2);
    expect(call(instance, "size")).toBe(3);
    expect(() => memory.grow(2)).toThrow(RangeError);
  });

  test("stops an access by what its handler of findings throws", () => {
    const instance = instantiate(WITH_HEAP);
    instance.checker.onFinding = () => {
      throw new Error("stop");
    };
    expect(() => call(instance, "store", 8, 1)).toThrow("stop");
    instance.checker.onFinding = null;
    expect(instance.heap.memory.getInt32(1028)).not.toBe(1);
  });

  test("missing imports, a start that traps and segments out of bounds are the engine's errors", () => {
    expect(() => instantiate('(module (import "a" "b" (func)) (memory 1))')).toThrow(TypeError);
    expect(() => instantiate("(module (memory 1) (func unreachable) (start 0))")).toThrow(engine.RuntimeError);
    expect(() => instantiate('(module (memory 1) (data (i32.const 65535) "ab"))')).toThrow(engine.RuntimeError);
  });

  test("runs a start function with the heap already there", () => {
    const instance = instantiate(`(module (memory (export "memory") 1) ${ALLOCATOR}
      (func $begin (i32.store (i32.const 2000) (call $malloc (i32.const 8)))) (start $begin)
      (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))`);
    expect(call(instance, "load", 2000)).toBeGreaterThan(65536);
  });

  test("a module that imports its memory takes one made for guests, and two modules on it are one guest", () => {
    const memory = createMemory({ initial: 1, maximum: 4 }, { memoryBytes: 2 ** 26 });
    const text = `(module (import "env" "memory" (memory 1)) ${ALLOCATOR} ${ACCESSES})`;
    const one = instantiate(text, {}, { env: { memory } });
    const two = instantiate(text, {}, { env: { memory } });
    const pointer = call(one, "malloc", 8);
    call(one, "store", pointer, 3);
    expect(call(two, "load", pointer)).toBe(3);
    expect(call(one, "grow", 1)).toBe(1);
    expect(pointer).toBeLessThan(call(two, "size") * 65536);
    expect(two.guest.pages).toBe(2);
    expect(two.heap).toBe(one.heap);
    const grown = createMemory({ initial: 1, maximum: 3 }, { memoryBytes: 2 ** 26 });
    expect(grown.grow(1)).toBe(1);
    expect(() => grown.grow(2)).toThrow(RangeError);
    expect(call(instantiate(text, {}, { env: { memory: grown } }), "size")).toBe(2);
    const foreign = new engine.Memory({ initial: 1 });
    expect(() => instantiate(text, {}, { env: { memory: foreign } })).toThrow(ModuleError);
  });
});

describe("only the heap", () => {
  test("checks: \"none\" leaves loads and stores as they are; malloc and memory.grow are the heap's and the kernel's", () => {
    const instance = instantiate(WITH_HEAP, { checks: "none" });
    const pointer = call(instance, "malloc", 24);
    call(instance, "store", pointer + 20, 5);
    expect(instance.heap.memory.getInt32(pointer + 20)).toBe(5);
    call(instance, "load", 0);
    expect(kinds(instance)).toEqual([]);
    expect(call(instance, "grow", 1)).toBe(1);
  });
});

describe("options", () => {
  test.each([
    ["an unknown one", { check: "none" }],
    ["checks", { checks: "all" }],
    ["nullBytes", { nullBytes: -1 }],
    ["memoryBytes", { memoryBytes: 1000 }],
    ["a heap with tags", { heap: { tagging: "sync" } }],
    ["a heap on another process", { heap: { process: {} } }],
  ])("%s that cannot be is a RangeError", (_, options) => {
    expect(() => instantiate(PLAIN, options as ModuleOptions)).toThrow(RangeError);
  });

  test("a module with more memory than the guest may have is a ModuleError", () => {
    expect(() => instantiate("(module (memory 4000))")).toThrow(expect.objectContaining({ code: "memory" }));
  });

  test("bytes that are no module get the library's error, invalid code the engine's", () => {
    expect(() => new Module(new Uint8Array(20))).toThrow(ModuleError);
    const invalid = wat("(module (memory 1) (func (result i32) (i32.const 1)))");
    invalid[invalid.indexOf(0x41)] = 0x42;
    expect(() => new Module(invalid)).toThrow(engine.CompileError);
  });
});
