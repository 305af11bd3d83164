// A module's memory and heap in a snapshot: the restored heap is in the same state, and goes on by itself.
import { afterEach, expect, test } from "vitest";
import { Heap, partsOf } from "../../../../allocator/heap/heap.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";

const MODULE = wat(`(module (memory (export "memory") 1)
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (global $kept (mut i32) (i32.const 0))
  (func $malloc (export "malloc") (param i32) (result i32) (unreachable))
  (func $free (export "free") (param i32) (unreachable))
  (func (export "make") (param i32) (result i32) (call $malloc (local.get 0)))
  (func (export "drop") (param i32) (call $free (local.get 0)))
  (func (export "keep") (param i32) (global.set $kept (local.get 0)))
  (func (export "write") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "use") (param i32) (if (i32.load (local.get 0)) (then))))`);

type Call = (...values: number[]) => number;
type Exports = Record<"make" | "drop" | "keep" | "write" | "use", Call>;

const OPTIONS = { memoryBytes: 2 ** 26, heap: { seed: 1 } };
const made: Instance[] = [];

afterEach(() => {
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

function subject(options: ConstructorParameters<typeof Module>[1] = {}) {
  const instance = new Instance(new Module(MODULE, { ...OPTIONS, ...options }));
  made.push(instance);
  const exports = instance.exports as unknown as Exports;
  return { instance, ...exports, machine: instance.heap.kernel.machine };
}

function restored(bytes: Uint8Array): { readonly machine: Machine; readonly heap: Heap } {
  const machine = Machine.restore(bytes);
  const [heap] = Heap.on(machine);
  return { machine, heap };
}

const WAYS = [
  {},
  { uninitialised: "byte" },
  { uninitialised: "byte", trackOrigins: true },
  { heap: { seed: 1, fill: "pattern" } },
] as const;

test.each(WAYS)("a restored heap is what it was, and hands out the same blocks: %j", (options) => {
  const { instance, machine, make, drop, write } = subject(options);
  const blocks = Array.from({ length: 300 }, (_, i) => make(16 + ((i * 48) % 3000)));
  const large = make(100_000);
  write(large + 50_000, 77);
  for (let i = 0; i < 300; i += 3) drop(blocks[i]);
  write(blocks[1], 0x12345678);

  const twin = restored(machine.snapshot());
  expect(twin.machine.digest()).toBe(machine.digest());
  twin.heap.checkInvariants();
  expect(twin.heap.memory.getUint32(blocks[1])).toBe(0x12345678);
  expect(twin.heap.memory.getUint32(large + 50_000)).toBe(77);
  expect([...twin.heap.checker.liveBlocks()].sort()).toEqual([...instance.checker.liveBlocks()].sort());
  for (const size of [20, 500, 3000, 70_000]) expect(twin.heap.malloc(size)).toBe(instance.heap.malloc(size));
  twin.heap.free(blocks[1]);
  expect(() => twin.heap.free(blocks[1])).toThrow(/double|state/i);
  twin.heap.checkInvariants();
});

test("it knows the stacks of blocks that the module allocated by itself, also of those that are gone", () => {
  const { machine, make, drop } = subject();
  const [live, gone] = [make(40), make(40)];
  drop(gone);
  const { heap } = restored(machine.snapshot());
  expect(partsOf(heap).stackTable?.stacksOf(live)?.allocation).toContain("make");
  expect(partsOf(heap).stackTable?.stacksOf(gone)?.free).toContain("drop");
});

test("what the module's globals held when it was taken are the roots of its leak checks", () => {
  const { machine, make, keep } = subject();
  make(40);
  keep(make(50));
  const bytes = machine.snapshot();
  keep(0);
  const { definitely, reachable } = restored(bytes).heap.checker.leakCheck();
  expect([definitely.bytes, reachable.bytes]).toEqual([40, 50]);
});

test("findings come along", () => {
  const { machine, make, use } = subject({ uninitialised: "byte", trackOrigins: true });
  use(make(40));
  const [finding] = restored(machine.snapshot()).heap.checker.findings;
  expect([finding.kind, finding.operation, finding.origin?.size]).toEqual(["uninitialised", "condition", 40]);
});

test("taking it changes nothing for the module", () => {
  const { instance, machine, make, use } = subject({ uninitialised: "byte", trackOrigins: true });
  const block = make(40);
  const before = machine.digest();
  machine.snapshot();
  expect(machine.digest()).toBe(before);
  use(block);
  expect(instance.checker.findings).toHaveLength(1);
  instance.guest.checkInvariants();
});
