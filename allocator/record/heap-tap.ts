// A tap on a heap: its allocation functions and its memory are replaced by ones that also tell a recorder.
// On a heap it records that heap; on Heap.prototype every heap of the program (the preload of `refheap record`).

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import type { Memory } from "../common/memory.ts";
import { ALIGNED, CALLOC, MALLOC, READ, WRITE } from "./events.ts";
import type { Recorder } from "./recorder.ts";

const PAGE_BYTES = 4096;
const POINTER_BYTES = 8;

/** What a recording needs of a heap, beside the allocation functions that it finds by their names. */
export interface RecordedHeap {
  readonly memory: Memory;
  readonly process: { readonly currentThread: Thread };
  endThread(thread: Thread): void;
}

/** What a call told the recorder once it had succeeded. */
type Note = (recorder: Recorder, heap: RecordedHeap, arguments_: number[], result: number) => void;

const freed: Note = (recorder, _heap, [pointer]) => recorder.freed(pointer);
const aligned: Note = (recorder, _heap, [alignment, size], result) => recorder.made(ALIGNED, result, size, alignment);

/** Calls whose arguments are numbers; operatorNew's options are read apart. */
const NOTES: Readonly<Record<string, Note>> = {
  malloc: (recorder, _heap, [size], result) => recorder.made(MALLOC, result, size, 0),
  calloc: (recorder, _heap, [count, size], result) => recorder.made(CALLOC, result, size, count, count * size),
  memalign: aligned,
  aligned_alloc: aligned,
  valloc: (recorder, _heap, [size], result) => recorder.made(ALIGNED, result, size, PAGE_BYTES),
  pvalloc: (recorder, _heap, [size], result) =>
    recorder.made(ALIGNED, result, Math.max(1, Math.ceil(size / PAGE_BYTES)) * PAGE_BYTES, PAGE_BYTES),
  posix_memalign: (recorder, heap, [target, alignment, size], result) => {
    if (result !== 0) return;
    recorder.accessed(WRITE, target, POINTER_BYTES);
    recorder.made(ALIGNED, Number(heap.memory.getBigUint64(target)), size, alignment);
  },
  operatorNew: (recorder, _heap, [size], result) => recorder.made(MALLOC, result, size, 0),
  realloc: (recorder, _heap, [pointer, size], result) => noteRealloc(recorder, pointer, size, result),
  reallocarray: (recorder, _heap, [pointer, count, size], result) =>
    noteRealloc(recorder, pointer, count * size, result),
  free: freed,
  free_sized: freed,
  free_aligned_sized: freed,
  operatorDelete: freed,
};

function noteRealloc(recorder: Recorder, pointer: Address, size: ByteCount, result: number): void {
  if (pointer === 0) recorder.made(MALLOC, result, size, 0);
  else if (result !== 0) recorder.moved(pointer, result, size);
  else if (size === 0) recorder.freed(pointer);
}

/** On heaps, or their prototype, while they are tapped: the tap may be another copy of the library's. */
const TAPPED = Symbol.for("refheap.tapped");

/** Whether somebody listens to what is called on a heap, by a tap of its own or of all heaps. */
export function isTapped(heap: object): boolean {
  return TAPPED in heap;
}

/**
 * Taps a heap or Heap.prototype. `recorderOf` is asked at each call for the recorder of the heap it is made on.
 * @returns a function that takes the tap away
 */
