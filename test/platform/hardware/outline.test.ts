// Outlines: how objects of a class print and compare that have one.
import { inspect, isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { hideFields, hideLinks, outline } from "../../../platform/hardware/outline.ts";

class Large {
  readonly size: number;
  readonly bytes = new Uint8Array(2 ** 20);
  later: object | null = null;
  constructor(size: number) {
    this.size = size;
  }
}

class Larger extends Large {}

outline(Large, ({ size }) => ({ size }));

test("an outline is what inspect and JSON show, of subclasses too", () => {
  for (const object of [new Large(7), new Larger(7)]) {
    expect(inspect({ object })).toMatch(/^\{ object: Large \{ id: \d+, size: 7 \} \}$/);
    expect(JSON.parse(JSON.stringify(object))).toMatchObject({ Large: { size: 7 } });
  }
});

test("objects with an outline are equal only to themselves", () => {
  const [one, other] = [new Large(7), new Large(7)];
  expect([isDeepStrictEqual(one, one), isDeepStrictEqual(one, other)]).toEqual([true, false]);
  expect({ one }).toEqual({ one });
  expect({ one }).not.toEqual({ one: other });
});

test("hidden fields are there, and are walked by nothing that asks for fields", () => {
  const all = new Large(7);
  hideFields(all);
  expect([Object.keys(all), all.size, all.bytes.length]).toEqual([[], 7, 2 ** 20]);
  const links = hideLinks(new Large(7));
  links.later = links;
  expect([Object.keys(links), links.later === links]).toEqual([["size"], true]);
});
