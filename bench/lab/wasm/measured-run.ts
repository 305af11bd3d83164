// A program run under one policy, and what memory cost it: real touches, counted by the simulated kernel as the program makes them.
// The result has the figures of a replay's, so that one comparison serves both.
import type { Heap, HeapHooks } from "../../../allocator/index.ts";
import type { GivenFunctions } from "../../../allocator/wasm/index.ts";
import { heapOptions } from "../replay/heap-subject.ts";
import type { Policy } from "../replay/policy.ts";
import { RecordingFile } from "../replay/recording-file.ts";
import type { ComparableResult } from "../report/comparison.ts";
import { runWasi, type WasiProgram, type WasiRun } from "./wasi-program.ts";

export interface MeasuredRun extends ComparableResult {
  readonly exitCode: number;
  readonly failure: string;
  /** Whether the module's malloc is the heap's; if not, no policy of a heap makes a difference. */
  readonly hasHeap: boolean;
}

export interface MeasureOptions {
  readonly memoryBytes: number;
  readonly functions?: GivenFunctions;
  readonly seed: number;
  /** A trace is written there. */
  readonly record?: string;
}

/** What a module's heap cannot be: said before anything runs. @throws RangeError */
export function checkPolicy(policy: Policy): void {
  const refuse = (what: string): never => {
    throw new RangeError(`policy "${policy.name}": ${what}`);
  };
  if (policy.own !== undefined) refuse("a policy of your own is for refheap replay and report");
  if (policy.tagging !== "off") refuse("a pointer of a WebAssembly module has no room for a tag");
  if (policy.largeFill === "userfaultfd") refuse("a WebAssembly module has no thread to answer faults");
  if (policy.pages !== "4K") refuse("a WebAssembly module's memory has pages of 4K here");
}

/** Mean of the resident set over the heap's calls. */
class RssMean {
  private sum = 0;
  private calls = 0;

  take(heap: Heap): void {
    this.sum += heap.process.rssBytes;
    this.calls++;
  }

  bytes(heap: Heap): number {
    return this.calls === 0 ? heap.process.rssBytes : this.sum / this.calls;
  }
}

/** @throws as runWasi */
export async function measureRun(program: WasiProgram, policy: Policy, options: MeasureOptions): Promise<MeasuredRun> {
  checkPolicy(policy);
  const mean = new RssMean();
  let heap: Heap | null = null;
  const sample = (): void => {
    if (heap !== null) mean.take(heap);
  };
  const hooks: HeapHooks = { allocate: sample, deallocate: sample };
  const { config: _, ...ofPolicy } = heapOptions(policy);
  const recording = options.record === undefined ? null : new RecordingFile(options.record);
  const run = await runWasi(
    program,
    {
      memoryBytes: options.memoryBytes,
      functions: options.functions,
      invalidFree: "report",
      initialisation: policy.initialisation,
      heap: { ...ofPolicy, seed: options.seed, hooks, stacks: false },
    },
    (instance) => {
      heap = instance.heap;
      if (recording === null) return;
      const recorded = instance.heap.record(recording);
      instance.guest.watchTouches((operation, address, size) => recorded.accessed(operation, address, size));
      return () => recording.close(recorded.stop());
    },
  );
  try {
    return resultOf(program, policy, options, run, mean);
  } finally {
    run.instance[Symbol.dispose]();
  }
}

function resultOf(
  program: WasiProgram,
  policy: Policy,
  { seed }: MeasureOptions,
  { instance, exitCode, failure }: WasiRun,
  mean: RssMean,
): MeasuredRun {
  const { heap } = instance;
  const peak = Math.max(heap.process.addressSpace.peakRss * 4096, heap.process.rssBytes);
  return {
    trace: program.file,
    touches: "of the program",
    policy,
    seed,
    stopped: failure === null ? "" : "stopped",
    counters: heap.process.kernel.counters.snapshot(),
    program: { tagGranules: 0, gvaBlocks: 0, faultMessages: 0, peakRssBytes: peak },
    peaks: { rssBytes: peak },
    meanRssBytes: mean.bytes(heap),
    exitCode,
    failure: failure?.message ?? "",
    hasHeap: instance.functions.size > 0,
  };
}
