// The examples of docs/traces.md: each `sh` block is run in one folder, in their order, and must print the `text` block after it.
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVENT_WORDS } from "../../../../allocator/record/events.ts";
import { TRACE_FORMATS } from "../../../../bench/lab/traces/detect.ts";
import { Workplace } from "./refheap.ts";

const page = readFileSync("docs/traces.md", "utf8");
const pairs = /^```sh\n((?:(?!```).*\n)*)```\n\s*```text\n((?:(?!```).*\n)*)```$/gm;
const examples = [...page.matchAll(pairs)].map(([, script, output], index) => ({ number: index + 1, script, output }));
let place: Workplace;

beforeAll(() => {
  place = new Workplace();
  mkdirSync(place.path("node_modules"));
  symlinkSync(resolve("."), place.path("node_modules/refheap"));
});
afterAll(() => place.remove());

describe("an example of the page about traces prints what the page shows", () => {
  test.each(examples)("example $number", ({ script, output }) => {
    const { stdout } = place.shell(`exec 2>&1\nrefheap() { "$NODE" "$MAIN" "$@"; }\n${script}`);
    expect(stdout).toBe(output);
  });
});

test("the page has all its examples, formats and event words", () => {
  expect(examples).toHaveLength(page.split("```sh\n").length - 1);
  for (const name of [...TRACE_FORMATS, ...EVENT_WORDS]) expect(page).toContain(`\`${name}\``);
});
