// What a report costs, and what memory the checker takes beside the guest's: by a module of branches on a word that it is given, each in a
// function of its own so that each is a finding of its own, and one function that fills memory.
import { Instance, Module, type ModuleOptions } from "../../allocator/wasm/index.ts";

/** Findings of their own; and how often one of them is found again. */
const SITES = 64;
const REPEATS = 20_000;
const FILLED_BYTES = 48 * 2 ** 20;
const MEMORY_BYTES = 2 ** 27;

const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);
const section = (id: number, ...entries: number[][]): number[] => {
  const content = [...leb(entries.length), ...entries.flat()];
  return [id, ...leb(content.length), ...content];
};
const named = (name: string): number[] => [name.length, ...Array.from(name, (letter) => letter.charCodeAt(0))];
const body = (...code: number[]): number[] => [code.length + 2, 0, ...code, 0x0b];

/** Functions `f0`, `f1` … (address): if (i32.load address); `fill` (address, bytes): memory.fill with 1; `malloc` and `free`, which are the heap's. */
function makeModule(): Uint8Array {
  const branch = body(0x20, 0, 0x28, 2, 0, 0x04, 0x40, 0x0b);
  const fill = body(0x20, 0, 0x41, 1, 0x20, 1, 0xfc, 11, 0);
  const unreachable = body(0);
  const sites = Array.from({ length: SITES }, (_, site) => site);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [0x60, 1, 0x7f, 0], [0x60, 2, 0x7f, 0x7f, 0], [0x60, 1, 0x7f, 1, 0x7f]),
    ...section(3, ...sites.map(() => [0]), [1], [2], [0]),
    ...section(5, [0, 1]),
    ...section(
      7,
      ...sites.map((site) => [...named(`f${site}`), 0, ...leb(site)]),
      [...named("fill"), 0, ...leb(SITES)],
      [...named("malloc"), 0, ...leb(SITES + 1)],
      [...named("free"), 0, ...leb(SITES + 2)],
      [...named("memory"), 2, 0],
    ),
    ...section(10, ...sites.map(() => branch), fill, unreachable, unreachable),
  ]);
}

export interface ReportCosts {
  /** Median of the first reports of their places. */
  readonly firstMilliseconds: number;
  readonly againMicroseconds: number;
  /** Resident memory beside what the guest touched, by that. */
  readonly memoryRatio: number;
}

type Call = (...values: number[]) => number;

export function measureReports(options: ModuleOptions): ReportCosts {
  const module = new Module(makeModule(), { ...options, memoryBytes: MEMORY_BYTES });
  const instance = new Instance(module, {});
  try {
    const calls = instance.exports as unknown as Record<string, Call>;
    const word = calls.malloc(16);
    const first = Array.from({ length: SITES }, (_, site) => {
      const begin = performance.now();
      calls[`f${site}`](word);
      return performance.now() - begin;
    }).sort((a, b) => a - b)[SITES / 2];
    const begin = performance.now();
    for (let i = 0; i < REPEATS; i++) calls.f0(word);
    const again = ((performance.now() - begin) / REPEATS) * 1000;
    // The loop is one caller more of the first place.
    if (instance.checker.findings.length !== SITES + 1)
      throw new Error(`${instance.checker.findings.length} findings instead of ${SITES + 1}`);
    return { firstMilliseconds: first, againMicroseconds: again, memoryRatio: memoryBeside(calls) };
  } finally {
    instance[Symbol.dispose]();
  }
}

/** A block that the guest fills from end to end: what becomes resident besides, by its size. */
function memoryBeside({ malloc, fill }: Record<string, Call>): number {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  fill(malloc(FILLED_BYTES), FILLED_BYTES);
  const grown = process.memoryUsage().rss - before;
  return (grown - FILLED_BYTES) / FILLED_BYTES;
}
