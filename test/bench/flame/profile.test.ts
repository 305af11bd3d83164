// What a flame graph is made of, from a small profile written by hand: two ways to the same function, and samples from before.
import type { Profiler } from "node:inspector";
import { expect, test } from "vitest";
import { flameGraph } from "../../../bench/flame/picture.ts";
import { bySelfTime, callTree } from "../../../bench/flame/profile.ts";

function node(id: number, functionName: string, url: string, children: number[] = []): Profiler.ProfileNode {
  return { id, callFrame: { functionName, url, scriptId: "1", lineNumber: 3, columnNumber: 0 }, children };
}

const HEAP = "file:///somewhere/dist/allocator/heap/heap.js";
const MEMORY = "file:///somewhere/dist/platform/hardware/memory.js";

/** work calls malloc twice over, by itself and through help; both call getUint8. Each sample is 10 microseconds long. */
const profile: Profiler.Profile = {
  nodes: [
    node(1, "(root)", "", [2]),
    node(2, "work", "file:///somewhere/dist/bench/flame/flame.js", [3, 4, 6]),
    node(3, "malloc", HEAP, [5]),
    node(4, "help", "", [7]),
    node(5, "getUint8", MEMORY),
    node(6, "malloc", HEAP),
    node(7, "malloc", HEAP),
  ],
  startTime: 1000,
  endTime: 1070,
  samples: [2, 2, 3, 5, 6, 7, 1],
  timeDeltas: [10, 10, 10, 10, 10, 10, 10],
};

test("calls that came the same way are one box, with the time of what they called", () => {
  const tree = callTree(profile, "work");
  expect(tree.total).toBe(60);
  expect(tree.self).toBe(20);
  expect(tree.children.map(({ name, self, total }) => [name, self, total])).toEqual([
    ["malloc", 20, 30],
    ["help", 0, 10],
  ]);
  expect(tree.children[0].file).toBe("allocator/heap/heap.js");
});

test("samples from before the begin do not count", () => {
  expect(callTree(profile, "work", 1025).total).toBe(40);
});

test("own times are summed over all ways to a function", () => {
  expect(bySelfTime(callTree(profile, "work")).map(({ name, self }) => [name, self])).toEqual([
    ["malloc", 30],
    ["work", 20],
    ["getUint8", 10],
    ["help", 0],
  ]);
});

test("a box is as wide as its share, and its tooltip says what the box has no room for", () => {
  const svg = flameGraph(callTree(profile, "work"), "a < b");
  expect(svg).toContain('aria-label="a &#60; b"');
  expect(svg).toContain("<title>malloc, allocator/heap/heap.js: 50.0 %</title>");
  expect(svg).toContain('width="470.0"');
  expect(svg.match(/<rect x=/g)).toHaveLength(5);
});

test("a function that is not in the profile gives an empty graph", () => {
  expect(callTree(profile, "nothing").total).toBe(0);
  expect(flameGraph(callTree(profile, "nothing"), "nothing")).not.toContain("<rect x=");
});
