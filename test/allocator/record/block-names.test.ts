// The hash of block names against a plain Map, and ids that stay dense.
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockNames } from "../../../allocator/record/block-names.ts";

test("names behave as a Map's keys under any adding and removing", () => {
  const name = fc.tuple(fc.nat(40), fc.nat(3));
  const step = fc.tuple(fc.boolean(), name);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const names = new BlockNames();
      const model = new Map<string, number>();
      for (const [adds, [low, high]] of steps) {
        const key = `${low},${high}`;
        if (adds && !model.has(key)) model.set(key, names.add(low, high));
        else if (!adds) expect(names.remove(low, high)).toBe(model.get(key) ?? -1);
        if (!adds) model.delete(key);
        expect(names.find(low, high)).toBe(model.get(key) ?? -1);
      }
      expect(names.live).toBe(model.size);
      for (const [key, id] of model) {
        const [low, high] = key.split(",").map(Number) as [number, number];
        expect(names.find(low, high)).toBe(id);
      }
      expect(new Set(model.values()).size).toBe(model.size);
    }),
  );
});

test("ids count the blocks alive together, not the calls", () => {
  const names = new BlockNames();
  let largest = 0;
  for (let call = 0; call < 10_000; call++) {
    largest = Math.max(largest, names.add(call * 16, 0x7f));
    if (call >= 5) names.remove((call - 5) * 16, 0x7f);
  }
  expect(largest).toBe(5);
});

test("many live names are all found after the table has grown", () => {
  const names = new BlockNames();
  for (let index = 0; index < 50_000; index++) names.add(index * 32, 1);
  for (let index = 0; index < 50_000; index++) expect(names.find(index * 32, 1)).toBe(index);
});
