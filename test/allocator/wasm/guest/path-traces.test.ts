// Stacks of a guest's allocations, which are taken once for each path of calls: they must be those that the host would take each time.
import { afterEach, describe, expect, test } from "vitest";
import { partsOf } from "../../../../allocator/heap/heap.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { type EngineTable, engine } from "../../../../platform/host/engine.ts";

type Call = (...values: number[]) => number;

const ALLOCATOR = `
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)`;

const TREE = `(module (import "host" "back" (func $back)) (memory (export "memory") 1)
  (table (export "table") 2 funcref) (elem (i32.const 0) $inner $both)
  ${ALLOCATOR}
  (func $inner (result i32) (return (call $malloc (i32.const 24))))
  (func $left (export "left") (result i32) (call $inner))
  (func $right (export "right") (result i32) (call $inner))
  (func $both (export "both") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $left)) (else (call $right))))
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
      (else (call $inner))))
  (func (export "byTable") (param i32) (result i32) (call_indirect (type $number) (i32.const 0)))
  (func (export "two") (result i32 i32)
    (block (result i32 i32) (br 1 (call $inner) (call $left))))
  (func (export "wrong") (call $free (i32.const 4096)))
  (func (export "through") (result i32) (call $back) (call $inner))
  (type $number (func (result i32))))`;

const made: Instance[] = [];

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

function instantiate(text = TREE, back: () => void = () => {}): Instance {
  const instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 26 }), { host: { back } });
  made.push(instance);
  return instance;
}

/** The guest's functions from which a block was allocated, the innermost first. */
function functions(instance: Instance, pointer: number): string[] {
  return [...lines(instance, pointer).matchAll(/at (\w+) \(\w+\.wasm/g)].map(([, name]) => name);
}

function lines({ heap }: Instance, pointer: number): string {
  return partsOf(heap).stackTable?.allStacksOf(pointer)?.allocation ?? "";
}

const call = (instance: Instance, name: string, ...values: number[]): number =>
  (instance.exports[name] as Call)(...values);

describe("stacks of allocations", () => {
  test("name the functions that led to each, however often the same function allocates", () => {
    const instance = instantiate();
    for (let round = 0; round < 3; round++) {
      expect(functions(instance, call(instance, "left"))).toEqual(["inner", "left"]);
      expect(functions(instance, call(instance, "both", 0))).toEqual(["inner", "right", "both"]);
      expect(functions(instance, call(instance, "both", 1))).toEqual(["inner", "left", "both"]);
      expect(functions(instance, call(instance, "byTable", 0))).toEqual(["inner", "byTable"]);
    }
  });

  test("have a recursion's frames, as many as there are", () => {
    const instance = instantiate();
    for (const depth of [0, 3, 1, 3])
      expect(functions(instance, call(instance, "deep", depth))).toEqual([
        "inner",
        ...Array.from({ length: depth + 1 }, () => "deep"),
      ]);
  });

  test("tell places of the host's code apart, by exports and by a table", () => {
    const instance = instantiate();
    const inTable = (instance.exports.table as EngineTable).get(0) as Call;
    const here = () => lines(instance, inTable());
    const first = here();
    const second = here();
    const places = [lines(instance, call(instance, "left")), lines(instance, call(instance, "left")), first, second];
    expect(new Set(places).size).toBe(4);
  });

  test("survive several results, errors of the heap, and calls that come back from the host", () => {
    const during: string[] = [];
    const instance: Instance = instantiate(TREE, () => {
      during.push(lines(instance, call(instance, "right")));
      during.push(lines(instance, call(instance, "left")));
    });
    const [first, second] = (instance.exports.two as () => [number, number])();
    expect([functions(instance, first), functions(instance, second)]).toEqual([
      ["inner", "two"],
      ["inner", "left", "two"],
    ]);
    const fail = () => expect(() => call(instance, "wrong")).toThrow("corrupted");
    fail();
    const one = lines(instance, call(instance, "left"));
    fail();
    const other = lines(instance, call(instance, "left"));
    expect(one).not.toBe(other);
    const through = call(instance, "through");
    expect(functions(instance, through)).toEqual(["inner", "through"]);
    expect(during.map((stack) => /at (right|left)[\s\S]*at through/.exec(stack)?.[1])).toEqual(["right", "left"]);
  });

  test("have the frames of the host that called, also after the host has called from elsewhere in between", () => {
    const instance: Instance = instantiate(TREE, () => void call(instance, "left"));
    const inner = () => lines(instance, call(instance, "right"));
    const through = () => lines(instance, call(instance, "through"));
    function one(work: () => string): string {
      return work();
    }
    function other(work: () => string): string {
      return work();
    }
    for (let round = 0; round < 3; round++) {
      expect(one(inner)).toContain("at one (");
      expect(one(through)).toMatch(/at through [\s\S]*at one \(/);
      expect(other(through)).toMatch(/at through [\s\S]*at other \(/);
      expect(other(inner)).toContain("at other (");
      expect(other(inner)).not.toContain("at one (");
    }
  });

  test("have none of the host's frames where the guest's own are more than a stack shows", () => {
    const instance = instantiate();
    const deep = () => lines(instance, call(instance, "deep", 40));
    expect(deep()).toBe(deep());
    expect(functions(instance, call(instance, "left"))).toEqual(["inner", "left"]);
  });

  test("a module with tail calls has the host's stacks, since a function may end elsewhere", () => {
    const text = `(module (memory 1) ${ALLOCATOR}
      (func $inner (result i32) (call $malloc (i32.const 8)))
      (func (export "tail") (result i32) (return_call $inner)))`;
    const instance = instantiate(text);
    expect(functions(instance, call(instance, "tail"))).toEqual(["inner"]);
  });
});

test("the engine takes every function with a path, of any number of results", () => {
  const results = ["", "(result i32)", "(result i64 f64)", "(result i32 i32 f32 i64)"];
  for (const result of results) {
    const bytes = wat(`(module (memory 1) ${ALLOCATOR} (func (export "f") (param i32) ${result}
      (call $free (local.get 0)) (if (local.get 0) (then (unreachable))) (unreachable)))`);
    expect(engine.validate(new Module(bytes, { memoryBytes: 2 ** 26 }).compiled.rewritten.bytes)).toBe(true);
  }
});
