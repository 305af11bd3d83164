// Machines for the fixture's heaps: a machine is kept for the next test of the worker, since making one costs more than a test.
// The next test finds it as new: RAM, tags and validity cleared, counters at 0, another kernel with processes from 1 on.

import { Machine } from "../../platform/hardware/machine.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";

/** Clearing more than this costs more than a new machine, which the host clears for nothing. */
const LARGEST_CLEARED_FRAMES = 4096;
/** Tests that run at the same time have a machine each. */
const KEPT = 4;

const kept: Machine[] = [];

export interface MachineShape {
  readonly memoryBytes: number;
  readonly shadow: boolean;
}

/** A kernel on a machine of this shape, kept or new. */
export function takeKernel({ memoryBytes, shadow }: MachineShape): Kernel {
  // The last that came back: its memory is what the host's caches have.
  const row = kept.findLastIndex((machine) => machine.memoryBytes === memoryBytes && machine.shadow === shadow);
  return createKernel(row < 0 ? new Machine({ memoryBytes, shadow }) : kept.splice(row, 1)[0]);
}

/** Ends a kernel and keeps its machine, unless the test left something that would be seen: pinned pages, or too much to clear. */
export function returnKernel(kernel: Kernel): void {
  const { frames, machine } = kernel;
  const isKept = kept.length < KEPT && frames.everUsed <= LARGEST_CLEARED_FRAMES && !frames.hasPins;
  if (!isKept) return;
  kernel.shutDown();
  kept.push(machine);
}
