// What memory costs the programs of `npm run bench -- wasm` under ways to initialise it: resident set, faults, bytes initialised, from
// the programs' own loads and stores. Counts of the simulated kernel, so one run says all.
import { Instance, Module } from "../../allocator/wasm/index.ts";
import { formatBytes, formatTable } from "../harness/table.ts";
import { heapOptions } from "../lab/replay/heap-subject.ts";
import { parsePolicy } from "../lab/replay/policy.ts";
import { initialisedBytes } from "../lab/report/comparison.ts";
import { checkPolicy } from "../lab/wasm/measured-run.ts";

/** The first is what the others are held against; a module's pointers have no room for a tag, which the table says. */
const POLICIES = ["pattern-memset", "pattern-refpage", "none", "tag-small"];

export interface MemoryRow {
  readonly program: string;
  readonly policy: string;
  /** Bytes and counts, or why there are none. */
  readonly figures:
    | { readonly peakRssBytes: number; readonly faults: number; readonly initialisedBytes: number }
    | string;
}

/** @param start gives a module's programs by name; each is run for `rounds` rounds on a heap of its own */
export function measureMemory(
  bytes: Uint8Array,
  programs: readonly string[],
  start: (exports: object) => Readonly<Record<string, (rounds: number) => number>>,
  imports: Record<string, Record<string, unknown>>,
  rounds: number,
): MemoryRow[] {
  return programs.flatMap((program) =>
    POLICIES.map((name) => {
      const policy = parsePolicy(name);
      try {
        checkPolicy(policy);
      } catch (error) {
        return { program, policy: name, figures: error instanceof Error ? error.message : String(error) };
      }
      const { config: _, ...heap } = heapOptions(policy);
      const options = { initialisation: policy.initialisation, heap: { ...heap, seed: 1, stacks: false } } as const;
      const instance = new Instance(new Module(bytes, options), imports);
      try {
        start(instance.exports)[program](rounds);
        return { program, policy: name, figures: figuresOf(instance) };
      } finally {
        instance[Symbol.dispose]();
      }
    }),
  );
}

function figuresOf({ heap }: Instance): MemoryRow["figures"] {
  const { process } = heap;
  const counters = process.kernel.counters.snapshot();
  return {
    peakRssBytes: Math.max(process.addressSpace.peakRss * 4096, process.rssBytes),
    faults: counters.minorFaults,
    initialisedBytes: initialisedBytes({ counters }),
  };
}

export function formatMemory(rows: readonly MemoryRow[]): string {
  const refused = new Map<string, string>();
  const cells: string[][] = [];
  for (const { program, policy, figures } of rows) {
    if (typeof figures === "string") refused.set(policy, figures);
    else
      cells.push([
        program,
        policy,
        formatBytes(figures.peakRssBytes),
        String(figures.faults),
        formatBytes(figures.initialisedBytes),
      ]);
  }
  const table = formatTable(
    [
      { heading: "program", align: "left" },
      { heading: "policy", align: "left" },
      { heading: "peak RSS" },
      { heading: "faults" },
      { heading: "initialised" },
    ],
    cells,
  );
  return [table, ...[...refused.values()].map((reason) => `Not run: ${reason}.`)].join("\n");
}
