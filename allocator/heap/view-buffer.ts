// What stands for the buffer of a stand-in (view.ts): the whole range that heap.view was asked for. It holds no bytes, and nothing of the
// host's can read it; the constructors that take it while `acceptViews` counts are accept-views.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { outline } from "../../platform/hardware/outline.ts";
import { atProgram } from "../../platform/host/stack.ts";
import type { Memory } from "../common/memory.ts";

/** Where a view's memory is: a heap, asked at each access, so that threads, recordings and the heap's end count. */
export interface ViewedHeap {
  readonly memory: Memory;
}

/** One for each call of `heap.view`, so that parts of one view have the same buffer, as in the language. */
export class ViewBuffer {
  readonly #heap: ViewedHeap;
  readonly #pointer: Address;
  readonly #byteLength: number;

  constructor(heap: ViewedHeap, pointer: Address, byteLength: ByteCount) {
    this.#heap = heap;
    this.#pointer = pointer;
    this.#byteLength = byteLength;
  }

  static heapOf(buffer: ViewBuffer): ViewedHeap {
    return buffer.#heap;
  }

  get pointer(): Address {
    return this.#pointer;
  }

  get byteLength(): ByteCount {
    return this.#byteLength;
  }

  /** A copy, which is an ArrayBuffer of the host's; each byte is a load. */
  slice(begin = 0, end = this.#byteLength): ArrayBuffer {
    const from = relative(begin, this.#byteLength);
    const length = Math.max(0, relative(end, this.#byteLength) - from);
    return this.#heap.memory.read(this.#pointer + from, length).slice().buffer;
  }

  /** Asked by typed arrays and Buffer, which would take it for an empty list. @throws TypeError */
  get length(): never {
    throw atProgram(new TypeError(NO_ARRAY));
  }

  get [Symbol.iterator](): never {
    throw atProgram(new TypeError(NO_ARRAY));
  }
}

const NO_ARRAY =
  "the buffer of a heap's view is taken by DataView alone: for a typed array over it, give the code heap.pin(pointer, length).views, " +
  "whose accesses are not checked, or a copy by slice()";

function relative(index: number, length: ByteCount): number {
  const whole = Math.trunc(index) || 0;
  return whole < 0 ? Math.max(length + whole, 0) : Math.min(whole, length);
}

outline(ViewBuffer, ({ pointer, byteLength }) => ({ pointer, byteLength }));
