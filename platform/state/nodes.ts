// The vocabulary of a snapshot: what kinds of objects and values its bytes speak of. Writing them is encode.ts, reading decode.ts.

export const MAGIC = "refheap\n";
/** Counts changes of the format, and of what the library's classes keep. A file of another version is refused. */
export const VERSION = 3;
/** Behind all else: the hash of what comes before it, in hexadecimal digits. */
export const HASH_BYTES = 16;

/** Kinds of objects. */
export const NODE = {
  instance: 0,
  plain: 1,
  bare: 2,
  array: 3,
  map: 4,
  set: 5,
  buffer: 6,
  view: 7,
  made: 8,
  value: 9,
  given: 10,
  lost: 11,
  ofHost: 12,
  sparse: 13,
  engineMemory: 14,
} as const;

/** Kinds of values: where they are fields, elements, keys. */
export const VALUE = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  count: 4,
  negative: 5,
  number: 6,
  text: 7,
  object: 8,
  bigint: 9,
  hole: 10,
} as const;

export type ViewType = {
  readonly prototype: ArrayBufferView;
  readonly BYTES_PER_ELEMENT?: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ArrayBufferView;
};

/** Views by number. */
export const VIEWS: readonly ViewType[] = [
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
