// heap.view: stand-ins for a DataView and a Uint8Array over simulated memory, whose every access is a load or a store of the program.
// They hold no bytes: where the host itself must have a typed array's buffer, pin.ts has one, unchecked.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { outline } from "../../platform/hardware/outline.ts";
import { atProgram } from "../../platform/host/stack.ts";
import { ViewBuffer, type ViewedHeap } from "./view-buffer.ts";

/** What a view is beside a DataView: Uint8Array's methods, and the same bytes as a Uint8Array's stand-in. */
export interface HeapView extends DataView {
  /** Address of the first byte. */
  readonly pointer: Address;
  /** The same bytes for code that wants a Uint8Array: indexing, `set`, `subarray`, iteration and all its other methods. */
  readonly bytes: HeapBytes;
}

/** What `view.bytes` is: a stand-in for a Uint8Array, without a buffer. */
export interface HeapBytes extends Uint8Array {
  /** Address of the first byte. */
  readonly pointer: Address;
  /** The same bytes for code that wants a DataView. */
  readonly view: HeapView;
  /** A stand-in for a part of the bytes. */
  subarray(begin?: number, end?: number): HeapBytes;
}

const OUTSIDE = "Offset is outside the bounds of the DataView";

/** The language's ToIndex. @throws RangeError */
function toIndex(value: unknown): number {
  const whole = Math.trunc(Number(value)) || 0;
  if (whole < 0 || whole > Number.MAX_SAFE_INTEGER) throw atProgram(new RangeError(OUTSIDE));
  return whole;
}

/** A relative index as Array's methods take it: from the end if negative, cut to [0, length]. */
function relative(index: unknown, length: ByteCount, otherwise: number): number {
  if (index === undefined) return otherwise;
  const whole = Math.trunc(Number(index)) || 0;
  return whole < 0 ? Math.max(length + whole, 0) : Math.min(whole, length);
}

/** Whether code may have the buffer of a view: only while the host's constructors take it (accept-views.ts). */
export const bufferAccess = { isOpen: false };

/** What both stand-ins are made of; which of the language's prototypes is behind them is the only difference. */
export class View {
  // Private, so that no program moves a view's bounds by an assignment.
  readonly #heap: ViewedHeap;
  readonly #pointer: Address;
  readonly #byteLength: number;
  /** The view that this one is a part of: what stands for its buffer. */
  readonly #whole: ViewBuffer;

  constructor(pointer: Address, byteLength: number, whole: ViewBuffer) {
    this.#heap = ViewBuffer.heapOf(whole);
    this.#pointer = pointer;
    this.#byteLength = byteLength;
    this.#whole = whole;
  }

  /** Whether a value is a stand-in, of either kind. */
  static is(value: unknown): value is View {
    return typeof value === "object" && value !== null && #heap in value;
  }

