#!/usr/bin/env node
// `npm run bench`: chooses the benchmark by its name and hands it the other arguments. Without a name: the thread's own.
// What each one measures is in the file of its name.
import { nearestName } from "../allocator/options/option-error.ts";

interface Benchmark {
  run(argv: string[]): Promise<void>;
}

/** Loaded only when asked for, so that starting one costs nothing for the others. */
const benchmarks: Readonly<Record<string, { readonly what: string; readonly load: () => Promise<Benchmark> }>> = {
  microbench: {
    what: "the thread's microbenchmark: memset against reference pages",
    load: () => import("./microbench/microbench.ts"),
  },
  mmu: {
    what: "loads, stores, fills and copies against a typed array and a DataView",
    load: () => import("./mmu/mmu.ts"),
  },
  faults: {
    what: "page faults by kind, against the 4 KiB fill that they do",
    load: () => import("./faults/faults.ts"),
  },
  huge: {
    what: "transparent huge pages against small ones, and against the fills that they do",
    load: () => import("./huge/huge.ts"),
  },
  heap: {
    what: "large fills by reference page and by memset, resident memory, small chunks",
    load: () => import("./heap/heap.ts"),
  },
  malloc: {
    what: "other heaps of JavaScript, WebAssembly and native ones on the same sequences of calls",
    load: () => import("./malloc/malloc.ts"),
  },
  beside: {
    what: "this build and another one, operation by operation, in one process",
    load: () => import("./beside/beside.ts"),
  },
  kinds: {
    what: "heaps in a process where other kinds of heap run, too",
    load: () => import("./kinds/kinds.ts"),
  },
  flame: {
    what: "where the time of an operation goes, as a table and a flame graph",
    load: () => import("./flame/flame.ts"),
  },
  compare: {
    what: "two --json files of one benchmark: which rows got slower or faster",
    load: () => import("./compare/compare.ts"),
  },
  tagging: {
    what: "memory tagging: what it catches, large chunks included, and what it costs",
    load: () => import("./tagging/tagging.ts"),
  },
  detection: {
    what: "reads of uninitialised memory and other bugs: what finds them, and what that costs",
    load: () => import("./detection/detection.ts"),
  },
  fixture: {
    what: "what a test with a heap of refheap/vitest's costs",
    load: () => import("./fixture/fixture.ts"),
  },
  replay: {
    what: "allocation traces replayed: speed, memory, results that repeat",
    load: () => import("./replay/replay.ts"),
  },
  native: {
    what: "native programs recorded and replayed, beside what the kernel says that they need",
    load: () => import("./native/native.ts"),
  },
  questions: {
    what: "the review thread's open questions, each with its data (docs/questions.md)",
    load: () => import("./questions/questions.ts"),
  },
  wasm: {
    what: "WebAssembly modules on the heap and under the checks, against the same unmodified",
    load: () => import("./wasm/wasm.ts"),
  },
  soak: {
    what: "hundreds of millions of operations: memory and time stay flat, nothing is lost",
    load: () => import("./soak/soak.ts"),
  },
  attacks: {
    what: "techniques against heaps: detected, or not, and how often",
    load: () => import("./attacks/attacks.ts"),
  },
  scale: { what: "system calls at growing reserve, areas and touched pages", load: () => import("./scale/scale.ts") },
};

function usage(): string {
  const width = Math.max(...Object.keys(benchmarks).map((name) => name.length));
  const lines = Object.entries(benchmarks).map(([name, { what }]) => `  ${name.padEnd(width)}  ${what}`);
  return [
    "Usage: npm run bench -- [NAME] [options]",
    "",
    ...lines,
    "",
    "Without a name: microbench. Options of one benchmark: npm run bench -- NAME --help",
  ].join("\n");
}

async function main(argv: string[]): Promise<void> {
  const named = argv.length > 0 && !argv[0].startsWith("-");
  if (argv[0] === "help") {
    process.stdout.write(`${usage()}\n`);
    return;
  }
  const name = named ? argv[0] : "microbench";
  if (!Object.hasOwn(benchmarks, name)) {
    process.stderr.write(
      `bench: there is no benchmark "${name}"; the nearest name is "${nearestName(name, Object.keys(benchmarks))}"\n\n${usage()}\n`,
    );
    process.exitCode = 2;
    return;
  }
  const benchmark = await benchmarks[name].load();
  await benchmark.run(named ? argv.slice(1) : argv);
}

// A reader that has seen enough (`npm run bench -- help | head -1`) is no failure: what is left to say is dropped.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

await main(process.argv.slice(2));
