// The words that CONTRIBUTING.md keeps out of code, tests, messages and pages. The specification (docs/spec/) and golden data are given
// texts; what the glossary's own words mean is not tested here.
import { expect, test } from "vitest";
import { filesBelow, read } from "./tree.ts";

const FOLDERS = ["platform", "refpage", "allocator", "bench", "fuzz", "test", "scripts", "examples", "docs"];
const PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
const THIS = "test/wording.test.ts";

/** Each with what to write in its place. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/\bnobody\b/gi, "say who does it"],
  [/\btold of\b/gi, "says, names, is called with"],
  [/\bat once\b/gi, "immediately; together, for things at the same time"],
  [/\bwhatever\b/gi, "any, every, also where"],
  [/\bfor good\b/gi, "final, forever"],
  [/\bhalf-?way\b/gi, "in the middle, interrupted"],
  [/(?<!\bthere )\b(?:is|are) none\b/gi, "is not one of, is no …, there is none"],
  [/\bas against\b/gi, "as opposed to"],
  [/\bdearer\b/gi, "slower, costlier"],
  [/\b(?:affairs?|business)\b/gi, "is up to, is decided in"],
  [/\b(?:to be|is|are|being) told\b(?! apart)/gi, "is called with, sees, learns"],
];

/** The text as one line, so that a phrase is found across the end of a line. */
function oneLine(text: string): string {
  return text.replace(/\n[ \t]*(?:\/\/+|\*+(?!\/)|>)?[ \t]*/g, " ");
}

test("no file has a word that CONTRIBUTING.md keeps out", () => {
  const files = [...PAGES, ...FOLDERS.flatMap((folder) => filesBelow(folder, /\.(?:ts|mjs|c|h|md|txt)$/))].filter(
    (file) => file !== THIS && !/^(?:docs\/spec|test\/golden)\//.test(file),
  );
  const found = files.flatMap((file) => {
    const text = oneLine(read(file));
    return WORDS.flatMap(([word, instead]) =>
      [...text.matchAll(word)].map(
        ({ index }) => `${file}: "${text.slice(Math.max(0, index - 30), index + 40)}" – ${instead}`,
      ),
    );
  });
  expect(found).toEqual([]);
});
