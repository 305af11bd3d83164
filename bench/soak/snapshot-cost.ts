// What a snapshot costs of a heap with 100 MiB touched: bytes that do not repeat, so that none of them is saved.

import { Heap } from "../../allocator/heap/heap.ts";
import { Machine } from "../../platform/hardware/machine.ts";

const TOUCHED_BYTES = 100 * 2 ** 20;
const CHUNK_BYTES = 2 ** 16;
const ROUNDS = 3;

export interface SnapshotFigures {
  readonly bytes: number;
  /** The shortest of some rounds. */
  readonly snapshotSeconds: number;
  readonly restoreSeconds: number;
}

export function measureSnapshot(): SnapshotFigures {
  const heap = new Heap({ seed: 1 });
  const noise = new Uint32Array(CHUNK_BYTES / 4);
  for (let done = 0, word = 1; done < TOUCHED_BYTES; done += CHUNK_BYTES) {
    for (let i = 0; i < noise.length; i++) noise[i] = word = Math.imul(word, 1664525) + 1013904223;
    heap.memory.write(heap.malloc(CHUNK_BYTES), new Uint8Array(noise.buffer));
  }
  const { machine } = heap.kernel;
  const snapshots = Array.from({ length: ROUNDS }, () => timed(() => machine.snapshot()));
  const bytes = snapshots[0].value;
  const restores = Array.from({ length: ROUNDS }, () => timed(() => Machine.restore(bytes)));
  return {
    bytes: bytes.length,
    snapshotSeconds: Math.min(...snapshots.map(({ seconds }) => seconds)),
    restoreSeconds: Math.min(...restores.map(({ seconds }) => seconds)),
  };
}

function timed<Value>(work: () => Value): { readonly value: Value; readonly seconds: number } {
  const begin = performance.now();
  const value = work();
  return { value, seconds: (performance.now() - begin) / 1000 };
}
