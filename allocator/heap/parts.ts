// What a heap consists of: parts that users never see. heap.ts is the face, and each of its methods is a function over the parts.
// Making the parts is make-parts.ts, its end is end.ts; what a heap says of an address is here, since reports need it.

import type { Address } from "../../platform/hardware/integers.ts";
import type { Resident } from "../../platform/hardware/machine.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { keepMaker } from "../../platform/state/kept.ts";
import { Checker } from "../checker/checker.ts";
import type { CheckedHeap } from "../checker/requests.ts";
import type { Allocator } from "../combined/combined.ts";
import type { CompiledWays } from "../combined/compiled-ways.ts";
import { type ChunkStacks, HeapError } from "../common/heap-error.ts";
import type { Program } from "../common/program.ts";
import type { ChunkTraces } from "../common/stacks.ts";
import { type Explanation, explain } from "../inspection/explain.ts";
import type { HeapHooks } from "../options/hooks.ts";
import type { ResolvedHeapOptions } from "../options/options.ts";
import type { Recording } from "../record/recording.ts";
import { stacksOfAnyTag, type TagControl } from "../tagging/tag-control.ts";
import type { HeapFamily } from "./family.ts";

/** A heap's parts. Fields without `readonly` change while it lives; `program` and `allocator` when it ends (end.ts). */
export interface HeapParts {
  readonly family: HeapFamily;
  /** The family's program and allocator, until the heap ends. */
  program: Program;
  allocator: Allocator;
  /** The direct ways of malloc and free, compiled; null: the heap has none, or none yet, or is observed. */
  compiled: CompiledWays | null;
  readonly tagControl: TagControl | null;
  checker: Checker | null;
  /** Takes back what watches the process's memory for this heap. */
  readonly stopWatching: (() => void) | null;
  readonly options: ResolvedHeapOptions;
  readonly process: Process;
  /** Whether the process was made for this heap, and ends with it. */
  readonly ownsProcess: boolean;
  readonly hooks: HeapHooks;
  /** A program of another kind than JavaScript has a table of its own. */
  stackTable: ChunkTraces | null;
  /** C's errno. */
  errno: number;
  /** Whether there are hooks to call or stacks to keep at each allocation and free. */
  isObserved: boolean;
  /** The thread that the heap works as now. */
  thread: Thread;
  recording: Recording | null;
  isDisposed: boolean;
  /** Why no call can be answered any more; null while the heap lives. */
  ended: string | null;
  /** What the process calls when it ends. */
  processEnded: () => void;
  /** The heap itself, as the machine knows it. */
  face: Resident | null;
}

/** Reports and checks look at a heap's parts when they are made, which is after the parts that make them. */
export interface PartsBox {
  parts: HeapParts | null;
}

export function partsIn({ parts }: PartsBox): HeapParts {
  if (parts === null) throw new Error("a heap was asked before it was put together");
  return parts;
}

/** @throws HeapError ended: the heap was disposed of, or its process has ended */
export function requireAlive(parts: HeapParts): HeapParts {
  if (parts.ended !== null) throw new HeapError("ended", null, parts.ended);
  return parts;
}

/** What a checker asks a heap. */
const explainIn = keepMaker(
  "heap.explainIn",
  (box: PartsBox) => (address: Address) => explainAddress(partsIn(box), address),
);
const allStacksIn = keepMaker(
  "heap.allStacksIn",
  (box: PartsBox) => (pointer: Address) => partsIn(box).stackTable?.allStacksOf(pointer) ?? null,
);
const allocationIn = keepMaker(
  "heap.allocationIn",
  (box: PartsBox) => (pointer: Address) => partsIn(box).stackTable?.allocationOf(pointer) ?? null,
);

const requireAliveIn = keepMaker("heap.requireAliveIn", (box: PartsBox) => () => {
  requireAlive(partsIn(box));
});

export function explanations(
  box: PartsBox,
): Pick<CheckedHeap, "explain" | "stacksOf" | "allocationTrace" | "requireAlive"> {
  return {
    explain: explainIn(box),
    stacksOf: allStacksIn(box),
    allocationTrace: allocationIn(box),
    requireAlive: requireAliveIn(box),
  };
}

/** The heap's checker; one that tracks nothing is made when it is first asked for. */
export function checkerOf(parts: HeapParts): Checker {
  parts.checker ??= new Checker(
    {
      process: parts.process,
      level: parts.options.uninitialised,
      ...explanations({ parts }),
    },
    parts.allocator,
  );
  return parts.checker;
}

/** What lies at an address of the heap. @throws RangeError: no address */
export function explainAddress(parts: HeapParts, address: Address): Explanation {
  const { memory, primary, secondary, headers } = parts.allocator;
  const sources = {
    memory,
    primary,
    secondary,
    headers,
    headerPointer: (pointer: Address) => pointer,
    stacksOf: (pointer: Address) => stacksOf(parts, pointer),
  };
  return explain(sources, address);
}

/** The stacks kept for the chunk at an address, with or without a tag. */
export function stacksOf({ stackTable, family }: HeapParts, address: Address): ChunkStacks | null {
  if (stackTable === null) return null;
  if (family.kind !== "tagged") return stackTable.allStacksOf(address);
  return stacksOfAnyTag(stackTable, family.allocator, family.allocator.untag(address));
}
