// Resources that run out at their n-th use, or from there on, for the tables of failures in this folder and in mm/. No test in here.
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { OutOfMemoryError, SystemError } from "../../../platform/kernel/abi/errors.ts";
import type { FrameAllocator } from "../../../platform/kernel/mm/frames.ts";

/** Ends the shortage, and says whether the n-th use was reached. */
export type Disarm = () => boolean;

/** Counts the questions, and says which of them are to be refused. */
export function counter(
  n: number,
  isOnce: boolean,
): { readonly refuses: () => boolean; readonly wasReached: () => boolean } {
  let asked = 0;
  return {
    refuses: () => {
      asked++;
      return isOnce ? asked === n : asked >= n;
    },
    wasReached: () => asked >= n,
  };
}

/** A number of an object that reads as 0 where it is to be refused. */
export function failingNumber<T extends object>(object: T, name: keyof T, n: number, isOnce: boolean): Disarm {
  const { refuses, wasReached } = counter(n, isOnce);
  const value = object[name];
  Object.defineProperty(object, name, { configurable: true, get: () => (refuses() ? 0 : value) });
  return () => {
    Object.defineProperty(object, name, { configurable: true, writable: true, value });
    return wasReached();
  };
}

/** Allocations of frames, single ones and blocks: the allocator's own countdown, which begins again at 1 where all are to fail. */
export function failingFrames(frames: FrameAllocator, n: number, isOnce: boolean): Disarm {
  let countdown = n;
  let reached = false;
  Object.defineProperty(frames, "failureCountdown", {
    configurable: true,
    get: () => countdown,
    set: (value: number) => {
      if (value === -1) reached = true;
      countdown = value === -1 && !isOnce ? 1 : value;
    },
  });
  return () => {
    Object.defineProperty(frames, "failureCountdown", { configurable: true, writable: true, value: -1 });
    return reached;
  };
}

/** What a program ends with: an errno or si_code, "out of memory", or null. */
export function endOf(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof SystemError || error instanceof SegmentationFault) return error.code;
    if (error instanceof OutOfMemoryError) return "out of memory";
    throw error;
  }
}
