// The kinds benchmark's child processes, as they are built: each job answers a time, whichever heaps are in its company.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Job } from "../../../bench/kinds/jobs.ts";

const child = fileURLToPath(new URL("../../../dist/bench/kinds/child.js", import.meta.url));

test("a job is timed in the company of heaps of other kinds", () => {
  const job: Job = { kind: "plain", after: ["tagged"], beside: ["byte"], milliseconds: 10 };
  expect(Number(execFileSync(process.execPath, [child, JSON.stringify(job)], { encoding: "utf8" }))).toBeGreaterThan(1);
});
