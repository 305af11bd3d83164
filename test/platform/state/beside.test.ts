// Values beside objects: each object's own, each table's own, and nothing that anybody sees of the object changes.
import { expect, test } from "vitest";
import { makeBeside } from "../../../platform/state/beside.ts";

test("an object has the value that it was given last, others have none", () => {
  const beside = makeBeside<object, number>();
  const [first, second, other] = [{}, { a: 1 }, {}];
  beside.set(first, 1);
  beside.set(second, 2);
  beside.set(first, 3);
  expect([first, second, other].map((object) => beside.get(object))).toEqual([3, 2, undefined]);
});

test("of two tables neither has the other's values", () => {
  const [one, two] = [makeBeside<object, string>(), makeBeside<object, string>()];
  const object = {};
  one.set(object, "one");
  expect(two.get(object)).toBeUndefined();
  two.set(object, "two");
  expect([one.get(object), two.get(object)]).toEqual(["one", "two"]);
});

test.each([
  ["a function", () => () => {}],
  ["a frozen object", () => Object.freeze({ a: 1 })],
  ["an object without a prototype", () => Object.create(null) as object],
  ["an array", () => [1, 2]],
])("%s can have one, and looks as before", (_, make) => {
  const beside = makeBeside<object, object>();
  const [object, twin] = [make(), make()];
  const keys = Reflect.ownKeys(object);
  const value = {};
  beside.set(object, value);
  expect(beside.get(object)).toBe(value);
  expect(Reflect.ownKeys(object)).toEqual(keys);
  expect(Object.getPrototypeOf(object)).toBe(Object.getPrototypeOf(twin));
});
