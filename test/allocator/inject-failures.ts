// Failures that tests arm: the n-th frame that the kernel cannot find, the n-th mapping call that answers ENOMEM.
// What must hold after each is said by the failures-*.test.ts files; real limits are failures-limits.test.ts.
import { HeapError } from "../../allocator/common/heap-error.ts";
import type { Heap } from "../../allocator/heap/heap.ts";
import { OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";

/** Makes something fail from now on; what it answers ends that, and says whether the heap came to it. */
export type Arm = (heap: Pick<Heap, "kernel" | "process">) => () => boolean;

export function failFrame(n: number): Arm {
  return ({ kernel }) => {
    const before = kernel.counters.framesAllocated;
    kernel.frames.failAt(n);
    return () => {
      kernel.frames.failAt(-1);
      return kernel.counters.framesAllocated - before >= n - 1;
    };
  };
}

/** Makes the n-th mapping call from now on answer ENOMEM. */
export function failMappingCall(n: number): Arm {
  return ({ process }) => {
    let left = n;
    const names = ["mmap", "madvise", "mremap", "munmap", "mprotect"] as const;
    for (const name of names) {
      const real = process[name].bind(process) as (...args: number[]) => number;
      Object.defineProperty(process, name, {
        configurable: true,
        value: (...args: number[]) => {
          if (--left === 0) throw new SystemError("ENOMEM", name, "injected");
          return real(...args);
        },
      });
    }
    return () => {
      for (const name of names) Reflect.deleteProperty(process, name);
      return left <= 0;
    };
  };
}

/** Whether an error is one that a heap may throw for lack of memory. */
export function isLackOfMemory(error: unknown): boolean {
  return (
    error instanceof OutOfMemoryError ||
    (error instanceof SystemError && error.code === "ENOMEM") ||
    (error instanceof HeapError && ["out-of-memory", "batch-class-exhausted"].includes(error.kind))
  );
}
