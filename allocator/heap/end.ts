// The end of a heap: by its disposal, or with its process. What lives here: what is given back, and that every later call says so.
// A living heap's calls pay nothing for this: at the end the parts that they reach for are replaced by ones that refuse.

import type { Resident } from "../../platform/hardware/machine.ts";
import { reportAsyncTagFault } from "../../platform/kernel/tagged-address.ts";
import { keepMaker } from "../../platform/state/kept.ts";
import { HeapError } from "../common/heap-error.ts";
import type { HeapParts } from "./parts.ts";

const DISPOSED = "the heap was disposed of";

/** Has the heap end when its process ends, or becomes another program (execve), by whose doing ever. */
export function endWithProcess(parts: HeapParts): void {
  const { process } = parts;
  parts.processEnded = endOf(parts);
  process.addressSpace.endObservers.add(parts.processEnded);
}

/** The machine knows a heap as long as it lives. */
export function enrol<Face extends Resident>(heap: Face, parts: HeapParts): Face {
  parts.face = heap;
  parts.process.kernel.machine.residents.add(heap);
  return heap;
}

/**
 * Ends the heap: its process if that was made for it, else its mappings and descriptors. A second call does nothing.
 * @throws what an asynchronous tag mismatch that was not reported yet is reported as, or what the sink of a recording threw;
 * in both cases after everything was given back
 */
export function disposeHeap(parts: HeapParts): void {
  if (parts.isDisposed) return;
  parts.isDisposed = true;
  const failures: unknown[] = [];
  if (parts.ended === null) {
    attempt(failures, () => reportPending(parts));
    giveBack(parts);
  }
  attempt(failures, () => parts.recording?.stop());
  if (failures.length > 0) throw failures[0];
}

/** Any system call would report it first; here it must not get between the calls that follow. */
function reportPending({ process }: HeapParts): void {
  if (process.currentThread.memory.asyncTagFault) reportAsyncTagFault(process.currentThread);
}

function giveBack(parts: HeapParts): void {
  const { process, allocator, ownsProcess } = parts;
  parts.tagControl?.end();
  parts.stopWatching?.();
  if (ownsProcess) {
    process.exit(0);
    // The fork was the library's, and so is the wait: until then an ended child is kept with all its tables.
    process.parent?.reap(process);
    return;
  }
  allocator.unmapAll();
  process.addressSpace.endObservers.delete(parts.processEnded);
  refuseAll(parts, DISPOSED);
}

function attempt(failures: unknown[], work: () => void): void {
  try {
    work();
  } catch (error) {
    failures.push(error);
  }
}

/** Nothing of the heap reaches memory from now on, not even what somebody has kept of it. */
function refuseAll(parts: HeapParts, reason: string): void {
  if (parts.ended !== null) return;
  parts.ended = reason;
  if (parts.face !== null) parts.process.kernel.machine.residents.delete(parts.face);
  parts.program.detach();
  parts.allocator.gate.close();
  parts.compiled?.end();
  parts.compiled = null;
  parts.program = refusing(reason);
  parts.allocator = refusing(reason);
}

const endOf = keepMaker("heap.endOf", (parts: HeapParts) => () => {
  refuseAll(parts, parts.isDisposed ? DISPOSED : `the heap's process ${parts.process.pid} has ended`);
});

const refusal = keepMaker("heap.refusal", (reason: string) => {
  const refuse = (): never => {
    throw new HeapError("ended", null, reason);
  };
  return new Proxy({}, { get: refuse, set: refuse });
});

function refusing<Part extends object>(reason: string): Part {
  return refusal(reason) as Part;
}
