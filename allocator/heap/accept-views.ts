// The host's own DataView, TextDecoder, TextEncoder and ArrayBuffer.isView, made to take the stand-ins of heap.view: codecs that write
// `new DataView(bytes.buffer, bytes.byteOffset)` or decode text then run as they are. What a stand-in is, is view.ts.

import { atProgram } from "../../platform/host/stack.ts";
import { bufferAccess, makeView, View } from "./view.ts";
import { ViewBuffer } from "./view-buffer.ts";

/** Where the methods of all typed arrays are. */
const typedArray: Uint8Array = Object.getPrototypeOf(Uint8Array.prototype);

/** How often `acceptViews` counts now, and what takes it back. */
let users = 0;
let takeBack: () => void = () => {};

/**
 * Has the host take stand-ins of `heap.view` where it wants bytes of its own, in this thread, until the answer is disposed of:
 *
 * - `new DataView(bytes.buffer, byteOffset, byteLength)` is a stand-in over the same memory, whose accesses are checked;
 * - `TextDecoder.decode(bytes)` decodes a copy, and `TextEncoder.encodeInto(text, bytes)` stores what it encoded: loads and stores;
 * - `ArrayBuffer.isView(bytes)` is true; `Uint8Array.prototype.slice.call(bytes)` and `subarray.call` are the stand-in's own.
 *
 * They are replaced by ones that do for all else what they did. Calls may be nested. Code that took `DataView` out of the global object
 * earlier has the language's own.
 */
export function acceptViews(): Disposable {
  if (users++ === 0) takeBack = replaceAll();
  let isOpen = true;
  return {
    [Symbol.dispose](): void {
      if (!isOpen) return;
      isOpen = false;
      if (--users === 0) takeBack();
    },
  };
}

/** @returns what puts everything back */
function replaceAll(): () => void {
  const restore = [
    replace(globalThis, "DataView", acceptingDataView(DataView)),
    replace(ArrayBuffer, "isView", acceptingIsView(ArrayBuffer.isView)),
    replace(TextDecoder.prototype, "decode", acceptingDecode(TextDecoder.prototype.decode)),
    replace(TextEncoder.prototype, "encodeInto", acceptingEncodeInto(TextEncoder.prototype.encodeInto)),
    replace(typedArray, "slice", acceptingPart("slice")),
    replace(typedArray, "subarray", acceptingPart("subarray")),
  ];
  bufferAccess.isOpen = true;
  return () => {
    bufferAccess.isOpen = false;
    for (const one of restore) one();
  };
}

function replace(holder: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(holder, name)!;
  Object.defineProperty(holder, name, { ...before, value });
  return () => Object.defineProperty(holder, name, before);
}

function acceptingDataView(original: DataViewConstructor): DataViewConstructor {
  return new Proxy(original, {
    construct(target, given: unknown[], newTarget) {
      const [buffer, byteOffset, byteLength] = given;
      return buffer instanceof ViewBuffer
        ? partOf(buffer, byteOffset, byteLength)
        : Reflect.construct(target, given, newTarget);
    },
  });
}

/** As the language's constructor. @throws RangeError: the part is not inside the buffer */
function partOf(buffer: ViewBuffer, byteOffset: unknown, byteLength: unknown): View {
  const offset = toIndex(byteOffset);
  if (offset > buffer.byteLength)
    throw atProgram(new RangeError(`Start offset ${offset} is outside the bounds of the buffer`));
  const length = byteLength === undefined ? buffer.byteLength - offset : toIndex(byteLength);
  if (offset + length > buffer.byteLength) throw atProgram(new RangeError(`Invalid DataView length ${length}`));
  return makeView(buffer.pointer + offset, length, buffer);
}

function toIndex(value: unknown): number {
  const whole = Math.trunc(Number(value)) || 0;
  if (whole < 0) throw atProgram(new RangeError(`Start offset ${whole} is outside the bounds of the buffer`));
  return whole;
}

function acceptingIsView(original: typeof ArrayBuffer.isView): typeof ArrayBuffer.isView {
  return (value): value is ArrayBufferView => View.is(value) || original(value);
}

type Decode = typeof TextDecoder.prototype.decode;
type EncodeInto = typeof TextEncoder.prototype.encodeInto;

function acceptingDecode(original: Decode): Decode {
  return function decode(this: InstanceType<typeof TextDecoder>, ...[input, options]: Parameters<Decode>): string {
    return original.call(this, View.is(input) ? input.slice() : input, options);
  };
}

function acceptingEncodeInto(original: EncodeInto): EncodeInto {
  return function encodeInto(
    this: InstanceType<typeof TextEncoder>,
    source: string,
    target: Uint8Array,
  ): ReturnType<EncodeInto> {
    if (!View.is(target)) return original.call(this, source, target);
    const encoded = new Uint8Array(target.byteLength);
    const result = original.call(this, source, encoded);
    target.set(encoded.subarray(0, result.written));
    return result;
  };
}

function acceptingPart(name: "slice" | "subarray"): (begin?: number, end?: number) => unknown {
  const original = typedArray[name];
  return function part(this: unknown, begin?: number, end?: number): unknown {
    return View.is(this) ? this[name](begin, end) : original.call(this as Uint8Array, begin, end);
  };
}
