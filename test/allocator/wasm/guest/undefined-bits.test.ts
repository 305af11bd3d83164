// Modules on the heap with undefined bits followed, end to end: what begins undefined, what the host makes defined, what is reported.
import { afterEach, describe, expect, test } from "vitest";
import { formatFinding } from "../../../../allocator/checker/finding-text.ts";
import { parseSuppressions } from "../../../../allocator/checker/suppressions.ts";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { createMemory, Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { intercept } from "../../../../allocator/wasm/guest/intercept.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { type EngineMemory, engine, type Imports } from "../../../../platform/host/engine.ts";

type Call = (...values: number[]) => number;

const made: Instance[] = [];

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

const ALLOCATOR = `
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)
  (func $calloc (export "calloc") (param i32 i32) (result i32) unreachable)
  (func $realloc (export "realloc") (param i32 i32) (result i32) unreachable)
  (func (export "use") (param i32) (if (i32.load (local.get 0)) (then)))
  (func (export "use8") (param i32) (if (i32.load8_u (local.get 0)) (then)))
  (func (export "set") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "twice") (param i32) (i32.store (local.get 0) (i32.mul (i32.load (local.get 0)) (i32.const 2))))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))`;
const STACK = `(global $__stack_pointer (mut i32) (i32.const 8192))`;

function instantiate(rest: string, options: ModuleOptions = {}, imports: Imports = {}, head = ""): Instance {
  const text = `(module ${head} (memory (export "memory") 1 64) ${STACK} ${ALLOCATOR} ${rest}
    (data (i32.const 16384) "static"))`;
  const instance = new Instance(
    new Module(wat(text), { memoryBytes: 2 ** 26, uninitialised: "byte", ...options }),
    imports,
  );
  made.push(instance);
  return instance;
}

function call(instance: Instance, name: string, ...values: number[]): number {
  return (instance.exports[name] as Call)(...values);
}

function bytesOf(instance: Instance): Uint8Array {
  return new Uint8Array((instance.exports.memory as EngineMemory).buffer);
}

const found = ({ checker }: Instance): string[] =>
  checker.findings.map(({ kind, operation }) => `${kind} ${operation}`);
/** How often something was found. */
const times = ({ checker }: Instance): number => checker.findings.reduce((sum, { count }) => sum + count, 0);
const CONDITION = ["uninitialised condition"];

describe("what begins undefined", () => {
  test.each([24, 100_000, 10_000_000])("a block of %d bytes by malloc", (size) => {
    const instance = instantiate("");
    const block = call(instance, "malloc", size);
    call(instance, "set", block + 4, 5);
    call(instance, "use", block + 4);
    expect(found(instance)).toEqual([]);
    call(instance, "use", block + 16);
    expect(found(instance)).toEqual(CONDITION);
    call(instance, "use", block + size - 8);
    expect(times(instance)).toBe(2);
  });

  test.each([24, 100_000, 10_000_000])("not one of %d bytes by calloc, nor where a malloc's was", (size) => {
    const instance = instantiate("");
    call(instance, "free", call(instance, "malloc", size));
    const block = call(instance, "calloc", size, 1);
    for (let at = 0; at < size - 4; at += Math.ceil(size / 7)) call(instance, "use", block + at);
    expect(found(instance)).toEqual([]);
  });

  test.each([
    [24, 400],
    [400, 40_000],
    [40_000, 200_000],
    [200_000, 3_000_000],
  ])("what realloc adds from %d to %d bytes, and what was undefined before", (before, after) => {
    const instance = instantiate("");
    const first = call(instance, "malloc", before);
    call(instance, "set", first, 7);
    call(instance, "set", first + before - 8, 7);
    const block = call(instance, "realloc", first, after);
    call(instance, "use", block);
    call(instance, "use", block + before - 8);
    expect(found(instance)).toEqual([]);
    call(instance, "use", block + 4);
    expect(found(instance)).toEqual(CONDITION);
    for (const at of [before, after - 4]) call(instance, "use", block + at);
    expect(times(instance)).toBe(3);
  });

  test("what realloc leaves of a block that gets smaller stays as it was", () => {
    const instance = instantiate("");
    const first = call(instance, "malloc", 60_000);
    call(instance, "set", first, 7);
    const block = call(instance, "realloc", first, 16);
    call(instance, "use", block);
    expect(found(instance)).toEqual([]);
    call(instance, "use", block + 8);
    expect(found(instance)).toEqual(CONDITION);
  });

  test("not static data, nor memory that grows", () => {
    const instance = instantiate(`(func (export "grow") (result i32) (memory.grow (i32.const 1)))`);
    call(instance, "use", 16384);
    call(instance, "use", 16400);
    call(instance, "use", call(instance, "grow") * 65536 + 8);
    expect(found(instance)).toEqual([]);
  });

  test("a freed block is an invalid access, and not undefined besides", () => {
    const instance = instantiate("");
    const block = call(instance, "malloc", 40);
    call(instance, "free", block);
    call(instance, "use", block);
    expect(found(instance)).toEqual(["invalid-access load"]);
  });
});

describe("what the host writes", () => {
  test("to the heap, directly, is defined; what it left is not", () => {
    const instance = instantiate("");
    const block = call(instance, "malloc", 16);
    bytesOf(instance).set(new TextEncoder().encode("text"), block);
    call(instance, "use", block);
    expect(found(instance)).toEqual([]);
    call(instance, "use", block + 4);
    expect(found(instance)).toEqual(CONDITION);
  });

  test("bytes that the guest computed from undefined ones are not the host's", () => {
    const instance = instantiate("");
    const block = call(instance, "malloc", 16);
    call(instance, "twice", block);
    call(instance, "use", block);
    expect(found(instance)).toEqual(CONDITION);
  });

  test("nor are they after they were copied, by memory.copy or by realloc", () => {
    const instance = instantiate("");
    const first = call(instance, "malloc", 16);
    call(instance, "twice", first);
    const second = call(instance, "malloc", 16);
    call(instance, "copy", second, first, 16);
    const third = call(instance, "realloc", second, 5000);
    call(instance, "use", third);
    expect(found(instance)).toEqual(CONDITION);
  });

  test("over a copy of fresh bytes it is recognised", () => {
    const instance = instantiate("");
    const first = call(instance, "malloc", 16);
    const second = call(instance, "malloc", 16);
    call(instance, "copy", second, first, 16);
    bytesOf(instance).fill(1, second, second + 4);
    call(instance, "use", second);
    expect(found(instance)).toEqual([]);
  });

  const outParameter = (write: (address: number, memory: Uint8Array) => void) => {
    const instance: Instance = instantiate(
      `(func (export "f") (local $fp i32)
        (global.set $__stack_pointer (local.tee $fp (i32.sub (global.get $__stack_pointer) (i32.const 32))))
        (call $fill (i32.add (local.get $fp) (i32.const 8)))
        (if (i32.load offset=8 (local.get $fp)) (then))
        (global.set $__stack_pointer (i32.add (local.get $fp) (i32.const 32))))`,
      {},
      { glue: { fill: (address: number) => write(address, bytesOf(instance)) } },
      `(import "glue" "fill" (func $fill (param i32)))`,
    );
    call(instance, "f");
    return instance;
  };

  test("to a variable on the stack, by a pointer that it was given", () => {
    expect(found(outParameter((address, memory) => memory.fill(0, address, address + 4)))).toEqual([]);
    expect(found(outParameter(() => {}))).toEqual(CONDITION);
    expect(found(outParameter((address, memory) => memory.fill(1, address, address + 2)))).toEqual([]);
  });

  test("to room on the stack that it asked for", () => {
    const instance = instantiate(`
      (func $frame (local $fp i32)
        (global.set $__stack_pointer (local.tee $fp (i32.sub (global.get $__stack_pointer) (i32.const 64))))
        (global.set $__stack_pointer (i32.add (local.get $fp) (i32.const 64))))
      (func (export "stackAlloc") (param i32) (result i32)
        (call $frame)
        (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (local.get 0)))
        (global.get $__stack_pointer))`);
    const place = call(instance, "stackAlloc", 32);
    bytesOf(instance).fill(0, place, place + 32);
    call(instance, "use", place);
    expect(found(instance)).toEqual([]);
  });
});

describe("what leaves to the host", () => {
  test("an argument is checked, or trusted", () => {
    const text = `(func (export "f") (param i32) (call $f (i32.load (local.get 0))))`;
    const head = `(import "glue" "f" (func $f (param i32)))`;
    const imports = { glue: { f: () => {} } };
    const checked = instantiate(text, {}, imports, head);
    call(checked, "f", call(checked, "malloc", 8));
    expect(found(checked)).toEqual(["uninitialised argument"]);
    const trusted = instantiate(text, { callArguments: "trust" }, imports, head);
    call(trusted, "f", call(trusted, "malloc", 8));
    expect(found(trusted)).toEqual([]);
  });

  test("imports may come from any object, and what is missing is the engine's own error", () => {
    const text = `(func (export "f") (result i32) (call $f (i32.const 3)))`;
    const head = `(import "glue" "f" (func $f (param i32) (result i32)))`;
    const proxy = new Proxy({}, { get: () => (value: number) => value + 1 });
    expect(call(instantiate(text, {}, { glue: proxy }, head), "f")).toBe(4);
    class Glue {
      f(value: number): number {
        return value + 2;
      }
    }
    const glue = new Glue() as unknown as Record<string, unknown>;
    expect(call(instantiate(text, {}, { glue }, head), "f")).toBe(5);
    expect(() => instantiate(text, {}, {}, head)).toThrow(TypeError);
    expect(() => instantiate(text, {}, { glue: {} }, head)).toThrow(engine.LinkError);
  });

  const WASI = `
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))`;
  const CALLS = `
    (func (export "write") (param $list i32) (param $buffer i32) (param $size i32)
      (i32.store (local.get $list) (local.get $buffer))
      (i32.store offset=4 (local.get $list) (local.get $size))
      (drop (call $write (i32.const 1) (local.get $list) (i32.const 1) (i32.add (local.get $list) (i32.const 8)))))
    (func (export "read") (param $list i32) (param $buffer i32) (param $size i32)
      (i32.store (local.get $list) (local.get $buffer))
      (i32.store offset=4 (local.get $list) (local.get $size))
      (drop (call $read (i32.const 1) (local.get $list) (i32.const 1) (i32.add (local.get $list) (i32.const 8)))))`;

  function withWasi(): Instance {
    const instance: Instance = instantiate(
      CALLS,
      {},
      {
        wasi_snapshot_preview1: {
          fd_write: () => 0,
          fd_read: (_: number, list: number, __: number, moved: number) => {
            const view = new DataView((instance.exports.memory as EngineMemory).buffer);
            view.setUint32(moved, 4, true);
            view.setUint32(view.getUint32(list, true), 0xb5b5b5b5, true);
            return 0;
          },
        },
      },
      WASI,
    );
    return instance;
  }

  test("the bytes that WASI's fd_write is given, each of them", () => {
    const instance = withWasi();
    const list = call(instance, "malloc", 16);
    const block = call(instance, "malloc", 16);
    for (const at of [0, 4, 8]) call(instance, "set", block + at, 0);
    call(instance, "write", list, block, 12);
    expect(found(instance)).toEqual([]);
    call(instance, "write", list, block, 13);
    expect(found(instance)).toEqual(["uninitialised system call"]);
    const [finding] = instance.checker.findings;
    expect(finding).toMatchObject({ address: block, size: 13, firstUndefined: block + 12, offset: 0 });
  });

  test("what fd_read says that it read is defined", () => {
    const instance = withWasi();
    const list = call(instance, "malloc", 16);
    const block = call(instance, "malloc", 16);
    call(instance, "read", list, block, 16);
    call(instance, "use", block);
    call(instance, "use", list + 8);
    expect(found(instance)).toEqual([]);
    call(instance, "use", block + 4);
    expect(found(instance)).toEqual(CONDITION);
  });

  test("a result behind a 64-bit argument is defined, also where that comes in two halves, as from Emscripten", () => {
    for (const [type, offset] of [
      ["i64", "(i64.const 7)"],
      ["i32 i32", "(i32.const 7) (i32.const 0)"],
    ]) {
      const instance: Instance = instantiate(
        `(func (export "seek") (param i32) (drop (call $seek (i32.const 3) ${offset} (i32.const 0) (local.get 0))))`,
        {},
        {
          wasi_snapshot_preview1: {
            fd_seek: (...values: unknown[]) => {
              const view = new DataView((instance.exports.memory as EngineMemory).buffer);
              // What stays as it was is no sign of a store.
              view.setUint8(values.at(-1) as number, view.getUint8(values.at(-1) as number));
              return 0;
            },
          },
        },
        `(import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 ${type} i32 i32) (result i32)))`,
      );
      const result = call(instance, "malloc", 16);
      call(instance, "seek", result);
      call(instance, "use", result + 4);
      expect(found(instance)).toEqual([]);
      call(instance, "use", result + 8);
      expect(found(instance)).toEqual(CONDITION);
    }
  });
});

describe("findings", () => {
  test("have the guest's stack, and with trackOrigins the block", () => {
    const instance = instantiate(
      `(func $decide (param i32) (if (local.get 0) (then)))
       (func $load (export "load") (param i32) (call $decide (i32.load (local.get 0))))
       (func $make (export "make") (result i32) (call $malloc (i32.const 24)))`,
      { trackOrigins: true },
    );
    call(instance, "load", call(instance, "make"));
    const [finding] = instance.checker.findings;
    expect(finding.stack.map(({ functionName }) => functionName).slice(0, 2)).toEqual(["decide", "load"]);
    expect(finding.origin).toMatchObject({ size: 24, state: "live" });
    const lines = formatFinding(finding, { stable: true }).split("\n");
    expect(lines[0]).toBe("Conditional branch depends on uninitialised bits");
    expect(lines).toContain("  the undefined bits are from block A of 24 bytes, from malloc");
    expect(lines.at(-1)).toMatch(/^ {4}at /);
  });

  test("one place is one finding, counted; a suppression by function keeps it out", () => {
    const instance = instantiate("");
    const block = call(instance, "malloc", 400);
    for (let at = 0; at < 400; at += 4) call(instance, "use", block + at);
    expect(instance.checker.findings.map(({ count }) => count)).toEqual([100]);
    const other = instantiate("");
    other.checker.addSuppressions(...parseSuppressions("uninitialised fun:use"));
    call(other, "use", call(other, "malloc", 4));
    expect(found(other)).toEqual([]);
  });
});

test("what goes on and on is counted each time, and another caller is found besides", () => {
  const instance = instantiate(`
    (func $deep (param i32) (local $fp i32)
      (global.set $__stack_pointer (local.tee $fp (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (call $decide (i32.load (local.get 0)))
      (global.set $__stack_pointer (i32.add (local.get $fp) (i32.const 16))))
    (func $decide (param i32) (if (local.get 0) (then)))
    (func (export "loop") (param $block i32) (param $count i32)
      (loop
        (call $decide (i32.load (local.get $block)))
        (br_if 0 (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
      (call $deep (local.get $block)))`);
  call(instance, "loop", call(instance, "malloc", 4), 1000);
  expect(instance.checker.findings.map(({ count }) => count)).toEqual([1000, 1]);
});

describe("options", () => {
  test.each([
    [{ uninitialised: "bit" }, RangeError],
    [{ callArguments: "maybe" }, RangeError],
    [{ exactArithmetic: "yes" }, TypeError],
    [{ trackOrigins: 1 }, TypeError],
  ])("%j is refused", (options, error) => {
    expect(() => instantiate("", options as unknown as ModuleOptions)).toThrow(error);
  });

  test("off finds nothing", () => {
    const instance = instantiate("", { uninitialised: "off" });
    call(instance, "use", call(instance, "malloc", 8));
    expect(found(instance)).toEqual([]);
    expect(instance.guest.validity).toBeNull();
  });

  test("exact arithmetic knows that a carry stops at a defined bit", () => {
    const text = `(func (export "f") (param i32)
      (if (i32.and (i32.add (i32.load8_u (local.get 0)) (i32.const 3)) (i32.const 0x200)) (then)))`;
    for (const [exactArithmetic, expected] of [
      [undefined, CONDITION],
      [true, []],
      [false, CONDITION],
    ] as const) {
      const instance = instantiate(text, { exactArithmetic });
      call(instance, "f", call(instance, "malloc", 4));
      expect(found(instance)).toEqual(expected);
    }
  });

  test("a memory that a module imports", () => {
    const text = `(module (import "env" "memory" (memory 1)) ${STACK} ${ALLOCATOR})`;
    const options = { memoryBytes: 2 ** 26, uninitialised: "byte" } as const;
    const memory = createMemory({ initial: 1 }, options);
    const instance = new Instance(new Module(wat(text), options), { env: { memory } });
    made.push(instance);
    call(instance, "use", call(instance, "malloc", 8));
    expect(found(instance)).toEqual(CONDITION);
    const other = createMemory({ initial: 1 }, { memoryBytes: 2 ** 26 });
    expect(() => new Instance(new Module(wat(text), options), { env: { memory: other } })).toThrow(/uninitialised/);
  });

  test("intercept() takes them", async () => {
    using interception = intercept({ memoryBytes: 2 ** 26, uninitialised: "byte" });
    const global = (
      globalThis as unknown as {
        WebAssembly: { instantiate(bytes: Uint8Array): Promise<{ instance: { exports: Record<string, Call> } }> };
      }
    ).WebAssembly;
    const { instance } = await global.instantiate(wat(`(module (memory 1) ${ALLOCATOR})`));
    instance.exports.use(instance.exports.malloc(4));
    expect(interception.instances[0].checker.findings).toHaveLength(1);
  });
});
