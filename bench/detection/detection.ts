// `npm run bench -- detection`: what each detector finds of the corpus, beside Valgrind Memcheck and refheap check with --native, and what finding it
// costs: loads, stores, heap work and memory of the levels page and byte against off.

import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { type Column, formatNanoseconds, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { corpus } from "./corpus/corpus.ts";
import type { BugKind } from "./corpus/program.ts";
import { detectors, judge, type Row, runUnder, tally, type Verdict } from "./detectors.ts";
import { type Figures, LEVELS, type Level, runJob } from "./jobs.ts";
import { type NativeRow, nativeNames, notRun, runNative, whyNoNative } from "./native.ts";
import { runWasm, type WasmRow, whyNoWasm } from "./wasm.ts";

const BUGS: readonly BugKind[] = ["uninitialised", "use-after-free", "out-of-bounds", "invalid-free", "leak"];
const MARKS: Readonly<Record<Verdict, string>> = { report: "report", output: "(output)", nothing: "–" };

/** "Page within 1.05 times of off; byte at most 2.5 times on loads and stores, 1.5 on the heap workload, memory at most 1/8." */
const PAGE_RATIO = 1.05;
const BYTE_ACCESS_RATIO = 2.5;
const BYTE_HEAP_RATIO = 1.5;
const BYTE_MEMORY_SHARE = 1 / 8;
const REPORT_NANOSECONDS = 1e6;
/** What the lead's heap benchmark measures of small chunks. */
const HEAP_WORKLOAD = ["malloc + free of 64 bytes", "random replacement"];
/** The same where freed blocks are handed out again immediately, not kept back until 20 MB of them wait. */
const REUSING_WORKLOAD = ["the pair, freed blocks reused", "replacement, freed blocks reused"];

interface Merged {
  readonly least: Record<string, Record<Level, number>>;
  readonly memory: Record<Level, Figures>;
}

/** The levels in turn, so that all meet the same machine; of each figure the least, which other work disturbs least. */
async function measure(rounds: number, passes: number, step: (what: string) => void): Promise<Merged> {
  const least: Record<string, Record<Level, number>> = {};
  const memory = {} as Record<Level, Figures>;
  for (let pass = 0; pass < passes; pass++) {
    for (const level of LEVELS) {
      step(`${level}, pass ${pass + 1}`);
      const figures = await runJob({ level, times: true, rounds });
      for (const [name, nanoseconds] of Object.entries(figures.nanoseconds)) {
        least[name] ??= { off: Infinity, page: Infinity, byte: Infinity };
        least[name][level] = Math.min(least[name][level], nanoseconds);
      }
      if (pass === 0 || figures.hostRssBytes < memory[level].hostRssBytes) memory[level] = figures;
    }
  }
  return { least, memory };
}

function memoryShare({ memory }: Merged): number {
  return (memory.byte.hostRssBytes - memory.off.hostRssBytes) / memory.byte.touchedBytes;
}

function listTargets(rows: readonly Row[], merged: Merged): Target[] {
  const { least, memory } = merged;
  const worst = (level: Level, isMeant: (name: string) => boolean) =>
    Object.entries(least)
      .filter(([name]) => isMeant(name))
      .map(([name, at]) => ({ name, ratio: at[level] / at.off }))
      .reduce((a, b) => (b.ratio > a.ratio ? b : a));
  const isAccess = (name: string) => /^(load|store)/.test(name);
  const isHeap = (name: string) => HEAP_WORKLOAD.includes(name);
  const isReusing = (name: string) => REUSING_WORKLOAD.includes(name);
  const entries = [
    { level: "page" as const, isMeant: isAccess, atMost: PAGE_RATIO, what: "loads and stores" },
    { level: "page" as const, isMeant: isHeap, atMost: PAGE_RATIO, what: "heap workload" },
    { level: "byte" as const, isMeant: isAccess, atMost: BYTE_ACCESS_RATIO, what: "loads and stores" },
    { level: "byte" as const, isMeant: isHeap, atMost: BYTE_HEAP_RATIO, what: "heap workload" },
    { level: "byte" as const, isMeant: isReusing, atMost: BYTE_HEAP_RATIO, what: "heap workload without its freelist" },
  ].map(({ level, isMeant, atMost, what }) => {
    const { name, ratio } = worst(level, isMeant);
    return { what: `${level}, ${what}, at worst (${name}), against off`, measured: ratio, unit: " times", atMost };
  });
  const uninitialised = tally(rows, "uninitialised", "byte");
  return [
    {
      what: "byte reports uses of uninitialised memory",
      measured: uninitialised.reports,
      unit: "",
      atLeast: uninitialised.of,
    },
    {
      what: "right programs that a detector reports",
      measured: rows.filter((row) => row.falseReports.length > 0).length,
      unit: "",
      atMost: 0,
    },
    ...entries,
    {
      what: "byte, host memory beside what is touched",
      measured: Number(memoryShare(merged).toFixed(3)),
      unit: " of it",
      atMost: BYTE_MEMORY_SHARE,
    },
    {
      what: "from a failing load to its report (byte)",
      measured: memory.byte.reportNanoseconds / 1e6,
      unit: " ms",
      atMost: REPORT_NANOSECONDS / 1e6,
    },
  ];
}

function corpusTable(rows: readonly Row[]): string {
  const columns: Column[] = [
    { heading: "program", align: "left" },
    { heading: "CWE" },
    ...detectors.map(({ name }): Column => ({ heading: name, align: "left" })),
  ];
  const lines = rows.map(({ program, verdicts }) => [
    program.name,
    String(program.cwe),
    ...detectors.map(({ name }) => MARKS[verdicts[name]]),
  ]);
  const sums = BUGS.map((bug) => [
    bug,
    "",
    ...detectors.map(({ name }) => {
      const { reports, outputs, of } = tally(rows, bug, name);
      return `${reports}${outputs === 0 ? "" : ` (+${outputs})`} of ${of}`;
    }),
  ]);
  return formatTable(columns, [...lines, [], ...sums]);
}

function costTable({ least }: Merged): string {
  const columns: Column[] = [
    { heading: "operation", align: "left" },
    ...LEVELS.map((level): Column => ({ heading: level })),
    { heading: "page to off" },
    { heading: "byte to off" },
  ];
  const lines = Object.entries(least).map(([name, at]) => [
    name,
    ...LEVELS.map((level) => formatNanoseconds(at[level])),
    `${(at.page / at.off).toFixed(2)} ×`,
    `${(at.byte / at.off).toFixed(2)} ×`,
  ]);
  return formatTable(columns, lines);
}

interface ThreeRows {
  readonly native: NativeRow;
  readonly wasm: WasmRow;
}

function nativeTable(rows: readonly ThreeRows[]): string {
  const byte = detectors.find(({ name }) => name === "byte")!;
  const columns: Column[] = [
    { heading: "program", align: "left" },
    { heading: "Memcheck", align: "left" },
    { heading: "wasm", align: "left" },
    { heading: "byte", align: "left" },
    { heading: "Memcheck says", align: "left" },
    { heading: "refheap check says", align: "left" },
    { heading: "byte says", align: "left" },
  ];
  const lines = rows.map(({ native: { name, buggy, report }, wasm }) => {
    const program = corpus.find((one) => one.name === name)!;
    const ours = runUnder(byte, program, "buggy", null);
    return [name, buggy, wasm.buggy, ours.verdict, ...[report, wasm.report, ours.report ?? ""].map(shorten)];
  });
  return formatTable(columns, lines);
}

/** The C programs under Memcheck and as WebAssembly modules, as far as both are at hand, and what of them is said. */
function runC(): { readonly rows: readonly ThreeRows[]; readonly text: readonly string[] } {
  const noNative = whyNoNative();
  const noWasm = whyNoWasm();
  const text = ["", "The same in C under Valgrind Memcheck, and as WebAssembly modules under refheap check"];
  if (noNative !== null) text.push(`Memcheck is not run: ${noNative}`);
  if (noWasm !== null) text.push(`refheap check is not run: ${noWasm}`);
  if (noNative !== null && noWasm !== null) return { rows: [], text };
  const rows = nativeNames().map((name): ThreeRows => {
    const native = noNative === null ? runNative(name) : notRun(name);
    return { native, wasm: noWasm === null ? runWasm(name) : { ...notRun(name), reason: noWasm } };
  });
  text.push(nativeTable(rows), "");
  const agreeing = (of: (row: ThreeRows) => NativeRow | WasmRow) =>
    rows.filter((row) => of(row).right === "nothing" && of(row).buggy === "report").length;
  if (noNative === null)
    text.push(`Memcheck and byte agree on ${agreeing((row) => row.native)} of ${rows.length} pairs of variants`);
  if (noWasm === null) {
    const count = rows.filter(({ wasm }) => wasm.buggy !== "not run").length;
    text.push(`refheap check and byte agree on ${agreeing((row) => row.wasm)} of ${count} pairs of variants`);
    for (const { wasm } of rows) if (wasm.reason !== null) text.push(`${wasm.name} is no module: ${wasm.reason}`);
  }
  return { rows, text };
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("detection", "What is found of the corpus by each detector, and what that costs.")
    .option(
      "--native",
      "also run the C programs under Valgrind Memcheck, and as WebAssembly modules under refheap check",
    )
    .option("--no-cost", "only the corpus");
  const options = command
    .parse(argv, { from: "user" })
    .opts<{ quick?: boolean; json?: string; native?: boolean; cost: boolean }>();
  const rows = corpus.map(judge);
  const text = [
    `Detection: ${corpus.length} programs, each right and buggy. "report": the detector says so; "(output)": only a wrong answer shows`,
    formatHost(describeHost()),
    "",
    corpusTable(rows),
    "",
    `False reports in right variants: ${rows.filter((row) => row.falseReports.length > 0).length}`,
  ];
  const c = options.native === true ? runC() : { rows: [], text: [] };
  text.push(...c.text);
  let figures: object = { rows, native: c.rows };
  if (options.cost) {
    const passes = options.quick ? 1 : 3;
    const progress = startProgress(passes * LEVELS.length);
    const merged = await measure(options.quick ? 2 : 5, passes, (what) => progress.step(what));
    progress.done();
    const targets = listTargets(rows, merged);
    text.push(
      "",
      "What it costs: the least of all rounds, time an operation",
      costTable(merged),
      "",
      formatTargets(targets),
    );
    figures = { ...figures, ...merged, targets };
  }
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined) writeJson(options.json, "detection", figures);
}
