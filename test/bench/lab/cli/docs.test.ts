// The shell examples of docs/traces.md, docs/wasm.md, docs/own-interface.md and the README: a page's `sh` blocks are run in one folder, in their order, and must
// print the `text` block after them.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVENT_WORDS } from "../../../../allocator/record/events.ts";
import { TRACE_FORMATS } from "../../../../bench/lab/traces/detect.ts";
import { Workplace } from "./refheap.ts";

const OWN = "examples/own-interface";
const page = readFileSync("docs/traces.md", "utf8");
const pairs = /^```sh\n((?:(?!```).*\n)*)```\n\s*```text\n((?:(?!```).*\n)*)```$/gm;
const examplesOf = (text: string) =>
  [...text.matchAll(pairs)].map(([, script, output], index) => ({ number: index + 1, script, output }));
const examples = examplesOf(page);
const wasm = examplesOf(readFileSync("docs/wasm.md", "utf8"));
const own = examplesOf(readFileSync("docs/own-interface.md", "utf8"));
const readme = examplesOf(readFileSync("README.md", "utf8"));
let place: Workplace;

beforeAll(() => {
  place = new Workplace();
  mkdirSync(place.path("node_modules"));
  symlinkSync(resolve("."), place.path("node_modules/refheap"));
  copyFileSync("test/bench/lab/wasm/fixtures/message.wasm", place.path("message.wasm"));
  for (const name of readdirSync(OWN)) copyFileSync(`${OWN}/${name}`, place.path(name));
});
afterAll(() => place.remove());

describe("an example of the page about traces prints what the page shows", () => {
  test.each(examples)("example $number", ({ script, output }) => {
    expect(printed(script)).toBe(output);
  });
});

describe("an example of the page about WebAssembly prints what the page shows", () => {
  test.each(wasm)("example $number", ({ script, output }) => {
    expect(printed(script)).toBe(output);
  });
});

describe("an example of the page about your own interface prints what the page shows", () => {
  test.each(own)("example $number", ({ script, output }) => {
    expect(printed(script)).toBe(output);
  });

  test("and its modules are those of the examples", () => {
    const text = readFileSync("docs/own-interface.md", "utf8");
    const modules = [...text.matchAll(/^```js\n((?:(?!```).*\n)*)```$/gm)].map(([, code]) => code);
    expect(modules).toEqual(["map-pattern.mjs", "mine.mjs"].map((name) => readFileSync(`${OWN}/${name}`, "utf8")));
    expect(own.length).toBeGreaterThan(2);
  });
});

describe("a shell example of the README prints what it shows", () => {
  test.each(readme)("example $number", ({ script, output }) => {
    expect(printed(script)).toBe(output);
  });
});

function printed(script: string): string {
  return place.shell(`exec 2>&1\nrefheap() { "$NODE" "$MAIN" "$@"; }\nnpx() { "$@"; }\n${script}`).stdout;
}

test("the page has all its examples, formats and event words", () => {
  expect(examples).toHaveLength(page.split("```sh\n").length - 1);
  expect(readme.length).toBeGreaterThan(0);
  expect(wasm.length).toBeGreaterThan(2);
  for (const name of [...TRACE_FORMATS, ...EVENT_WORDS]) expect(page).toContain(`\`${name}\``);
});
