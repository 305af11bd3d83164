// A program's run, and the replay of what was recorded of it: they need the same memory, also where the recording was made under
// another policy, whose own stores had the program's pages before the program.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import { runReplay } from "../../../../bench/lab/replay/run-replay.ts";
import { measureRun } from "../../../../bench/lab/wasm/measured-run.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

// Small blocks that share pages, of which every fourth is used to its end; a large one, of which every other page is; some are freed.
const PROGRAM = (rounds: number) => `(module (memory (export "memory") 1)
  (func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable)
  (func (export "_start") (local $i i32) (local $size i32) (local $p i32) (local $last i32) (local $large i32)
    (if (i32.const ${rounds}) (then
      (loop $l
        (local.set $size (i32.add (i32.const 32) (i32.rem_u (i32.mul (local.get $i) (i32.const 97)) (i32.const 6000))))
        (local.set $p (call $malloc (local.get $size)))
        (i32.store (local.get $p) (local.get $last))
        (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 4))) (then
          (i32.store8 (i32.sub (i32.add (local.get $p) (local.get $size)) (i32.const 1)) (i32.const 1))
          (drop (i32.load8_u (i32.add (local.get $p) (i32.shr_u (local.get $size) (i32.const 1)))))))
        (if (i32.eq (i32.rem_u (local.get $i) (i32.const 7)) (i32.const 6))
          (then (call $free (local.get $p))) (else (local.set $last (local.get $p))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${rounds}))))
      (local.set $large (call $malloc (i32.const 2000000)))
      (local.set $i (i32.const 0))
      (loop $l
        (i32.store (i32.add (local.get $large) (local.get $i)) (i32.const 1))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8192))) (i32.const 1000000))))))))`;

const POLICIES = ["none", "pattern-memset", "pattern-refpage"] as const;
const PAGE = 4096;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-recorded-"));
  writeFileSync(join(folder, "program.wasm"), wat(PROGRAM(900)));
  writeFileSync(join(folder, "nothing.wasm"), wat(PROGRAM(0)));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function peak(name: string, policy: string, record?: string): Promise<number> {
  const program = { file: join(folder, name), args: [], env: {}, preopens: {} };
  const { peaks } = await measureRun(program, parsePolicy(policy), { memoryBytes: 2 ** 26, seed: 1, record });
  return peaks.rssBytes;
}

test("a replay has the run's peak under each policy, by a recording made under any", { timeout: 60_000 }, async () => {
  const runs = new Map<string, number>();
  for (const policy of POLICIES) {
    const own = await peak("nothing.wasm", policy);
    runs.set(policy, (await peak("program.wasm", policy, join(folder, `${policy}.rht`))) - own);
  }
  // The large block's other pages are what the policies differ in.
  expect(runs.get("pattern-memset")! - runs.get("none")!).toBeGreaterThan(300 * PAGE);
  for (const recorded of POLICIES) {
    for (const policy of POLICIES) {
      const replayed = await runReplay(join(folder, `${recorded}.rht`), { policy: parsePolicy(policy), seed: 1 });
      const difference = (replayed.peaks.rssBytes - runs.get(policy)!) / PAGE;
      expect(Math.abs(difference), `recorded under ${recorded}, replayed under ${policy}`).toBeLessThan(24);
    }
  }
});
