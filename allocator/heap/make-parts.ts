// The two ways to a heap's parts: made from options, or taken over by a forked process from its parent's.
// What a family of program and allocator consists of is decided here; what the parts are is parts.ts.

import type { Address } from "../../platform/hardware/integers.ts";
import { MADV_HUGEPAGE, MADV_NOHUGEPAGE } from "../../platform/kernel/abi/mman.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { keepMaker, keepValue } from "../../platform/state/kept.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { Checker } from "../checker/checker.ts";
import { watchCleanPages } from "../checker/page-watch.ts";
import type { CheckedHeap } from "../checker/requests.ts";
import { HUGE_PAGE_SIZE } from "../common/program.ts";
import { nextRandom } from "../common/random.ts";
import { type ReportContext, reportDeadlock } from "../common/report.ts";
import { StackTable } from "../common/stacks.ts";
import { gatherStatistics } from "../inspection/gather-statistics.ts";
import { formatStatistics } from "../inspection/print-stats.ts";
import type { HeapOptions, ResolvedHeapOptions } from "../options/options.ts";
import { resolveOptions } from "../options/resolve-options.ts";
import { TagControl } from "../tagging/tag-control.ts";
import type { TaggedAllocator } from "../tagging/tagged-allocator.ts";
import { FOREIGN, type TrackedAllocator } from "../tracking/tracked-allocator.ts";
import { endWithProcess } from "./end.ts";
import { type HeapFamily, makeFamily } from "./family.ts";
import {
  explainAddress,
  explanations,
  type HeapParts,
  type PartsBox,
  partsIn,
  requireAlive,
  stacksOf,
} from "./parts.ts";

/** The advice of option `hugePages`, and the smallest mapping that gets it: below 2 MiB no huge page fits. */
const HUGE_ADVICE = {
  scudo: { advice: 0, fromBytes: 0 },
  never: { advice: MADV_NOHUGEPAGE, fromBytes: 0 },
  madvise: { advice: MADV_HUGEPAGE, fromBytes: HUGE_PAGE_SIZE },
  always: { advice: MADV_HUGEPAGE, fromBytes: 0 },
} as const;

/**
 * The parts of a new heap, in a process of its own unless the options name one.
 * @throws OptionError: an unknown or malformed option. RangeError: a machine or configuration without what the options need.
 * HeapError map-failed: no address space for the smallest regions.
 */
export function makeHeapParts(given: HeapOptions | string): HeapParts {
  const options = resolveOptions(given);
  const process = options.process ?? makeProcess(options);
  return assemble({ options, process, ownsProcess: options.process === null, parent: null });
}

/** The parts of `parent`'s heap in a process that was forked from its own: every chunk, cache and setting. */
export function inheritHeapParts(
  parent: HeapParts,
  process: Process,
  { ownsProcess }: { readonly ownsProcess: boolean },
): HeapParts {
  return assemble({ options: parent.options, process, ownsProcess, parent });
}

/** @throws HeapError deadlock: the heap is disabled. SystemError: the process cannot be forked. */
export function forkParts(parent: HeapParts): HeapParts {
  const { registry } = parent.allocator;
  if (registry.disabled) reportDeadlock(parent.allocator.reports);
  return inheritHeapParts(parent, parent.process.fork(), { ownsProcess: true });
}

/** @throws RangeError: the process was not forked from the heap's */
export function joinParts(parent: HeapParts, child: Process): HeapParts {
  requireAlive(parent);
  if (typeof child !== "object" || child === null) throw new TypeError("inProcess: a forked process is needed");
  if (child.parent !== parent.process)
    throw new RangeError(`process ${child.pid} is no child of process ${parent.process.pid}`);
  if (child.exitStatus !== null) throw new RangeError(`process ${child.pid} has ended`);
  return inheritHeapParts(parent, child, { ownsProcess: false });
}

interface Origin {
  readonly options: ResolvedHeapOptions;
  readonly process: Process;
  readonly ownsProcess: boolean;
  readonly parent: HeapParts | null;
}

/** A process that was made for a heap does not outlive the attempt to make it. */
function assemble(origin: Origin): HeapParts {
  try {
    return putTogether(origin);
  } catch (error) {
    if (origin.ownsProcess) origin.process.exit(0);
    throw error;
  }
}

