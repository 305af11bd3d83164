// The documents with tables: each table is what its command prints, and prose says no number that no command printed.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { commandsOf, DOCUMENTS, outputOf, PICTURE } from "../../../bench/questions/documents.ts";

const read = (document: string): string => readFileSync(document, "utf8");

describe.each(DOCUMENTS)("%s", (document) => {
  const commands = commandsOf(read(document));

  test("has commands", () => {
    expect(commands.length).toBeGreaterThan(1);
  });

  test.each(commands)("$command", ({ command, output }) => {
    expect(outputOf(command, process.cwd())).toBe(output);
  });
});

test("the questions' prose states no measured figure: percentages and times stand in printed tables only", () => {
  const prose = read("docs/questions.md").replaceAll(/```[\s\S]*?```/g, "");
  expect(prose.match(/\d[\d.,]*\s*(?:%|ns|µs|ms|s|MiB|KiB|times)\b/g) ?? []).toEqual(["4 KiB", "4 KiB"]);
});

test("the picture is what its command draws, and is in the document", () => {
  const program =
    'import { densityPicture } from "./dist/bench/questions/pictures.js"; process.stdout.write(densityPicture())';
  const drawn = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
  expect(drawn).toBe(read(PICTURE));
  expect(read("docs/questions.md")).toContain(`](${PICTURE.replace("docs/", "")})`);
});

test("a command that is not ours is refused", () => {
  expect(() => outputOf("rm -r x", process.cwd())).toThrow("neither refheap nor npm run -s bench --");
});