export function tapHeap<Tapped extends RecordedHeap>(
  target: Tapped,
  recorderOf: (heap: Tapped) => Recorder,
): () => void {
  let depth = 0;
  const before: [string, PropertyDescriptor | undefined][] = [];
  const replace = (name: string, descriptor: PropertyDescriptor): void => {
    before.push([name, Object.getOwnPropertyDescriptor(target, name)]);
    Object.defineProperty(target, name, { configurable: true, ...descriptor });
  };
  for (const [name, note] of Object.entries(NOTES)) {
    const original = (target as unknown as Record<string, (...arguments_: number[]) => number>)[name];
    if (typeof original !== "function") continue;
    replace(name, {
      writable: true,
      value(this: Tapped, ...arguments_: number[]): number {
        // One function may be made of another: the outermost call is the program's.
        depth++;
        try {
          const result = original.apply(this, arguments_);
          if (depth === 1) {
            const recorder = recorderOf(this);
            recorder.runAs(this.process.currentThread);
            note(recorder, this, arguments_, result);
          }
          return result;
        } finally {
          depth--;
        }
      },
    });
  }
  const endThread = target.endThread;
  replace("endThread", {
    writable: true,
    value(this: Tapped, thread: Thread): void {
      endThread.call(this, thread);
      recorderOf(this).threadEnded(thread);
    },
  });
  const memory = memoryGetter(target);
  const taps = new WeakMap<Memory, Memory>();
  replace("memory", {
    get(this: Tapped): Memory {
      const real: Memory = memory.call(this);
      if (depth > 0) return real;
      let tap = taps.get(real);
      if (tap === undefined) {
        const recorder = recorderOf(this);
        tap = tapMemory(real, (kind, address, length) => {
          recorder.runAs(this.process.currentThread);
          recorder.accessed(kind, address, length);
        });
        taps.set(real, tap);
      }
      return tap;
    },
  });
  Object.defineProperty(target, TAPPED, { configurable: true, value: true });
  return () => {
    Reflect.deleteProperty(target, TAPPED);
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) delete (target as unknown as Record<string, unknown>)[name];
      else Object.defineProperty(target, name, descriptor);
    }
  };
}

/** The getter of `memory`, found along the prototypes. */
function memoryGetter(target: object): (this: RecordedHeap) => Memory {
  for (let object: object | null = target; object !== null; object = Object.getPrototypeOf(object)) {
    const getter = Object.getOwnPropertyDescriptor(object, "memory")?.get;
    if (getter !== undefined) return getter;
  }
  throw new TypeError("the heap has no memory to record");
}

type Access = readonly [kind: typeof READ | typeof WRITE, address: Address, length: ByteCount];
type Tell = (...access: Access) => void;

/** The bytes that a call of Memory touched, from its first three arguments and what `lengthOf` says of the others. */
type AccessesOf = (first: number, second: number, third: number, length: ByteCount) => readonly Access[];

const BULK: Readonly<Record<string, AccessesOf>> = {
  copy: (to, from, length) => [
    [READ, from, length],
    [WRITE, to, length],
  ],
  fill: (address, _byte, length) => [[WRITE, address, length]],
  fillPattern: (address, length) => [[WRITE, address, length]],
  compare: (a, b, length) => [
    [READ, a, length],
    [READ, b, length],
  ],
  read: (address, length) => [[READ, address, length]],
  readInto: (address, _target, _none, length) => [[READ, address, length]],
  write: (address, _source, _none, length) => [[WRITE, address, length]],
  readString: (address, most = Number.POSITIVE_INFINITY, _none, length) => [[READ, address, Math.min(most, length)]],
  writeString: (address, _text, _none, length) => [[WRITE, address, length]],
};

/** Bytes of the array that was given, of the string that was answered with its NUL, or the number that was answered. */
function lengthOf(arguments_: readonly unknown[], result: unknown): number {
  if (arguments_[1] instanceof Uint8Array) return arguments_[1].length;
  if (typeof result === "string") return utf8.encode(result).length + 1;
  return typeof result === "number" ? result : 0;
}

const utf8 = new TextEncoder();

/** getUint8 … setBigInt64: bits in the name. */
const SCALAR = /^(get|set)(?:Uint|Int|Float|BigUint|BigInt)(8|16|32|64)$/;

function accessesOf(name: string): AccessesOf | null {
  if (Object.hasOwn(BULK, name)) return BULK[name];
  const match = SCALAR.exec(name);
  if (match === null) return null;
  const kind = match[1] === "get" ? READ : WRITE;
  const bytes = Number(match[2]) / 8;
  return (address) => [[kind, address, bytes]];
}

/** A memory that reports its loads and stores, after they have succeeded. All else is the real one's. */
function tapMemory(real: Memory, tell: Tell): Memory {
  const calls = new Map<PropertyKey, unknown>();
  return new Proxy(real, {
    get(target, name) {
      const known = calls.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name, target);
      const accesses = typeof name === "string" ? accessesOf(name) : null;
      if (typeof value !== "function" || accesses === null) return value;
      const call = (...arguments_: number[]): unknown => {
        const result: unknown = Reflect.apply(value, target, arguments_);
        const [first, second, third] = arguments_;
        for (const access of accesses(first, second, third, lengthOf(arguments_, result))) tell(...access);
        return result;
      };
      calls.set(name, call);
      return call;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}
