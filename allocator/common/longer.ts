// Columns of tables that grow: typed arrays cannot, so that a longer one takes their place.

/** An array of `length` elements that begins with another's. */
export function longer<Column extends Float64Array | Int32Array | Uint32Array | Uint8Array>(
  type: new (length: number) => Column,
  old: Column,
  length: number,
): Column {
  const grown = new type(length);
  grown.set(old);
  return grown;
}
