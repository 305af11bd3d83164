// Modules and hosts that are wrong, or hostile: each gets a typed error or the engine's own, and after a trap all invariants hold.
// Files with altered bytes are fuzz/wasm/mutated.ts's; what a module's bytes may not be is binary/read-module.test.ts's.
import { afterEach, describe, expect, test } from "vitest";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { compile, Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { engine } from "../../../../platform/host/engine.ts";

const made: Instance[] = [];
afterEach(() => {
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

function instantiate(text: string, options: ModuleOptions = {}, imports = {}): Instance {
  const instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 24, ...options }), imports);
  made.push(instance);
  return instance;
}

const run = (instance: Instance, ...values: number[]): number =>
  (instance.exports.f as (...values: number[]) => number)(...values);

const ALLOCATOR = `(func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable)`;
const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const section = (id: number, ...bytes: number[]): number[] => [id, bytes.length, ...bytes];
const FUNCTION = [...section(1, 1, 0x60, 0, 0), ...section(3, 1, 0), ...section(5, 1, 0, 1)];

describe.each([
  ["addresses", {}],
  ["undefined bits", { uninitialised: "byte" }],
] as const)("with %s checked", (_, options) => {
  /** What calls that fail leave: the invariants hold, and the heap gives and takes blocks. */
  function expectWhole(instance: Instance): void {
    instance.guest.checkInvariants();
    instance.heap.free(instance.heap.malloc(40));
    instance.guest.checkInvariants();
  }

  test.each([
    ["allocates", "(i32.store (call $malloc (i32.const 24)) (i32.const 1))"],
    ["faults", "(i32.store (i32.and (i32.mul (local.get 0) (i32.const 4100)) (i32.const 0xfffff)) (i32.const 1))"],
    ["loads through a null pointer", "(drop (i32.load (i32.const 4)))"],
    ["frees", "(call $free (call $malloc (i32.const 100)))"],
  ])("a recursion without an end that %s is the engine's RangeError", (_what, body) => {
    const text = `(module (memory 20) ${ALLOCATOR} (func $f (export "f") (param i32) (result i32)
      ${body} (i32.add (i32.const 1) (call $f (i32.add (local.get 0) (i32.const 1))))))`;
    const instance = instantiate(text, { ...options, memoryBytes: 2 ** 26 });
    for (let times = 0; times < 3; times++) {
      expect(() => run(instance, 1)).toThrow(RangeError);
      instance.guest.checkInvariants();
    }
    expectWhole(instance);
  });

  test("a host that calls the guest that calls the host, without an end, is one as well", () => {
    const text = `(module (import "h" "h" (func $h)) (memory 1) ${ALLOCATOR}
      (func (export "f") (drop (call $malloc (i32.const 8))) (call $h)))`;
    const instance: Instance = instantiate(text, options, { h: { h: () => run(instance) } });
    expect(() => run(instance)).toThrow(RangeError);
    expectWhole(instance);
  });

  test("a trap in the middle of a call leaves what was done before", () => {
    const text = `(module (memory (export "memory") 1) ${ALLOCATOR} (func (export "f") (param i32) (result i32) (local i32)
      (i32.store (local.tee 1 (call $malloc (i32.const 8))) (i32.const 7))
      (drop (i32.div_u (i32.const 1) (local.get 0))) (i32.load (local.get 1))))`;
    const instance = instantiate(text, options);
    expect(() => run(instance, 0)).toThrow(engine.RuntimeError);
    expectWhole(instance);
    expect(run(instance, 1)).toBe(7);
    expect(instance.checker.findings).toEqual([]);
  });

  test("bulk copies that wrap around or pass the memory's end copy nothing", () => {
    const text = `(module (memory (export "memory") 1) (func (export "f") (param i32 i32 i32)
      (memory.copy (local.get 0) (local.get 1) (local.get 2))))`;
    const instance = instantiate(text, options);
    for (const values of [
      [-8, 2048, 16],
      [2048, -8, 16],
      [65530, 2048, 8],
      [2048, 2048, -1],
      [65537, 2048, 0],
    ])
      expect(() => run(instance, ...values), values.join()).toThrow(/SEGV_MAPERR/);
    instance.guest.checkInvariants();
  });

  test("sizes that no memory has get no block, and no more pages", () => {
    const text = `(module (memory 1) ${ALLOCATOR} (func (export "f") (param i32) (result i32) (call $malloc (local.get 0)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`;
    const instance = instantiate(text, options);
    expect([-1, 2 ** 30].map((size) => run(instance, size))).toEqual([0, 0]);
    const grow = instance.exports.grow as (pages: number) => number;
    expect([-1, 65535, 2 ** 15].map(grow)).toEqual([-1, -1, -1]);
    expectWhole(instance);
  });
});

