// Scripts of the official tests' kind: ours hold in every way of running them, and one that is wrong is found out.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runWasm } from "../../../../bench/conformance/wasm/wasm.ts";
import { root } from "../../../tree.ts";

const SCRIPTS = join(root, "test/bench/conformance/wasm/scripts");
const LONG = 60_000;

async function run(...files: string[]): Promise<{ passed: number; failed: number; lines: string[] }> {
  const lines: string[] = [];
  return { ...(await runWasm(files, { print: (line) => lines.push(line) })), lines };
}

test("scripts hold as they are and rewritten, and all of them can be compared", { timeout: LONG }, async () => {
  const { passed, failed, lines } = await run(SCRIPTS);
  expect(lines).toEqual([]);
  expect(failed).toBe(0);
  expect(passed).toBeGreaterThan(60);
});

describe("a script", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "refheap-wast-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function script(text: string): string {
    const file = join(folder, "script.wast");
    writeFileSync(file, text);
    return file;
  }

  test("whose assertion is wrong as it is says nothing of the rewriting", async () => {
    const text = `(module (func (export "f") (result i32) (i32.const 1)))
      (assert_return (invoke "f") (i32.const 2)) (assert_return (invoke "f") (i32.const 1))`;
    expect(await run(script(text))).toEqual({
      passed: 1,
      failed: 0,
      lines: ["not comparable here: 1 (not as the script says in this engine)"],
    });
  });

  test("that needs what is not supported is counted by the reason", async () => {
    const text = `(module (memory 1 1 shared) (func (export "f") (result i32) (i32.const 1)))
      (assert_return (invoke "f") (i32.const 1))`;
    expect(await run(script(text))).toEqual({
      passed: 0,
      failed: 0,
      lines: ["refused, not supported: 1 (threads (a shared memory))"],
    });
  });

  test("that only behaves otherwise when it is rewritten fails, with its place", async () => {
    // Where the stack ends is the host's, and no promise of the standard's: rewritten code needs more of it.
    const text = `(module (memory 1) (global $depth (export "depth") (mut i32) (i32.const 0))
      (func $f (export "f") (i32.store (i32.const 8) (i32.const 1)) (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f)))
      (assert_exhaustion (invoke "f") "call stack exhausted")`;
    const { passed, failed, lines } = await run(script(text));
    expect([passed, failed]).toEqual([1, 3]);
    expect(lines[0]).toMatch(
      /script\.wast, addresses: in the end, of module 1, expected global depth: \d+, got global depth: \d+$/,
    );
  });

  test("that cannot be read fails with the line", async () => {
    expect(await run(script("(module)\n(module"))).toEqual({
      passed: 0,
      failed: 1,
      lines: [expect.stringMatching(/script\.wast: line 2: a bracket does not end$/)],
    });
    expect((await run(script('(module)\n(assert_never "")'))).lines[0]).toMatch(
      /line 2: there is no command assert_never$/,
    );
  });

  test("may be a module's fields without a module around them", async () => {
    expect(await run(script('(memory 1)\n(func (export "f"))'))).toMatchObject({ passed: 0, failed: 0, lines: [] });
  });
});
