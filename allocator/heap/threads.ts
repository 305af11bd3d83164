// Which thread a heap works as: its cache, its load/store unit and its system calls; and the end of a thread.
// Whose cache that is, is tsd.ts; simulated threads are the kernel's.

import type { Thread } from "../../platform/kernel/thread.ts";
import type { HeapParts } from "./parts.ts";
import { requireAlive } from "./parts.ts";

export function withThread<Result>(parts: HeapParts, thread: Thread, work: () => Result): Result {
  if (typeof work !== "function") throw new TypeError("withThread: the work is a function");
  requireThread(parts, thread);
  if (thread.ended) throw new RangeError(`thread ${thread.tid} has ended`);
  const previous = parts.thread;
  switchTo(parts, thread);
  try {
    return work();
  } finally {
    // The work may have ended the process, or the thread to come back to.
    if (parts.ended === null) switchTo(parts, previous.ended ? parts.process.mainThread : previous);
  }
}

/** Ends a thread: its cache and quarantine go where other threads find them (S25.4), then it exits. */
export function endThread(parts: HeapParts, thread: Thread): void {
  requireThread(parts, thread);
  if (thread === parts.process.mainThread) throw new RangeError("the main thread ends with its process");
  const { registry } = parts.allocator;
  if (thread.ended) {
    registry.endThread(thread);
    parts.compiled?.threadEnded();
    return;
  }
  withThread(parts, thread, () => registry.endThread(thread));
  parts.compiled?.threadEnded();
  if (parts.thread === thread) switchTo(parts, parts.process.mainThread);
  thread.exit();
}

function requireThread(parts: HeapParts, thread: Thread): void {
  requireAlive(parts);
  const { process } = parts;
  if (typeof thread !== "object" || thread === null) throw new TypeError("a thread of the heap's process is needed");
  if (thread.process !== process) throw new RangeError(`thread ${thread.tid} is not of process ${process.pid}`);
}

function switchTo(parts: HeapParts, thread: Thread): void {
  const { process, program, allocator } = parts;
  parts.thread = thread;
  process.currentThread = thread;
  program.runAs(thread);
  allocator.registry.switchTo(thread);
}