function putTogether({ options, process, ownsProcess, parent }: Origin): HeapParts {
  const seed = nextRandom(options.seed ?? hostRandom());
  const stackTable = makeStackTable(options);
  // Reports and checks look at the parts when they are made, which is after this function.
  const box: PartsBox = { parts: null };
  const reports: ReportContext = {
    headerReport: options.headerReport,
    stacksOf: stacksOfAddress(box),
    onReport: options.onReport,
  };
  const family = makeFamily(
    {
      process,
      options,
      reports,
      cookie: parent?.allocator.headers.cookie ?? nextRandom(seed),
      seed,
      printStatistics: printStatistics(options, box),
    },
    parent?.family,
  );
  const { advice, fromBytes } = HUGE_ADVICE[options.hugePages];
  family.program.adviseHuge(advice, fromBytes);
  const parts: HeapParts = {
    family,
    program: family.program,
    allocator: family.allocator,
    compiled: null,
    options,
    process,
    ownsProcess,
    hooks: options.hooks,
    stackTable,
    tagControl: family.kind === "tagged" ? makeTagControl(family.allocator, stackTable, parent, box) : null,
    ...watchProgram(family, parent?.checker ?? null, box),
    errno: 0,
    isObserved: options.stacks !== null || Object.keys(options.hooks).length > 0,
    thread: process.mainThread,
    recording: null,
    isDisposed: false,
    ended: null,
    processEnded: NOTHING,
    face: null,
  };
  box.parts = parts;
  endWithProcess(parts);
  return parts;
}

function makeTagControl(
  allocator: TaggedAllocator,
  stackTable: StackTable | null,
  parent: HeapParts | null,
  box: PartsBox,
): TagControl {
  const { options, program } = allocator;
  return new TagControl(
    { process: program.process, allocator, options, stackTable, placeOf: placeOfAddress(box) },
    parent?.tagControl ?? null,
  );
}

/** The checker of a heap that watches what its program reads, and what ends that. */
function watchProgram(
  family: HeapFamily,
  parent: Checker | null,
  box: PartsBox,
): Pick<HeapParts, "checker" | "stopWatching"> {
  if (family.kind !== "page" && family.kind !== "byte") return { checker: null, stopWatching: null };
  const checkedHeap: CheckedHeap = {
    process: family.program.process,
    level: family.kind,
    ...explanations(box),
  };
  const checker = new Checker(checkedHeap, family.allocator, parent);
  const { program, allocator } = family;
  checker.watch(allocator);
  const stopJudging = program.watch({ observer: checker.judge, owns: ownedBy(allocator) });
  if (family.kind === "byte") return { checker, stopWatching: stopJudging };
  const stopSeeing = watchCleanPages(program, allocator, checker.judge);
  return { checker, stopWatching: both(stopSeeing, stopJudging) };
}

const stacksOfAddress = keepMaker(
  "heap.stacksOfAddress",
  (box: PartsBox) => (address: Address) => stacksOf(partsIn(box), address),
);
const placeOfAddress = keepMaker(
  "heap.placeOfAddress",
  (box: PartsBox) => (address: Address) => explainAddress(partsIn(box), address).sentence,
);
const printStatistics = keepMaker("heap.printStatistics", (options: ResolvedHeapOptions, box: PartsBox) => () => {
  options.write(formatStatistics(gatherStatistics(partsIn(box).allocator)));
});
const ownedBy = keepMaker(
  "heap.ownedBy",
  (allocator: TrackedAllocator) => (address: Address) => allocator.lookUp(address) !== FOREIGN,
);
const both = keepMaker("heap.both", (first: () => void, second: () => void) => () => {
  first();
  second();
});

const NOTHING = keepValue("heap.nothing", () => {});

/** Frames of a trace when tracking is switched on at run time. */
const TRACKED_FRAMES = 16;

/** Without the option, a table that malloc_set_track_allocation_stacks may switch on, if the flags leave it any entries (S24.1). */
function makeStackTable({ stacks, flags }: ResolvedHeapOptions): StackTable | null {
  if (stacks !== null) return new StackTable(stacks);
  const capacity = flags.allocation_ring_buffer_size;
  return capacity <= 0 ? null : new StackTable({ capacity, frames: TRACKED_FRAMES, isRecording: false });
}

function makeProcess({ kernel, memoryBytes, uninitialised }: ResolvedHeapOptions): Process {
  const owner = kernel ?? createKernel({ memoryBytes, shadow: uninitialised === "byte" });
  return owner.createProcess({ name: "heap" });
}

/** 32 bits of the host's randomness. */
function hostRandom(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
