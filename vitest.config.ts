// Vitest: which files are tests, and how coverage is measured. Speed is measured in bench/, never here.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    coverage: { provider: "v8", include: ["platform/**", "refpage/**", "allocator/**", "bench/**"] },
  },
});
