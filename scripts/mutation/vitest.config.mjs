// Vitest as `npm run mutate` runs it: the sources with the drawn mutants in them, and a runner that tries them. Not for people to run.
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { ROOMS } from "./rooms.mjs";
import { withMutants } from "./schemata.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { mutants, files } = JSON.parse(readFileSync(process.env.REFHEAP_MUTATION, "utf8"));
const folders = Object.values(ROOMS).flatMap(({ sources }) => sources);

/** Files in the order they were given in. */
class AsGiven {
  sort(specifications) {
    const place = ({ moduleId }) => files.indexOf(relative(root, moduleId));
    return [...specifications].sort((a, b) => place(a) - place(b));
  }
  shard(specifications) {
    return specifications;
  }
}

export default defineConfig({
  root,
  plugins: [
    {
      name: "mutants",
      enforce: "pre",
      transform(code, id) {
        const file = relative(root, id);
        if (!file.endsWith(".ts") || !folders.some((folder) => file.startsWith(`${folder}/`))) return null;
        return {
          code: withMutants(
            code,
            mutants.filter((mutant) => mutant.file === file),
          ),
          map: null,
        };
      },
    },
  ],
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/seed.ts"],
    runner: fileURLToPath(new URL("runner.mjs", import.meta.url)),
    testTimeout: 600_000,
    hookTimeout: 120_000,
    maxWorkers: 1,
    sequence: { sequencer: AsGiven },
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
