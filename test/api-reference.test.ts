// The API reference: TypeDoc reads the five entries without a warning, so that each exported symbol has its line of documentation.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = resolve(fileURLToPath(import.meta.url), "../..");

test("npm run docs:api has every entry of the package, and no warning", () => {
  const { entryPoints } = JSON.parse(readFileSync(resolve(root, "typedoc.json"), "utf8"));
  const { exports } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
  const entries = Object.values<{ default: string } | string>(exports)
    .filter((entry) => typeof entry !== "string")
    .map((entry) => entry.default.replace(/^\.\/dist\/(.*)\.js$/, "$1.ts"));
  expect(entryPoints).toEqual(entries);
  const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", "docs:api", "--", "--emit", "none"], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
  });
  expect(stdout + stderr).toBe("");
  expect(status).toBe(0);
}, 400_000);
