// The same seed gives the same state, to the last bit, after a million operations: in another process, in a worker thread, and on an
// engine that interprets everything, and so has no compiled malloc and free either. What a digest covers is test/platform/state/snapshot.test.ts.
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";

const SUBJECT = pathToFileURL(resolve("dist/bench/soak/subject.js")).href;

const FAMILIES = {
  plain: { fill: "pattern", quarantine: { sizeKb: 256, threadLocalSizeKb: 64, maxChunkSize: 2048 } },
  compiled: { fill: "pattern" },
  tagged: { tagging: "sync" },
  "byte-tracked": { uninitialised: "byte" },
} as const;

/** A program that runs a subject in the main thread or a worker, and prints its operations and digest. */
function program(options: object, seed: number, operations: number, isWorker: boolean): string {
  const work = `const { Subject } = await import(${JSON.stringify(SUBJECT)});
const subject = new Subject("", ${JSON.stringify(options)}, ${seed});
while (subject.tally.operations < ${operations}) subject.run(1000);
console.log(subject.tally.operations, subject.heap.kernel.machine.digest());`;
  if (!isWorker) return work;
  return `import { Worker } from "node:worker_threads";
new Worker(${JSON.stringify(`import("node:vm").then(async () => { ${work} });`)}, { eval: true });`;
}

function digestOf(flags: readonly string[], given: Parameters<typeof program>): string {
  return execFileSync(process.execPath, [...flags, "--input-type=module", "-e", program(...given)], {
    encoding: "utf8",
  });
}

describe.each(Object.entries(FAMILIES))("a %s heap", (_name, options) => {
  test("is the same after a million operations in two processes, one of them in a worker thread", () => {
    const first = digestOf([], [options, 7, 1_000_000, false]);
    expect(first).toMatch(/^1\d{6} [0-9a-f]{16}\n$/);
    expect(digestOf([], [options, 7, 1_000_000, true])).toBe(first);
  });

  test("is the same on an engine without a compiler, and another with another seed", () => {
    const first = digestOf([], [options, 7, 50_000, false]);
    expect(digestOf(["--jitless"], [options, 7, 50_000, false])).toBe(first);
    expect(digestOf([], [options, 8, 50_000, false])).not.toBe(first);
  });
});
