// The fuzzers by name; each is loaded only when asked for. One line adds one.
import type { Fuzzer } from "./harness/fuzzer.ts";

interface Entry {
  readonly what: string;
  readonly load: () => Promise<Fuzzer<unknown>>;
}

function entry<T>(what: string, load: () => Promise<Fuzzer<T>>): Entry {
  return { what, load: load as () => Promise<Fuzzer<unknown>> };
}

export const fuzzers: Readonly<Record<string, Entry>> = {
  kernel: entry(
    "mappings, forks, files and pipes of several processes against a plain model of pages",
    async () => (await import("./kernel/plain-programs.ts")).kernelPrograms,
  ),
  calls: entry(
    "every system call with plausible and implausible arguments",
    async () => (await import("./kernel/calls.ts")).systemCallPrograms,
  ),
  huge: entry(
    "blocks of 2 MiB under all settings of huge pages against the same model, blocks of frames refused at random",
    async () => (await import("./kernel/huge-programs.ts")).hugePrograms,
  ),
  "huge-calls": entry(
    "system calls on blocks of 2 MiB in little memory, frames refused at random",
    async () => (await import("./kernel/huge-calls.ts")).hugeCallPrograms,
  ),
  heap: entry(
    "heaps of all option combinations against a list of live chunks",
    async () => (await import("./heap/heap-programs.ts")).heapPrograms,
  ),
  "both-ways": entry(
    "plain heaps whose malloc and free are compiled against such that have none, on equal machines",
    async () => (await import("./heap/both-ways.ts")).bothWays,
  ),
  misuse: entry(
    "misuse, failing frames and limits on heaps of every family",
    async () => (await import("./heap/misuse.ts")).heapMisuse,
  ),
  marks: entry(
    "which bytes are defined and addressable, against a map of bytes",
    async () => (await import("./checker/byte-model.ts")).byteMarks,
  ),
  accesses: entry(
    "what the checker reports of each access, against a list of blocks",
    async () => (await import("./checker/access-model.ts")).accesses,
  ),
  tagging: entry(
    "tagged heaps: bytes, bounds, stale pointers",
    async () => (await import("./tagging/tagged-model.ts")).taggedHeaps,
  ),
  options: entry(
    "options and option strings, hostile objects among them",
    async () => (await import("./options/options.ts")).heapOptions,
  ),
  traces: entry("traces of each format, damaged", async () => (await import("./traces/traces.ts")).traceFiles),
  refpage: entry(
    "arguments of refpage_create, both ABIs, against R1 and R2",
    async () => (await import("./refpage/arguments.ts")).referencePages,
  ),
  "wasm-bytes": entry(
    "WebAssembly modules with bytes altered",
    async () => (await import("./wasm/mutated.ts")).mutatedModules,
  ),
  "wasm-results": entry(
    "valid WebAssembly modules, rewritten and as they are",
    async () => (await import("./wasm/same-results.ts")).sameResults,
  ),
  "wasm-straight-runs": entry(
    "loads and stores whose checks are joined, against a list of live blocks",
    async () => (await import("./wasm/straight-runs.ts")).straightRuns,
  ),
  "wasm-heap": entry(
    "what WebAssembly modules allocate and free by themselves, against a heap that is asked each time",
    async () => (await import("./wasm/direct-ways.ts")).directWays,
  ),
  "wasm-definedness": entry(
    "WebAssembly programs' undefined bits against an interpreter",
    async () => (await import("./wasm/definedness.ts")).definednessPrograms,
  ),
  scudo: entry(
    "the same program on this heap, the real Scudo and the C library, where they are at hand",
    async () => (await import("./scudo/differential.ts")).realScudo,
  ),
  linux: entry(
    "scripts of system calls on this machine's kernel and on the simulated one, where it is the same",
    async () => (await import("./linux/differential.ts")).linuxKernel,
  ),
  thp: entry(
    "the same with huge pages, where their settings may be changed (root)",
    async () => (await import("./linux/differential.ts")).hugeKernel,
  ),
};
