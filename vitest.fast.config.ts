// `npm run test:fast`: what a contributor runs after each change, within a minute. The heavy files below are in `npm test` only:
// replays of recordings, long random programs, WebAssembly guests, programs that are started.
import { configDefaults, defineConfig } from "vitest/config";

const heavy = [
  "test/package.test.ts",
  "test/examples.test.ts",
  "test/bench/**",
  "test/allocator/vitest/child.test.ts",
  "**/*.model.test.ts",
  "**/*recorded-*.test.ts",
  "**/random-programs.test.ts",
  "**/huge-programs.test.ts",
  "test/allocator/failures*.test.ts",
  "test/allocator/wasm/guest/**",
  "test/allocator/wasm/definedness/model.test.ts",
  "test/allocator/wasm/definedness/rules.test.ts",
  "test/allocator/wasm/debug/symbolizer.test.ts",
  "test/allocator/refusals.test.ts",
  "test/allocator/docs.test.ts",
  "test/allocator/vitest/docs.test.ts",
  "test/refpage/scenarios.test.ts",
  "test/allocator/combined/reallocate.test.ts",
  "test/platform/kernel/out-of-memory.test.ts",
];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...heavy],
    setupFiles: ["test/seed.ts"],
    testTimeout: 60_000,
    // The files of a worker share their modules: loading them for each file would take longer than the tests.
    isolate: false,
  },
});
