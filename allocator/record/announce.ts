// How `refheap record` learns of heaps: each copy of the library that a process loads, wherever from, shows its class of heaps to
// a recorder, if there is one. What the recorder does with it is heap-tap.ts.

/** Where a recorder waits: a property of Node's `process`, which contexts of `node:vm` share, too. */
export const RECORDER_KEY = Symbol.for("refheap.recorder");

/** Costs one look when the library is loaded. */
export function announceHeaps(heapClass: { readonly prototype: object }): void {
  const host = globalThis.process as unknown as Record<symbol, unknown> | undefined;
  const recorder = host?.[RECORDER_KEY];
  if (typeof recorder === "function") recorder(heapClass);
}
