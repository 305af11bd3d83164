// Progress and memory of long work: a line on terminals alone that is taken away at the end; memory that does not grow with a trace.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readingProgress, startLine } from "../../../../bench/harness/progress.ts";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import { runSweep, sweepTasks } from "../../../../bench/lab/replay/sweep.ts";
import { Workplace } from "./refheap.ts";

const MIB_IN_KIB = 1024;
let place: Workplace;
beforeAll(() => {
  place = new Workplace();
});
afterAll(() => place.remove());

function written(isTTY: boolean): string {
  const chunks: string[] = [];
  const stream = { isTTY, columns: 20, write: (chunk: string) => chunks.push(chunk) };
  const progress = startLine(stream as unknown as NodeJS.WriteStream);
  progress.show(`3/10 ${"a".repeat(50)}`);
  progress.done();
  return chunks.join("");
}

test("on a terminal progress is one line, cut to its width, and gone at the end", () => {
  const text = written(true);
  expect(text).toContain("\r\u001b[2K3/10 aaaa");
  expect(text).not.toContain("\n");
  expect(text.endsWith("\r\u001b[2K")).toBe(true);
  expect(text.length).toBeLessThan(20 + 2 * "\r\u001b[2K".length);
});

test("elsewhere it is nothing", () => {
  expect(written(false)).toBe("");
});

test("a file that is read shows its share, once its length is known", () => {
  const shown: string[] = [];
  const line = { show: (text: string) => shown.push(text), done() {} };
  readingProgress("a.mtrace", 4 * 2 ** 20, line).onProgress(2 ** 20);
  readingProgress("-", 0, line).onProgress(2 ** 20);
  expect(shown).toEqual(["a.mtrace: 1 MiB read, 25 %", "-: 1 MiB read"]);
});

test("a sweep tells how far it is while a trace is read, and while its kept events are replayed", async () => {
  const file = join(place.folder, "long.mtrace");
  const lines = Array.from({ length: 30_000 }, (_, i) => `@ a.out:[0x1] + 0x${(4096 + 16 * i).toString(16)} 0x8`);
  writeFileSync(file, `= Start\n${lines.join("\n")}\n`);
  const done: number[] = [];
  const policies = ["none", "zero"].map(parsePolicy);
  const tasks = sweepTasks([{ trace: file, touches: ["none"] }], policies, [1]);
  await runSweep(tasks, { jobs: 1, memoryBytes: 2 ** 28, onProgress: (share) => done.push(share) });
  expect(done).toEqual([...done].sort((a, b) => a - b));
  for (const begun of [0, 1]) {
    expect(done.filter((share) => share > begun && share < begun + 1).length, `replay ${begun + 1}`).toBeGreaterThan(0);
  }
  expect(done.at(-1)).toBe(tasks.length);
});

/** Peak resident KiB of the command that inspects a trace of so many events, made and read through a pipe. */
function peakKib(events: number): number {
  const atExit = "data:text/javascript,process.on('exit',()=>console.error('peak',process.resourceUsage().maxRSS))";
  const { stdout, stderr } = place.shell(
    `awk 'BEGIN { print "refheap-trace 1"; for (i = 0; i < ${events / 2}; i++) print "0 malloc " i % 999 " 16\\n0 free " i % 999 }' |
    "$NODE" --import "${atExit}" "$MAIN" inspect -`,
  );
  expect(stdout).toContain(`${events} events`);
  return Number(/peak (\d+)/.exec(stderr)?.[1]);
}

test("a trace ten times as long takes no more memory", () => {
  expect(peakKib(3_000_000)).toBeLessThan(peakKib(300_000) + 32 * MIB_IN_KIB);
});
