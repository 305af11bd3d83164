// Memory declared out of bounds: forbidding, allowing and finding agree with a set of addresses, and nothing is kept for nothing.
import fc from "fast-check";
import { expect, test } from "vitest";
import { NoAccess } from "../../../allocator/tracking/no-access.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import "../../seed.ts";

const { ram } = new Machine({ memoryBytes: 2 ** 24 });
const PAGE_SIZE = 4096;

test("nothing is out of bounds at first, nor after all has been allowed again", () => {
  const noAccess = new NoAccess(ram);
  expect(noAccess.isEmpty).toBe(true);
  expect(noAccess.first(0, 2 ** 38)).toBe(-1);
  noAccess.forbid(PAGE_SIZE - 4, 8);
  expect(noAccess.isEmpty).toBe(false);
  expect(noAccess.memoryBytes).toBe((2 * PAGE_SIZE) / 8);
  noAccess.allow(0, PAGE_SIZE);
  expect(noAccess.memoryBytes).toBe(PAGE_SIZE / 8);
  noAccess.allow(PAGE_SIZE, 4);
  expect(noAccess.isEmpty).toBe(true);
  expect(noAccess.memoryBytes).toBe(0);
});

test("an empty range forbids nothing", () => {
  const noAccess = new NoAccess(ram);
  noAccess.forbid(100, 0);
  expect(noAccess.isEmpty).toBe(true);
});

test("the first forbidden byte of any range is a set's", () => {
  const range = fc.record({
    action: fc.constantFrom("forbid", "allow"),
    address: fc.nat({ max: 4 * PAGE_SIZE }),
    length: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 2 * PAGE_SIZE })),
  });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), range, (steps, asked) => {
      const noAccess = new NoAccess(ram);
      const model = new Set<number>();
      for (const { action, address, length } of steps) {
        noAccess[action as "forbid" | "allow"](address, length);
        for (let at = address; at < address + length; at++) {
          if (action === "forbid") model.add(at);
          else model.delete(at);
        }
      }
      let first = -1;
      for (let at = asked.address; at < asked.address + asked.length && first < 0; at++) if (model.has(at)) first = at;
      expect(noAccess.first(asked.address, asked.length)).toBe(first);
      expect(noAccess.isEmpty).toBe(model.size === 0);
    }),
    { numRuns: 60 },
  );
});
