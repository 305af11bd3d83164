// S-expressions of scripts: comments that nest, strings with escapes, annotations, places.
import { expect, test } from "vitest";
import { type Expression, lineOf, readExpressions } from "../../../../bench/conformance/wasm/expressions.ts";

const shape = ({ kind, items, word, bytes }: Expression): unknown =>
  kind === "list" ? items.map(shape) : kind === "word" ? word : [...bytes];

test("lists, words and strings are told apart, with comments and annotations left out", () => {
  const text = '(a (; (; b ;) ;) "c\\n\\41\\u{e9}" (@name d) $e;; f\n) g';
  expect(readExpressions(text).map(shape)).toEqual([["a", [99, 10, 0x41, 0xc3, 0xa9], "$e"], "g"]);
});

test("each has its place in the text", () => {
  const text = "(a)\n (b (c))";
  const [, second] = readExpressions(text);
  expect(text.slice(second.start, second.end)).toBe("(b (c))");
  expect(lineOf(text, second.start)).toBe(2);
});

test.each([
  ["(a", "line 1: a bracket does not end"],
  ["\n)", "line 2: a bracket ends that did not begin"],
  ['("a', "line 1: a string does not end"],
  ["(; (; ;)", "line 1: a comment does not end"],
  ['"\\q"', "line 1: an escape that there is not"],
])("%j is refused with its line", (text, message) => {
  expect(() => readExpressions(text)).toThrow(message);
});
