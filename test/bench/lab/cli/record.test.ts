// `refheap record` for Node programs as they are: every heap of every process and worker, whole however they end.
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workplace } from "./refheap.ts";

let place: Workplace;
beforeAll(() => {
  place = new Workplace();
  mkdirSync(place.path("node_modules"));
  symlinkSync(resolve("."), place.path("node_modules/refheap"));
});
afterAll(() => place.remove());

/** A program that makes a heap with one block, is never disposed, and then does something. */
function program(name: string, size: number, then: string): void {
  place.write(
    name,
    `import { Heap } from "refheap";
import { fork } from "node:child_process";
import { Worker } from "node:worker_threads";
import { setTimeout } from "node:timers/promises";
const heap = new Heap();
heap.memory.setUint8(heap.malloc(${size}), 1);
${then}
`,
  );
}

function text(file: string): string {
  return place.refheap(["convert", file, "-", "--to", "text"]).stdout;
}

function trace(size: number): string {
  return `refheap-trace 1\n0 malloc 0 ${size}\n0 write 0 0 1\n`;
}

describe("a recording is whole", () => {
  test.each([
    ["exits by itself", "process.exit(0);", 0],
    ["throws", "throw new Error('on purpose');", 1],
    ["is killed", "await setTimeout(100); process.kill(process.pid, 'SIGKILL');", 137],
  ])("when its program %s", (_how, then, code) => {
    program("app.mjs", 1000, then);
    expect(place.refheap(["record", "-o", "a.rht", "--", "node", "app.mjs"]).status).toBe(code);
    expect(text("a.rht")).toBe(trace(1000));
  });

  test("of each worker, one that is terminated too, and of each fork", () => {
    program("worker.mjs", 2000, "await setTimeout(60_000);");
    program("fork.mjs", 3000, "");
    program(
      "main.mjs",
      1000,
      `const worker = new Worker(new URL("worker.mjs", import.meta.url));
while (!(await import("node:fs")).existsSync("m.rht.2")) await setTimeout(20);
await setTimeout(500);
await worker.terminate();
await new Promise((done) => fork("fork.mjs").on("exit", done));`,
    );
    const { status, stderr } = place.refheap(["record", "-o", "m.rht", "--", "node", "main.mjs"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "m.rht to m.rht.3 written\n" });
    expect(["m.rht", "m.rht.2", "m.rht.3"].map(text)).toEqual([trace(1000), trace(2000), trace(3000)]);
  });

  test("and those of an earlier run are gone", () => {
    program("one.mjs", 1000, "");
    place.write("o.rht.2", "old");
    place.refheap(["record", "-o", "o.rht", "--", "node", "one.mjs"]);
    expect(existsSync(place.path("o.rht.2"))).toBe(false);
  });
});

test("a library is recorded wherever it is loaded from, and each copy of it", () => {
  program("app.mjs", 1000, "");
  const copy = pathToFileURL(resolve("dist/cli/refheap.js")).href;
  place.write("copy.mjs", `import { Heap } from "${copy}"; new Heap().malloc(2000);`);
  const loads = ["app.mjs", "copy.mjs"].map((name) => `await import("${place.path(name)}");`).join(" ");
  const { status, stderr } = place.shell(
    `cd / && "$NODE" "$MAIN" record -o ${place.path("w.rht")} -- "$NODE" --input-type=module -e '${loads}'`,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "w.rht to w.rht.2 written\n" });
  expect(["w.rht", "w.rht.2"].map(text)).toEqual([trace(1000), "refheap-trace 1\n0 malloc 0 2000\n"]);
});

test("a program's own clock does not hold a recording back", () => {
  program(
    "clock.mjs",
    1000,
    "globalThis.setImmediate = () => {}; await setTimeout(50); heap.free(heap.malloc(10)); await setTimeout(100); process.kill(process.pid, 'SIGKILL');",
  );
  place.refheap(["record", "-o", "c.rht", "--", "node", "clock.mjs"]);
  expect(text("c.rht")).toBe(`${trace(1000)}0 malloc 1 10\n0 free 1\n`);
});

test("a heap's file is closed with the heap", () => {
  place.write(
    "many.mjs",
    `import { Heap } from "refheap";
import { readdirSync } from "node:fs";
const openFiles = () => readdirSync("/proc/self/fd").length;
const before = openFiles();
for (let i = 0; i < 20; i++) {
  const heap = new Heap();
  heap.malloc(10);
  heap[Symbol.dispose]();
}
console.log(openFiles() - before);`,
  );
  const { stdout, stderr } = place.refheap(["record", "-o", "h.rht", "--", "node", "many.mjs"]);
  expect({ stdout, stderr }).toEqual({ stdout: "0\n", stderr: "h.rht to h.rht.20 written\n" });
});

test.each([0, 7])("a tool without the package runs undisturbed, and ends with its own code, %i", (code) => {
  const { status, stdout, stderr } = place.shell(
    `cd / && "$NODE" "$MAIN" record -o /tmp/refheap-none.rht -- node -e "console.log(1 + 1); process.exit(${code})"`,
  );
  expect(status).toBe(code);
  expect(stdout).toBe("2\n");
  expect(stderr).toBe("refheap: nothing was recorded: node made no heap\n");
});
