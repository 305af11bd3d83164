// What the fuzzers' harness promises: a fault that is put in is found, shrunk to its shortest program, written down as lines that
// say what was called, and found again from the seed and path that are printed.
import fc from "fast-check";
import { expect, test } from "vitest";
import { expect as say } from "../../fuzz/harness/expect.ts";
import type { Fuzzer } from "../../fuzz/harness/fuzzer.ts";
import { Source, show, silent, WrittenJournal } from "../../fuzz/harness/journal.ts";
import { describeFailure, runBatch, runFor } from "../../fuzz/harness/run.ts";

class Counter {
  total = 0;
  add(value: number): number {
    this.total += value;
    if (value > 70) throw new Error("too much");
    return this.total;
  }
}

const counting: Fuzzer<number[]> = {
  program: fc.array(fc.nat(100), { maxLength: 20 }),
  run: (values, journal) => {
    const counter = journal.make("counter", "new Counter()", () => new Counter());
    for (const value of values) counter.add(value);
    return values.length;
  },
  inTests: 1,
};

test("a fault is shrunk to its shortest program and told as calls", async () => {
  const failure = await runBatch("counting", counting, { seed: 1, count: 100 }, { programs: 0, operations: 0 });
  expect(failure?.program).toEqual([71]);
  expect(failure?.lines).toEqual(["const counter = new Counter();", "counter.add(71);"]);
  expect(failure?.error.message).toBe("too much");
});

test("the seed and the path that are printed give the same program", async () => {
  const failure = await runBatch("counting", counting, { seed: 5, count: 100 }, { programs: 0, operations: 0 });
  const text = describeFailure(failure!).join("\n");
  const [, seed, path] = /--seed (\S+) --path (\S+)/.exec(text) ?? [];
  const again = await runBatch(
    "counting",
    counting,
    { seed: Number(seed), count: 1, path },
    { programs: 0, operations: 0 },
  );
  expect(again?.program).toEqual(failure?.program);
});

test("a time is kept, and a fuzzer that has failed is not run again", async () => {
  const found: string[] = [];
  const tallies = new Map();
  const sound: Fuzzer<number> = { program: fc.nat(), run: () => 1, inTests: 1 };
  const both = new Map<string, Fuzzer<unknown>>([
    ["counting", counting as Fuzzer<unknown>],
    ["sound", sound as Fuzzer<unknown>],
  ]);
  await runFor(both, { seed: 1, milliseconds: 300 }, tallies, ({ fuzzer }) => found.push(fuzzer));
  expect(found).toEqual(["counting"]);
  expect(tallies.get("sound").programs).toBeGreaterThan(20);
});

test("objects that calls give have names, and are the real ones for what is called with them", () => {
  class Node {
    child(): Node {
      return new Node();
    }
    isNode(other: Node): boolean {
      return Object.getPrototypeOf(other) === Node.prototype && !journalled.has(other);
    }
  }
  const journalled = new WeakSet<object>();
  const journal = new WrittenJournal();
  const root = journal.make("root", "new Node()", () => new Node());
  const child = root.child();
  journalled.add(child);
  expect(root.isNode(child)).toBe(true);
  expect(journal.lines).toEqual(["const root = new Node();", "const node = root.child();", "root.isNode(node);"]);
});

test("nothing is wrapped while nothing is written", () => {
  const counter = new Counter();
  expect(silent.wrap(counter, "counter")).toBe(counter);
  expect(silent.make("counter", "", () => counter)).toBe(counter);
});

test.each([
  [5, "5"],
  [0x20_0000, "0x200000"],
  [-70_000, "-0x11170"],
  ["text", '"text"'],
  [[1, "a"], '[1, "a"]'],
  [{ a: 1, b: new Source("new B()") }, "{ a: 1, b: new B() }"],
  [Uint8Array.of(1, 2), "Uint8Array.of(1, 2)"],
  [undefined, "undefined"],
])("%j is written as %s", (value, text) => {
  expect(show(value)).toBe(text);
});

test("what does not hold is an error that says so", () => {
  expect(() => say(1).toBe(2)).toThrow();
  expect(() => say(1, "bytes").toBe(2)).toThrow("bytes: 1 is not 2");
  expect(() => say([1]).toEqual([2])).toThrow();
  expect(() => say({ a: 1 }).toMatchObject({ a: 2 })).toThrow();
  expect(() => say([1]).toContain(2)).toThrow("does not contain 2");
  expect(() => say(1).toBeUndefined()).toThrow();
  expect(() => say(1).toBeGreaterThan(1)).toThrow();
  expect(() => say(1).toBeGreaterThanOrEqual(2)).toThrow();
  expect(() => say(2).toBeLessThan(2)).toThrow();
  expect(() => say(2).not.toBe(2)).toThrow();
  say({ a: 1, b: 2 }).toMatchObject({ a: 1 });
});
