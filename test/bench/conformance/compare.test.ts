// What counts as the same answer: joined areas, renamed objects, and the levels of strictness.
import { describe, expect, test } from "vitest";
import { compareAnswers, joinNeighbours, ObjectNames } from "../../../bench/conformance/compare.ts";
import type { Answer, VmaRow } from "../../../bench/conformance/script.ts";

const anonymous = (start: number, end: number, pages = 0): VmaRow => [
  ...([start, end, "rw-p", "", 0] as const),
  ...([pages, 4 * pages, 0, 0, 0, pages, pages, 0] as const),
  "rd wr mr mw me ac",
];

const ofObject = (start: number, end: number, object: string, offset: number): VmaRow => [
  ...([start, end, "rw-s", object, offset] as const),
  ...([0, 0, 0, 0, 0, 0, 0, 0] as const),
  "rd wr sh mr mw me ms",
];

const compare = (want: Answer, got: Answer, options = {}) => compareAnswers(want, got, new ObjectNames(), options);

describe("results", () => {
  test("equal answers do not differ", () => {
    expect(compare({ ret: 3, flt: 1 }, { ret: 3, flt: 1 })).toBeUndefined();
  });

  test("an absent fault count is 0", () => {
    expect(compare({ ret: 0 }, { ret: 0, flt: 0 })).toBeUndefined();
    expect(compare({ ret: 0 }, { ret: 0, flt: 1 })).toEqual({ field: "flt", expected: 0, got: 1 });
  });

  test("an error where a result was expected is named", () => {
    expect(compare({ ret: 0 }, { err: "ENOMEM" })).toEqual({ field: "err", expected: undefined, got: "ENOMEM" });
  });

  test("runs are compared value by value", () => {
    expect(compare({ runs: [[1, 2]] }, { runs: [[1, 2]] })).toBeUndefined();
    expect(compare({ runs: [[1, 2]] }, { runs: [[1, 3]] })?.field).toBe("runs");
  });

  test("a script may leave out what it does not care for", () => {
    expect(compare({}, { vmas: [], pages: "3.", mincore: "3.", lck: 0, init: [1, 2, 3] })).toBeUndefined();
    expect(compare({ lck: 1 }, { vmas: [], lck: 0 })?.field).toBe("lck");
  });

  test("page tables are compared only on request", () => {
    const [want, got] = [
      { vmas: [], pt: 2 },
      { vmas: [], pt: 1 },
    ];
    expect(compare(want, got)).toBeUndefined();
    expect(compare(want, got, { strict: true })?.field).toBe("pt");
  });
});

describe("areas", () => {
  test("equal neighbours are one area, their sizes added", () => {
    const [{ row, pieces }, ...rest] = joinNeighbours([anonymous(0, 2, 1), anonymous(2, 5, 2)]);
    expect(rest).toEqual([]);
    expect(pieces).toBe(2);
    expect(row).toEqual([0, 5, "rw-p", "", 0, 3, 12, 0, 0, 0, 3, 3, 0, "rd wr mr mw me ac"]);
  });

  test("a gap, or an offset that does not continue, keeps neighbours apart", () => {
    expect(joinNeighbours([anonymous(0, 2), anonymous(3, 5)])).toHaveLength(2);
    expect(joinNeighbours([ofObject(0, 2, "m0", 0), ofObject(2, 4, "m0", 0)])).toHaveLength(2);
    expect(joinNeighbours([ofObject(0, 2, "m0", 0), ofObject(2, 4, "m0", 2)])).toHaveLength(1);
  });

  test("a border between equal neighbours counts only on request", () => {
    const want = { vmas: [anonymous(0, 2), anonymous(2, 4)] };
    const got = { vmas: [anonymous(0, 4)] };
    expect(compare(want, got)).toBeUndefined();
    expect(compare(want, got, { strict: true })?.field).toBe("vmas, area 1 (end)");
  });

  test("a missing area is a difference", () => {
    expect(compare({ vmas: [anonymous(0, 2)] }, { vmas: [] })).toMatchObject({ field: "vmas, area 1", got: "nothing" });
  });

  test("resident pages are compared", () => {
    const difference = compare({ vmas: [anonymous(0, 2, 1)] }, { vmas: [anonymous(0, 2, 2)] });
    expect(difference?.field).toBe("vmas, area 1 (Rss)");
  });

  test("a proportional size may differ by the rounding of pieces, and by no more", () => {
    const sized = (row: VmaRow, pss: number): VmaRow =>
      row.map((value, column) => (column === 6 ? pss : value)) as never;
    const want = { vmas: [sized(anonymous(0, 1, 1), 1), sized(anonymous(1, 2, 1), 1)] };
    expect(compare(want, { vmas: [sized(anonymous(0, 2, 2), 3)] })).toBeUndefined();
    expect(compare(want, { vmas: [sized(anonymous(0, 2, 2), 4)] })?.field).toBe("vmas, area 1 (Pss)");
  });
});

describe("object names", () => {
  test("shared anonymous objects may be called anything, but always the same", () => {
    const names = new ObjectNames();
    const see = (want: string, got: string) =>
      compareAnswers({ vmas: [ofObject(0, 1, want, 0)] }, { vmas: [ofObject(0, 1, got, 0)] }, names);
    expect(see("s0", "s77")).toBeUndefined();
    expect(see("s1", "s78")).toBeUndefined();
    expect(see("s0", "s78")?.field).toBe("vmas, area 1 (object)");
    expect(see("s2", "s77")?.field).toBe("vmas, area 1 (object)");
  });

  test("memfds and reference pages go by their handle", () => {
    expect(compare({ vmas: [ofObject(0, 1, "m0", 0)] }, { vmas: [ofObject(0, 1, "m1", 0)] })).toBeDefined();
    expect(compare({ vmas: [ofObject(0, 1, "s0", 0)] }, { vmas: [ofObject(0, 1, "m0", 0)] })).toBeDefined();
  });
});
