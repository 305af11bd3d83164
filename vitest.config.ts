// Vitest: which files are tests, and how coverage is measured. Speed is measured in bench/, never here.
// Two projects: most tests import the sources; those of the programs and of the package start what is in dist/, so it is built first.
import { configDefaults, defineConfig } from "vitest/config";

const programs = [
  "test/package.test.ts",
  "test/api-reference.test.ts",
  "test/examples.test.ts",
  "test/bench/**/*.test.ts",
  "test/allocator/vitest/{child,post-mortem}.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: "sources", include: ["test/**/*.test.ts"], exclude: [...configDefaults.exclude, ...programs] },
      },
      { extends: true, test: { name: "programs", include: programs, globalSetup: ["test/build.ts"] } },
    ],
    // Vitest would leave a core to itself: on a machine with two, half of them.
    maxWorkers: "100%",
    setupFiles: ["test/seed.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    coverage: {
      provider: "v8",
      include: ["platform/**/*.ts", "refpage/**/*.ts", "allocator/**/*.ts"],
      reporter: ["text-summary", "html"],
    },
  },
});
