// `npm run bench -- attacks`: which techniques against a heap are detected, and how often, by the default heap, a hardened one, a tagged
// one and the byte checker; beside them the real Scudo and the C library where they are at hand.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Heap } from "../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { benchmarkCommand, positiveInteger, writeJson } from "../harness/command.ts";
import { compileForHeaps, type NativeProgram } from "../harness/native-heaps.ts";
import { formatTable } from "../harness/table.ts";
import { type Outcome, outcomeOf, type Technique } from "./technique.ts";
import { freeTechniques } from "./techniques-free.ts";
import { memoryTechniques } from "./techniques-memory.ts";

export const techniques: Readonly<Record<string, Technique>> = { ...freeTechniques, ...memoryTechniques };

/** What Scudo itself offers a careful user, and what this project adds. */
export const profiles: Readonly<Record<string, HeapOptions>> = {
  default: {},
  hardened: {
    quarantine: { sizeKb: 256, threadLocalSizeKb: 64, maxChunkSize: 2048 },
    fill: "zero",
    fillOnFree: true,
    deallocTypeMismatch: true,
  },
  tagged: { tagging: "sync" },
  "byte checker": { uninitialised: "byte" },
};

export interface Counts {
  detected: number;
  works: number;
  harmless: number;
}

const machines = new Map<boolean, Machine>();

/** Runs a technique `trials` times, each on a fresh heap with another seed. */
export function tryTechnique(technique: Technique, options: HeapOptions, trials: number): Counts {
  const counts: Counts = { detected: 0, works: 0, harmless: 0 };
  const shadow = options.uninitialised === "byte";
  for (let seed = 1; seed <= trials; seed++) counts[trial(technique, options, seed, shadow)]++;
  return counts;
}

function trial(technique: Technique, options: HeapOptions, seed: number, shadow: boolean): Outcome {
  const machine = machines.get(shadow) ?? new Machine({ memoryBytes: 2 ** 26, shadow });
  machines.set(shadow, machine);
  const kernel = createKernel(machine, { seed, clock: () => 0 });
  // With the checker a report is a detection as well; it does not stop the program.
  const heap = new Heap({ kernel, seed, write: () => {}, ...options });
  let state = seed * 2654435761;
  const random = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % bound;
  };
  const outcome = outcomeOf(technique, heap, random);
  const isReported = shadow && heap.checker.findings.length > 0;
  kernel.shutDown();
  return isReported ? "detected" : outcome;
}

/** The same on a C program's heap, a process a trial; null for what has no meaning in C. */
export function tryNative({ file, environment }: NativeProgram, name: string, trials: number): Counts | null {
  const counts: Counts = { detected: 0, works: 0, harmless: 0 };
  for (let seed = 1; seed <= trials; seed++) {
    const { status } = spawnSync(file, [name, String(seed)], { env: environment, stdio: "ignore", timeout: 10_000 });
    if (status === 3) return null;
    counts[status === 0 ? "works" : status === 1 ? "harmless" : "detected"]++;
  }
  return counts;
}

/** `detected`, `works`, `harmless`, or how often each. */
export function verdict(counts: Counts | null): string {
  if (counts === null) return "–";
  const all = counts.detected + counts.works + counts.harmless;
  const parts = (["detected", "works", "harmless"] as const).filter((kind) => counts[kind] > 0);
  if (parts.length === 1) return parts[0];
  return parts.map((kind) => `${kind} ${Math.round((100 * counts[kind]) / all)} %`).join(", ");
}

const source = fileURLToPath(new URL("../../../bench/attacks/attacks.c", import.meta.url));

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("attacks", "Tries techniques against heaps and says what came of them.")
    .option("--trials <n>", "heaps for each technique", positiveInteger, 100)
    .parse(argv, { from: "user" });
  const { trials: given, quick, json } = command.opts<{ trials: number; quick?: true; json?: string }>();
  const trials = quick ? Math.min(given, 20) : given;
  const natives = compileForHeaps(source);
  try {
    const columns = [...Object.keys(profiles), ...natives.programs.map(({ heap }) => `real ${heap}`)];
    const rows = Object.entries(techniques).map(([name, technique]) => [
      name,
      ...Object.values(profiles).map((options) => verdict(tryTechnique(technique, options, trials))),
      ...natives.programs.map((program) => verdict(tryNative(program, name, Math.min(trials, 20)))),
    ]);
    const left = (heading: string) => ({ heading, align: "left" as const });
    console.log(formatTable([left("technique"), ...columns.map(left)], rows));
    console.log(`\n${rows.length} techniques, ${trials} heaps each; at most 20 processes each of the real ones.`);
    for (const reason of natives.reasons) console.log(`Not compared: ${reason}.`);
    if (json !== undefined) writeJson(json, "attacks", { trials, columns, rows });
  } finally {
    natives.remove();
  }
}
