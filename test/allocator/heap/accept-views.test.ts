// What the host takes while acceptViews counts: the idioms of codecs, each access checked; and that all else is as it was.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { acceptViews } from "../../../allocator/heap/accept-views.ts";
import { openHeap } from "../open-heap.ts";

const LENGTH = 32;
const TEXT = "grüezi";

function standIn() {
  const heap = openHeap({ uninitialised: "byte" });
  const view = heap.view(heap.malloc(LENGTH));
  return { heap, view, bytes: view.bytes };
}

describe("while it counts", () => {
  let accepted: Disposable;
  beforeEach(() => {
    accepted = acceptViews();
  });
  afterEach(() => accepted[Symbol.dispose]());

  test("a DataView over the buffer of a part is over that part, and its loads are checked", () => {
    const { heap, bytes } = standIn();
    const part = bytes.subarray(4, 12);
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    view.setUint32(0, 0x01020304);
    expect([bytes[4], view.byteLength, view instanceof DataView]).toEqual([1, 8, true]);
    view.getUint32(4);
    expect(heap.checker.findings).toMatchObject([{ kind: "uninitialised", offset: 8, size: 4 }]);
  });

  test("all parts of a view have one buffer, which is as long as the whole", () => {
    const { bytes, view } = standIn();
    expect(bytes.subarray(3).buffer).toBe(view.buffer);
    expect(bytes.buffer === standIn().bytes.buffer).toBe(false);
    expect([bytes.buffer.byteLength, new DataView(bytes.subarray(3).buffer).byteLength]).toEqual([LENGTH, LENGTH]);
  });

  test.each([
    [-1, 1],
    [LENGTH + 1, undefined],
    [LENGTH, 1],
    [0, LENGTH + 1],
    [4, -1],
  ])("a DataView from %s on, %s bytes long, is out of bounds as of a real buffer", (offset, length) => {
    expect(() => new DataView(standIn().bytes.buffer, offset, length)).toThrow(RangeError);
    expect(() => new DataView(new ArrayBuffer(LENGTH), offset, length)).toThrow(RangeError);
  });

  test("text is decoded from a stand-in, and encoded into one, by loads and stores", () => {
    const { heap, bytes } = standIn();
    expect(new TextEncoder().encodeInto(TEXT, bytes)).toEqual({ read: 6, written: 7 });
    expect(new TextDecoder().decode(bytes.subarray(0, 7))).toBe(TEXT);
    expect(heap.checker.findings).toEqual([]);
    new TextDecoder().decode(bytes.subarray(0, 8)); // one byte too many
    expect(heap.checker.findings).toMatchObject([{ kind: "uninitialised" }]);
  });

  test("what does not fit is not encoded, as by the host", () => {
    const { bytes } = standIn();
    bytes.fill(0);
    expect(new TextEncoder().encodeInto("aüü", bytes.subarray(0, 4))).toEqual(
      new TextEncoder().encodeInto("aüü", new Uint8Array(4)),
    );
    expect(bytes[3]).toBe(0);
  });

  test("typed arrays' methods, borrowed for a stand-in, are its own", () => {
    const { bytes } = standIn();
    bytes.set([1, 2, 3, 4]);
    expect(Uint8Array.prototype.slice.call(bytes, 1, 3)).toEqual(Uint8Array.of(2, 3));
    const part = Uint8Array.prototype.subarray.call(bytes, 2);
    part[0] = 9;
    expect(bytes[2]).toBe(9);
  });

  test("it is a view of the host's; a typed array over its buffer is refused, not empty", () => {
    const { bytes } = standIn();
    expect([ArrayBuffer.isView(bytes), ArrayBuffer.isView(bytes.view), ArrayBuffer.isView([])]).toEqual([
      true,
      true,
      false,
    ]);
    expect(() => new Uint8Array(bytes.buffer, 0, 4)).toThrow(/taken by DataView alone/);
    expect(() => Buffer.from(bytes.buffer)).toThrow(/taken by DataView alone/);
  });

  test("real arrays, buffers and text are served as before", () => {
    const real = Uint8Array.of(1, 2, 3, 4);
    const view = new DataView(real.buffer, 1, 2);
    expect([view.getUint16(0), view.byteLength]).toEqual([0x0203, 2]);
    expect(Object.getPrototypeOf(view)).toBe(DataView.prototype);
    expect(real.slice(1)).toEqual(Uint8Array.of(2, 3, 4));
    expect(real.subarray(1, 2)).toEqual(Uint8Array.of(2));
    expect(new TextDecoder("latin1").decode(real, { stream: false })).toBe("\x01\x02\x03\x04");
    expect(() => new DataView({} as ArrayBuffer)).toThrow(TypeError);
    expect(() => Uint8Array.prototype.slice.call({} as Uint8Array)).toThrow(TypeError);
    class Own extends (DataView as unknown as new (buffer: ArrayBuffer) => object) {}
    expect(new Own(new ArrayBuffer(2))).toBeInstanceOf(Own);
  });
});

test("afterwards the host is what it was; the last of several uses ends it", () => {
  const host = () => [
    globalThis.DataView,
    ArrayBuffer.isView,
    TextDecoder.prototype.decode,
    TextEncoder.prototype.encodeInto,
    Uint8Array.prototype.slice,
    Uint8Array.prototype.subarray,
  ];
  const before = host();
  const [first, second] = [acceptViews(), acceptViews()];
  const { bytes } = standIn();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(ArrayBuffer.isView(bytes)).toBe(true);
  second[Symbol.dispose]();
  expect(host()).toEqual(before);
  expect(() => bytes.buffer).toThrow(/acceptViews/);
});
