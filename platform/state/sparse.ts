// Host memory that is reserved whole and touched here and there, such as the table of a whole address space. The collector does not see
// its length: memory that the host never commits would bring a collection for each table. What lies in it is up to others.

const made = new WeakSet<ArrayBufferLike>();

/**
 * Memory of zeroes, `bytes` long. An engine counts an ArrayBuffer's whole length as garbage to come, but not a SharedArrayBuffer's;
 * no worker gets this one. Pages without cross-origin isolation have no such buffers: there it counts.
 */
export function makeSparse(bytes: number): ArrayBufferLike {
  const buffer = typeof SharedArrayBuffer === "undefined" ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes);
  made.add(buffer);
  return buffer;
}

/** Whether the buffer was made here, on a host with or without such buffers. */
export function isSparse(buffer: unknown): buffer is ArrayBufferLike {
  return made.has(buffer as ArrayBufferLike);
}
