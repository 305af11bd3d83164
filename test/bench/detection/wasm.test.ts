// Programs of the corpus in C as WebAssembly modules: `refheap check` reports the buggy variant and is silent on the right one.
import { join } from "node:path";
import { expect, test } from "vitest";
import { runWasm, whyNoWasm } from "../../../bench/detection/wasm.ts";

const COMMAND = join(import.meta.dirname, "../../../dist/cli/main.js");
const reason = whyNoWasm();

test.skipIf(reason !== null).each([
  ["use-after-free-read", "Use after free"],
  ["padding-over-pipe", "Use of uninitialised memory: system call"],
  ["short-read", "Conditional branch depends on uninitialised bits"],
  ["lost-on-error-path", "definitely lost"],
])(
  `%s is found in the module, and only its buggy variant${reason === null ? "" : ` (not run: ${reason})`}`,
  (name, word) => {
    const row = runWasm(name, COMMAND);
    expect(row).toMatchObject({ reason: null, right: "nothing", buggy: "report" });
    expect(row.report).toContain(word);
  },
);

test.skipIf(reason !== null)("a program that asks Memcheck by client requests is no module, and says so", () => {
  expect(runWasm("stale-arena-reuse", COMMAND)).toMatchObject({
    reason: expect.stringContaining("VALGRIND"),
    buggy: "not run",
  });
});