describe("imports and exports", () => {
  test("a module of the host's with this library's name cannot reach what was added", () => {
    expect(() =>
      instantiate('(module (import "__refheap" "x" (func)) (memory 1))', {}, { __refheap: { x() {} } }),
    ).toThrow(engine.LinkError);
    const text = '(module (import "__refheap" "__refheap_memory" (memory 1)))';
    expect(() => instantiate(text, {}, { __refheap: {} })).toThrow(engine.LinkError);
    expect(() => instantiate('(module (memory (export "__refheap_memory") 1))')).toThrow(
      expect.objectContaining({ name: "ModuleError", code: "malformed" }),
    );
  });

  test("what a getter among the imports throws comes out", () => {
    const imports = {
      get a(): never {
        throw new Error("of a getter");
      },
    };
    expect(() => instantiate('(module (import "a" "b" (func)) (memory 1))', {}, imports)).toThrow("of a getter");
  });

  test("a malloc that the host has stays the host's", () => {
    const text = `(module (import "env" "malloc" (func $malloc (param i32) (result i32))) (import "env" "free" (func (param i32)))
      (memory 1) (func (export "f") (result i32) (call $malloc (i32.const 4))))`;
    expect(run(instantiate(text, {}, { env: { malloc: () => 2048, free() {} } }))).toBe(2048);
  });
});

describe("files", () => {
  test.each([
    ["a struct type", section(1, 1, 0x5f, 1, 0x7f, 0)],
    ["a group of types", section(1, 1, 0x4e, 1, 0x60, 0, 0)],
    ["a subtype", section(1, 1, 0x50, 0, 0x60, 0, 0)],
    ["a typed reference", section(1, 2, 0x60, 0, 0, 0x60, 1, 0x64, 0, 0)],
  ])("with %s, of a later proposal, are refused by name", (_, bytes) => {
    expect(() => new Module(Uint8Array.from([...HEADER, ...bytes]))).toThrow(
      expect.objectContaining({ name: "ModuleError", code: "unsupported" }),
    );
  });

  test.each([
    ["locals", section(10, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b)],
    ["labels", section(10, 1, 9, 0, 0x41, 0, 0x0e, 0xff, 0xff, 0xff, 0x7f, 0x0b)],
    ["bodies", section(10, 0xff, 0xff, 0xff, 0xff, 0x0f)],
  ])("that tell of 2^32 %s cost neither memory nor time", (_, bytes) => {
    expect(() => new Module(Uint8Array.from([...HEADER, ...FUNCTION, ...bytes]))).toThrow(
      expect.objectContaining({ name: expect.stringMatching(/^(CompileError|ModuleError)$/) }),
    );
  });
});

describe("modules with a memory of another", () => {
  const OWNER = `(module (memory (export "memory") 1 3) (func (export "f") (param i32) (result i32) (i32.load (local.get 0))))`;
  const user = (limits: string) => `(module (import "o" "memory" (memory ${limits}))
    (func (export "f") (param i32) (result i32) (i32.store (local.get 0) (i32.const 7)) (memory.grow (i32.const 1))))`;

  test("are one guest: stores, growth and findings are of both", () => {
    const owner = instantiate(OWNER);
    const other = instantiate(user("1 3"), {}, { o: owner.exports });
    expect(other.guest).toBe(owner.guest);
    expect(run(other, 2000)).toBe(1);
    expect(run(owner, 2000)).toBe(7);
    expect(run(owner, 65540)).toBe(0);
    expect(() => run(owner, 3 * 65536)).toThrow(/SEGV_MAPERR/);
    expect(other.checker.findings).toHaveLength(1);
  });

  test.each(["2 3", "1 2"])("are held against the limits %s, as the memory is now", (limits) => {
    const owner = instantiate(OWNER);
    expect(() => instantiate(user(limits), {}, { o: owner.exports })).toThrow(engine.LinkError);
    (owner.exports.memory as { grow(pages: number): number }).grow(1);
    if (limits === "2 3") expect(run(instantiate(user(limits), {}, { o: owner.exports }), 2000)).toBe(2);
  });

  test("must have the same options where those say how memory is laid out", () => {
    const owner = instantiate(OWNER);
    expect(() => instantiate(user("1 3"), { uninitialised: "byte" }, { o: owner.exports })).toThrow(
      expect.objectContaining({ name: "ModuleError", code: "memory" }),
    );
  });
});

