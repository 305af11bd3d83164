// Tagged pointers as numbers: taking, putting and choosing tags.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseNonExcludedTag, countAllowedTags, tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";

describe("a tagged address", () => {
  test("gives back the tag that was put on, in place of any other", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.nat(15), fc.nat(15), (address, first, second) => {
        const tagged = withTag(withTag(address, first), second);
        expect(tagOf(tagged)).toBe(second);
        expect(withoutTag(tagged)).toBe(address);
      }),
    );
  });

  test("has no tag outside 0 to 15", () => {
    expect(() => withTag(4096, 16)).toThrow("withTag: 16 is not a tag (0 to 15)");
    expect(() => withTag(4096, -1)).toThrow(RangeError);
    expect(() => withTag(4096, 1.5)).toThrow(RangeError);
    expect(() => tagOf(2 ** 52)).toThrow(RangeError);
    expect(() => tagOf(-16)).toThrow(RangeError);
    expect(() => tagOf(Number.NaN)).toThrow(RangeError);
  });
});

describe("choosing a tag", () => {
  test("goes steps upwards among the tags not excluded, around the end", () => {
    fc.assert(
      fc.property(fc.nat(15), fc.nat(15), fc.nat(0xffff), (tag, steps, exclude) => {
        const allowed = [...Array(16).keys()].filter((candidate) => ((exclude >> candidate) & 1) === 0);
        const chosen = chooseNonExcludedTag(tag, steps, exclude);
        if (allowed.length === 0) {
          expect(chosen).toBe(0);
          return;
        }
        // Model: the allowed tags in the order met when going up from `tag`; step 0 is the tag itself if it is allowed.
        const upwards = [...Array(16).keys()].map((distance) => (tag + distance) & 15);
        const met = upwards.filter((candidate) => allowed.includes(candidate));
        const index = allowed.includes(tag) || steps === 0 ? steps : steps - 1;
        expect(chosen).toBe(met[index % met.length]);
      }),
    );
  });

  test("counts the tags that a mask leaves", () => {
    expect([0, 0x5555, 0x7fff, 0xffff].map(countAllowedTags)).toEqual([16, 8, 1, 0]);
  });
});
