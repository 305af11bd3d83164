// A codec as it was before: for a DataView, and for a Uint8Array. It knows of no heap.

/** Writes a name and two coordinates. Returns how many bytes that were. */
export function encodePoint(view, bytes, { name, x, y }) {
  const utf8 = new TextEncoder().encode(name);
  view.setUint8(0, utf8.length);
  bytes.set(utf8, 1);
  view.setFloat64(1 + utf8.length, x);
  view.setFloat64(9 + utf8.length, y);
  return 17 + utf8.length;
}

/** Wrong: it reads a third coordinate that a point does not have. */
export function decodePoint(view, bytes) {
  const length = view.getUint8(0);
  const name = new TextDecoder().decode(bytes.slice(1, 1 + length));
  const [x, y, z] = [1, 9, 17].map((offset) => view.getFloat64(offset + length));
  return { name, x, y, isFlat: z === 0 };
}
