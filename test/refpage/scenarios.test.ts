// The reference-page scenarios: the committed files are what scenarios/ says, and the simulated kernel answers all of them.
import { expect, test } from "vitest";
import { refpage } from "../../bench/conformance/linux/refpage.ts";
import { runScript } from "../../bench/conformance/runner.ts";
import { linesOf, scenarios, sentencesOf } from "./scenarios/all.ts";

test("scenarios.jsonl and scenarios.txt are what the folder scenarios/ makes (npx vitest run -u rewrites them)", async () => {
  await expect(linesOf(scenarios)).toMatchFileSnapshot("./scenarios.jsonl");
  await expect(sentencesOf(scenarios)).toMatchFileSnapshot("./scenarios.txt");
});

test("names are unique, and there are more than a hundred", () => {
  expect(new Set(scenarios.map(({ script }) => script.name)).size).toBe(scenarios.length);
  expect(scenarios.length).toBeGreaterThan(100);
});

test.each(scenarios.map(({ script, sentence }) => ({ name: script.name, sentence, script })))(
  "$name: $sentence",
  ({ script }) => {
    expect(runScript(refpage, script)).toBeUndefined();
  },
);