describe("data segments", () => {
  const side = (offset: string) => `(module (import "o" "memory" (memory 1)) (import "o" "base" (global $base i32))
    (data (i32.const 3000) "ab") (data ${offset} "cd"))`;
  const byte = (instance: Instance, at: number) => new Uint8Array(instance.guest.memory.buffer)[at];

  test("at an address that a global has are stored, and lie where the guest may load them", () => {
    const owner = instantiate(`(module (memory (export "memory") 1) (global (export "base") i32 (i32.const 2000))
      (func (export "f") (param i32) (result i32) (i32.load16_u (local.get 0))))`);
    instantiate(side("(global.get $base)"), {}, { o: owner.exports });
    expect(run(owner, 2000)).toBe(0x6463);
    owner.guest.checkInvariants();
  });

  test.each(["(global.get $base)", "(i32.const 65535)"])(
    "at %s, beyond the guest's memory, are the engine's RuntimeError; those before were stored, and no byte behind",
    (offset) => {
      const owner = instantiate(`(module (memory (export "memory") 1) (global (export "base") i32 (i32.const 65535)))`);
      expect(() => instantiate(side(offset), {}, { o: owner.exports })).toThrow(
        expect.objectContaining({
          name: "RuntimeError",
          message: expect.stringContaining("data segment 1 is out of bounds"),
        }),
      );
      expect([3000, 65535, 65536].map((at) => byte(owner, at))).toEqual([0x61, 0, 0]);
      owner.guest.checkInvariants();
    },
  );

  test("that many are stored in the time of one pass over them", () => {
    const text = `(module (memory (export "memory") 2) ${Array.from({ length: 20_000 }, (_, i) => `(data (i32.const ${2048 + 4 * i}) "x")`).join("")})`;
    const instance = instantiate(text);
    expect([2048, 2052, 2048 + 4 * 19_999].map((at) => byte(instance, at))).toEqual([0x78, 0x78, 0x78]);
  });
});

test.each(["off", "byte"] as const)(
  "an offset that no memory has is an access out of bounds (undefined bits: %s)",
  (uninitialised) => {
    const text = `(module (memory 1) (func (export "f") (param i32) (result i32)
    (i64.store offset=0xfffffffe (local.get 0) (i64.const 1)) (i32.load offset=0xffffffff (local.get 0))))`;
    const instance = instantiate(text, { uninitialised });
    for (const address of [0, 8, -1]) expect(() => run(instance, address)).toThrow(/SEGV_MAPERR|out of bounds/);
    instance.guest.checkInvariants();
  },
);

test("functions of another module keep their types and the bits that go through them when undefined bits are followed", () => {
  const other = new engine.Instance(
    new engine.Module(wat('(module (func (export "f") (param v128) (result v128) (local.get 0)))')),
  );
  const importing = (type: string, call: string) =>
    `(module (import "o" "f" (func $f ${type})) (memory 1) (func (export "f") (result i32) ${call}))`;
  const call = `(i32x4.extract_lane 2 (call $f (v128.const i32x4 1 2 3 4)))`;
  const options = { uninitialised: "byte" } as const;
  expect(run(instantiate(importing("(param v128) (result v128)", call), options, { o: other.exports }))).toBe(3);
  expect(() => instantiate(importing("(param i32)", "(i32.const 1)"), options, { o: other.exports })).toThrow(
    engine.LinkError,
  );
});

describe("functions near the engine's limits", () => {
  const options = { uninitialised: "byte", trackOrigins: true } as const;
  const withLocals = (count: number) => `(module (memory 1) (func (export "f") (param i32) (result i32)
    (local ${"i32 ".repeat(count)}) (local.set ${count} (i32.load (local.get 0))) (i32.add (local.get ${count}) (local.get 5))))`;

  test("10,000 locals, and 1,000 parameters and results, run as ever", () => {
    expect(run(instantiate(withLocals(10_000), options), 2000)).toBe(0);
    const many = "i32 ".repeat(999);
    const gets = Array.from({ length: 999 }, (_, index) => `(local.get ${index})`).join(" ");
    const text = `(module (memory 1) (func $g (param ${many}) (result ${many}) ${gets})
      (func (export "f") (param i32) (result i32) (call $g ${"(i32.load (local.get 0)) ".repeat(999)}) ${"(i32.add) ".repeat(998)}))`;
    const instance = instantiate(text, options);
    new DataView(instance.guest.memory.buffer).setUint32(2000, 3, true);
    expect(run(instance, 2000)).toBe(2997);
  });

  test("what has no room for its checks is refused by name", async () => {
    const loads = Array.from({ length: 26_000 }, (_, i) => `(local.set ${i + 1} (i32.load (local.get 0)))`).join("");
    const uses = Array.from({ length: 26_000 }, (_, i) => `(i32.store (local.get 0) (local.get ${i + 1}))`).join("");
    const bytes = wat(`(module (memory 1) (func (param i32) (local ${"i32 ".repeat(26_000)}) ${loads} ${uses}))`);
    expect(engine.validate(bytes)).toBe(true);
    const refused = expect.objectContaining({
      name: "ModuleError",
      code: "unsupported",
      message: expect.stringContaining("beyond the engine's limits"),
    });
    expect(() => new Module(bytes, { memoryBytes: 2 ** 24, ...options })).toThrow(refused);
    await expect(compile(bytes, { memoryBytes: 2 ** 24, ...options })).rejects.toEqual(refused);
  });
});