  get pointer(): number {
    return this.#pointer;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  /** Address of `size` bytes at an offset. @throws RangeError as DataView's methods */
  #at(offset: number, size: ByteCount): number {
    const index = offset >>> 0 === offset ? offset : toIndex(offset);
    if (index + size > this.#byteLength) throw atProgram(new RangeError(OUTSIDE));
    return this.#pointer + index;
  }

  getUint8(offset: number): number {
    return this.#heap.memory.getUint8(this.#at(offset, 1));
  }

  setUint8(offset: number, value: number): void {
    this.#heap.memory.setUint8(this.#at(offset, 1), value);
  }

  getInt8(offset: number): number {
    return this.#heap.memory.getInt8(this.#at(offset, 1));
  }

  setInt8(offset: number, value: number): void {
    this.#heap.memory.setInt8(this.#at(offset, 1), value);
  }

  getUint16(offset: number, littleEndian = false): number {
    return this.#heap.memory.getUint16(this.#at(offset, 2), !!littleEndian);
  }

  setUint16(offset: number, value: number, littleEndian = false): void {
    this.#heap.memory.setUint16(this.#at(offset, 2), value, !!littleEndian);
  }

  getInt16(offset: number, littleEndian = false): number {
    return this.#heap.memory.getInt16(this.#at(offset, 2), !!littleEndian);
  }

  setInt16(offset: number, value: number, littleEndian = false): void {
    this.#heap.memory.setInt16(this.#at(offset, 2), value, !!littleEndian);
  }

  getUint32(offset: number, littleEndian = false): number {
    return this.#heap.memory.getUint32(this.#at(offset, 4), !!littleEndian);
  }

  setUint32(offset: number, value: number, littleEndian = false): void {
    this.#heap.memory.setUint32(this.#at(offset, 4), value, !!littleEndian);
  }

  getInt32(offset: number, littleEndian = false): number {
    return this.#heap.memory.getInt32(this.#at(offset, 4), !!littleEndian);
  }

  setInt32(offset: number, value: number, littleEndian = false): void {
    this.#heap.memory.setInt32(this.#at(offset, 4), value, !!littleEndian);
  }

  getFloat32(offset: number, littleEndian = false): number {
    return this.#heap.memory.getFloat32(this.#at(offset, 4), !!littleEndian);
  }

  setFloat32(offset: number, value: number, littleEndian = false): void {
    this.#heap.memory.setFloat32(this.#at(offset, 4), value, !!littleEndian);
  }

  getFloat64(offset: number, littleEndian = false): number {
    return this.#heap.memory.getFloat64(this.#at(offset, 8), !!littleEndian);
  }

  setFloat64(offset: number, value: number, littleEndian = false): void {
    this.#heap.memory.setFloat64(this.#at(offset, 8), value, !!littleEndian);
  }

  getBigUint64(offset: number, littleEndian = false): bigint {
    return this.#heap.memory.getBigUint64(this.#at(offset, 8), !!littleEndian);
  }

  setBigUint64(offset: number, value: bigint, littleEndian = false): void {
    this.#heap.memory.setBigUint64(this.#at(offset, 8), value, !!littleEndian);
  }

  getBigInt64(offset: number, littleEndian = false): bigint {
    return this.#heap.memory.getBigInt64(this.#at(offset, 8), !!littleEndian);
  }

  setBigInt64(offset: number, value: bigint, littleEndian = false): void {
    this.#heap.memory.setBigInt64(this.#at(offset, 8), value, !!littleEndian);
  }

  get length(): number {
    return this.byteLength;
  }

  /** How far behind the begin of the view that `heap.view` made: parts of one view are told apart by it, as in one buffer. */
  get byteOffset(): number {
    return this.#pointer - this.#whole.pointer;
  }

  /** @throws TypeError: there is no ArrayBuffer; `acceptViews` lets `new DataView(bytes.buffer)` do without, `heap.pin` has one */
  get buffer(): ViewBuffer {
    if (bufferAccess.isOpen) return this.#whole;
    throw atProgram(
      new TypeError(
        "a view of a heap has no buffer: acceptViews() has the host take it for a DataView's, and heap.pin(pointer, length).views " +
          "are real arrays, whose accesses are not checked",
      ),
    );
  }

  get BYTES_PER_ELEMENT(): number {
    return 1;
  }

  get bytes(): View {
    return makeBytes(this.#pointer, this.#byteLength, this.#whole);
  }

  get view(): View {
    return makeView(this.#pointer, this.#byteLength, this.#whole);
  }

  /** A stand-in for a part of the bytes: the same memory. */
  subarray(begin?: number, end?: number): View {
    const from = relative(begin, this.byteLength, 0);
    const to = Math.max(from, relative(end, this.byteLength, this.byteLength));
    return makeBytes(this.#pointer + from, to - from, this.#whole);
  }

  /** A copy, which is a Uint8Array of the host's. */
  slice(begin?: number, end?: number): Uint8Array {
    const from = relative(begin, this.byteLength, 0);
    const to = Math.max(from, relative(end, this.byteLength, this.byteLength));
    return this.#heap.memory.read(this.pointer + from, to - from);
  }

  /** Bytes, or a list of numbers, from `offset` on. Of a view, by a copy inside memory. @throws RangeError: they do not fit */
  set(source: ArrayLike<number>, offset = 0): void {
    const from = Math.trunc(offset) || 0;
    if (from < 0 || from + source.length > this.byteLength) throw atProgram(new RangeError("offset is out of bounds"));
    const { memory } = this.#heap;
    const target = this.pointer + from;
    if (source instanceof Object && #heap in source && source.#heap.memory === memory) {
      memory.copy(target, source.pointer, source.byteLength);
    } else memory.write(target, Uint8Array.from(source));
  }

  fill(value: number, begin?: number, end?: number): this {
    const from = relative(begin, this.byteLength, 0);
    const to = relative(end, this.byteLength, this.byteLength);
    if (to > from) this.#heap.memory.fill(this.pointer + from, value & 0xff, to - from);
    return this;
  }

  copyWithin(target: number, begin: number, end?: number): this {
    const to = relative(target, this.byteLength, 0);
    const from = relative(begin, this.byteLength, 0);
    const length = Math.min(relative(end, this.byteLength, this.byteLength) - from, this.byteLength - to);
    if (length > 0) this.#heap.memory.copy(this.pointer + to, this.pointer + from, length);
    return this;
  }

  reverse(): this {
    this.set(this.slice().reverse());
    return this;
  }

  sort(compare?: (a: number, b: number) => number): this {
    this.set(this.slice().sort(compare));
    return this;
  }

  toReversed(): Uint8Array {
    return this.slice().reverse();
  }

  toSorted(compare?: (a: number, b: number) => number): Uint8Array {
    return this.slice().sort(compare);
  }

  /** @throws RangeError: no such index */
  with(index: number, value: number): Uint8Array {
    const copy = this.slice();
    const whole = Math.trunc(index) || 0;
    const at = whole < 0 ? copy.length + whole : whole;
    if (at < 0 || at >= copy.length) throw atProgram(new RangeError("Invalid typed array index"));
    copy[at] = value;
    return copy;
  }

  map(change: (value: number, index: number, all: View) => number, self?: unknown): Uint8Array {
    const { byteLength } = this;
    const changed = new Uint8Array(byteLength);
    for (let i = 0; i < byteLength; i++) changed[i] = change.call(self, this.getUint8(i), i, this);
    return changed;
  }

  filter(accept: (value: number, index: number, all: View) => unknown, self?: unknown): Uint8Array {
    const accepted: number[] = [];
    for (let i = 0; i < this.byteLength; i++) {
      const value = this.getUint8(i);
      if (accept.call(self, value, i, this)) accepted.push(value);
    }
    return Uint8Array.from(accepted);
  }

  toString(): string {
    return Array.prototype.join.call(this);
  }
}

/** Array's own methods that only read do for any list; each byte that they come to is one load. */
const BORROWED = [
  ...[
    "at",
    "entries",
    "every",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "forEach",
    "includes",
    "indexOf",
    "join",
  ],
  ...["keys", "lastIndexOf", "reduce", "reduceRight", "some", "toLocaleString", "values", Symbol.iterator],
] as const;
for (const name of BORROWED) {
  Object.defineProperty(View.prototype, name, {
    configurable: true,
    writable: true,
    value: Reflect.get(Array.prototype, name),
  });
}

/** Half floats, where the host's DataView has them. */
if ("getFloat16" in DataView.prototype) {
  const scratch = new DataView(new ArrayBuffer(2)) as DataView & {
    getFloat16(offset: number): number;
    setFloat16(offset: number, value: number): void;
  };
  const methods = {
    getFloat16(this: View, offset: number, littleEndian = false): number {
      scratch.setUint16(0, this.getUint16(offset, littleEndian));
      return scratch.getFloat16(0);
    },
    setFloat16(this: View, offset: number, value: number, littleEndian = false): void {
      scratch.setFloat16(0, value);
      this.setUint16(offset, scratch.getUint16(0), littleEndian);
    },
  };
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(View.prototype, name, { configurable: true, writable: true, value });
  }
}

const INDEX = /^(?:0|[1-9]\d*)$/;
/** No byte has it; neither is it a property: "-1", "1.5", "NaN". */
const NO_INDEX = Number.POSITIVE_INFINITY;
const NO_NUMBER = -1;

/**
 * The index that a property's name spells; {@link NO_NUMBER} for any other name.
 * @see ECMA-262, CanonicalNumericIndexString
 */
function indexOf(name: PropertyKey): number {
  if (typeof name !== "string") return NO_NUMBER;
  if (INDEX.test(name)) return Number(name);
  return name === "-0" || String(Number(name)) === name ? NO_INDEX : NO_NUMBER;
}

/**
 * What is behind the methods in a stand-in's chain of prototypes: an index, which is no property of any, comes here and is a load or
 * store; everything else is the language's own prototype's. So methods are ordinary calls, and only indexing pays for a proxy.
 */
function indexed(prototype: object): object {
  return new Proxy(Object.create(prototype), {
    get(target, name, receiver: View) {
      const index = indexOf(name);
      if (index < 0) return Reflect.get(target, name, receiver);
      return index < receiver.byteLength ? receiver.getUint8(index) : undefined;
    },
    set(target, name, value, receiver: View) {
      const index = indexOf(name);
      if (index < 0) return Reflect.set(target, name, value, receiver);
      // As of a typed array: what lies outside is not stored, and is no error.
      if (index < receiver.byteLength) receiver.setUint8(index, value);
      return true;
    },
    // Asked by Array's methods, which look at no index beyond the length.
    has(target, name) {
      const index = indexOf(name);
      return index < 0 ? Reflect.has(target, name) : index !== NO_INDEX;
    },
  });
}

/**
 * A constructor for the views that `instanceof` takes for the language's own. What a program makes by it (`new
 * bytes.constructor(9)`) is the language's.
 */
function standIn(name: string, type: Uint8ArrayConstructor | DataViewConstructor): abstract new () => View {
  const { prototype } = type;
  const Kind = { [name]: class {} }[name] as unknown as abstract new () => View;
  const value = new Proxy(Kind, { construct: (_, given) => Reflect.construct(type, given) });
  Object.defineProperty(Kind.prototype, "constructor", { configurable: true, writable: true, value });
  Object.setPrototypeOf(Kind, type);
  for (const key of Reflect.ownKeys(View.prototype)) {
    if (key === "constructor") continue;
    Object.defineProperty(Kind.prototype, key, Reflect.getOwnPropertyDescriptor(View.prototype, key)!);
  }
  Object.setPrototypeOf(Kind.prototype, indexed(prototype));
  outline(Kind, ({ pointer, byteLength }) => ({ pointer, byteLength }));
  return Kind;
}

const DataViewStandIn = standIn("HeapView", DataView);
const BytesStandIn = standIn("HeapBytes", Uint8Array);

function makeBytes(pointer: Address, length: ByteCount, whole: ViewBuffer): View {
  return Reflect.construct(View, [pointer, length, whole], BytesStandIn);
}

/** A stand-in for a DataView over a part of a whole. */
export function makeView(pointer: Address, length: ByteCount, whole: ViewBuffer): View {
  return Reflect.construct(View, [pointer, length, whole], DataViewStandIn);
}

/** A stand-in for a DataView over `[pointer, pointer + length)`; its `bytes` is one for a Uint8Array. */
export function viewMemory(heap: ViewedHeap, pointer: Address, length: ByteCount): HeapView {
  return makeView(pointer, length, new ViewBuffer(heap, pointer, length)) as unknown as HeapView;
}
