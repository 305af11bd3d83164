// A frame on the heap: kind (1 byte), 3 bytes of padding, length (4 bytes), then the text.
import type { Heap } from "refheap";

const HEADER = 8;

export function encode(heap: Heap, kind: number, text: string): number {
  const utf8 = new TextEncoder().encode(text);
  const frame = heap.malloc(HEADER + utf8.length);
  heap.memory.setUint8(frame, kind);
  heap.memory.setUint32(frame + 4, utf8.length);
  heap.memory.write(frame + HEADER, utf8);
  return frame;
}

export function decode(heap: Heap, frame: number): string {
  const length = heap.memory.getUint32(frame + 4);
  return new TextDecoder().decode(heap.memory.read(frame + HEADER, length));
}

/** Wrong: it takes the padding, which is never written, for a part of the kind. */
export function kindOf(heap: Heap, frame: number): number {
  return heap.memory.getUint32(frame);
}
