// Attacks by loads and stores: overflows, stale pointers, guessed tags, lists and headers of free memory forged, sizes that wrap.
import type { Heap } from "../../allocator/heap/heap.ts";
import { withoutTag } from "../../platform/hardware/tags.ts";
import { bare, chunksOf, freeAll, HEADER, LARGE, neighbours, reuse, type Technique } from "./technique.ts";

const TAG_UNIT = 2 ** 48;
/** A block of 64 bytes, and what its header leaves to the program. */
const STRIDE = 64;
const SIZE = 48;

/** Where the heap's process has memory of its own that it can write. */
function anonymousAreas(heap: Heap): { readonly start: number; readonly end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (const line of heap.process.procfs("maps").split("\n")) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) rw-p .* 0 *$/.exec(line) ?? [];
    if (start !== undefined && end !== undefined) found.push({ start: Number(`0x${start}`), end: Number(`0x${end}`) });
  }
  return found;
}

export const memoryTechniques: Readonly<Record<string, Technique>> = {
  "overflow into slack": {
    what: "a byte behind 20, within the block",
    attack: (heap) => {
      const p = heap.malloc(20);
      heap.memory.setUint8(p + 20, 1);
      heap.free(p);
      return "works";
    },
  },
  "off by one": {
    what: "a byte behind a full block: the next header's first",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE);
      const [p] = neighbours(chunks);
      heap.memory.setUint8(p + SIZE, heap.memory.getUint8(p + SIZE) ^ 0x41);
      freeAll(heap, chunks);
      return "works";
    },
  },
  "off by null": {
    what: "a zero behind a full block",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE);
      const [p] = neighbours(chunks);
      heap.memory.setUint8(p + SIZE, 0);
      freeAll(heap, chunks);
      return "works";
    },
  },
  "linear overflow": {
    what: "64 bytes behind the end, over the next chunk's header",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE);
      const [p, , distance] = neighbours(chunks);
      heap.memory.fill(p, 0x41, distance + 16);
      freeAll(heap, chunks);
      return "works";
    },
  },
  "overflow that jumps": {
    what: "a store into the next chunk's bytes, its header left alone",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE);
      const [p, next, distance] = neighbours(chunks);
      heap.memory.setUint8(p + distance, 0x99);
      const byte = heap.memory.getUint8(next);
      freeAll(heap, chunks);
      return byte === 0x99 ? "works" : "harmless";
    },
  },
  "read overflow": {
    what: "the next chunk's bytes are read over its header (as Heartbleed)",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE);
      const [p, , distance] = neighbours(chunks);
      heap.memory.read(p, distance + SIZE);
      freeAll(heap, chunks);
      return "works";
    },
  },
  underflow: {
    what: "a byte in front of the chunk",
    attack: (heap) => {
      const p = heap.malloc(SIZE);
      heap.memory.setUint8(p - 1, 1);
      heap.free(p);
      return "works";
    },
  },
  "large overflow into slack": {
    what: "a byte behind the end of a mapping, on its last page",
    attack: (heap) => {
      const p = heap.malloc(LARGE);
      heap.memory.setUint8(p + LARGE, 1);
      heap.free(p);
      return "works";
    },
  },
  "large overflow": {
    what: "8 KiB behind the end of a mapping",
    attack: (heap) => {
      const p = heap.malloc(LARGE);
      heap.memory.fill(p, 1, LARGE + 8192);
      heap.free(p);
      return "works";
    },
  },
  "large header forged": {
    what: "the size in the header of a mapping, written over, then free",
    attack: (heap) => {
      const p = heap.malloc(LARGE);
      const place = withoutTag(p) - HEADER - 16;
      heap.memory.setInt32(place, heap.memory.getInt32(place) + 8);
      heap.free(p);
      return "works";
    },
  },
  "stale read": {
    what: "free(p), then a load",
    attack: (heap) => {
      const p = chunksOf(heap, 64, 1)[0];
      heap.free(p);
      return heap.memory.getUint8(p + 20) === 0x5a ? "works" : "harmless";
    },
  },
  "stale write": {
    what: "free(p), then a store",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      heap.memory.setUint8(p, 1);
      return "works";
    },
  },
  "stale read after reuse": {
    what: "free(p), another malloc at its place, a load of that one's secret by p",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      const q = reuse(heap, p, 64);
      if (q === 0) return "harmless";
      heap.memory.setUint8(q, 0x77);
      return heap.memory.getUint8(p) === 0x77 ? "works" : "harmless";
    },
  },
  "stale write after reuse": {
    what: "free(p), another malloc at its place, a store over that one by p",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      const q = reuse(heap, p, 64);
      if (q === 0) return "harmless";
      heap.memory.setUint8(p, 0x66);
      return heap.memory.getUint8(q) === 0x66 ? "works" : "harmless";
    },
  },
  "quarantine flushed": {
    what: "as above, with 4,000 frees between that push the chunk out of a quarantine",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      for (let i = 0; i < 4000; i++) heap.free(heap.malloc(1000));
      const q = reuse(heap, p, 64);
      if (q === 0) return "harmless";
      heap.memory.setUint8(p, 0x66);
      return heap.memory.getUint8(q) === 0x66 ? "works" : "harmless";
    },
  },
  "large stale read": {
    what: "free of a mapping, then a load",
    attack: (heap) => {
      const p = heap.malloc(LARGE);
      heap.memory.setUint8(p + 5000, 0x33);
      heap.free(p);
      return heap.memory.getUint8(p + 5000) === 0x33 ? "works" : "harmless";
    },
  },
  "large stale write after reuse": {
    what: "free of a mapping, another at its place, a store by the old pointer",
    attack: (heap) => {
      const p = heap.malloc(LARGE);
      heap.free(p);
      const q = heap.malloc(LARGE);
      if (bare(q) !== bare(p)) return "harmless";
      heap.memory.setUint8(p + 5000, 0x66);
      return heap.memory.getUint8(q + 5000) === 0x66 ? "works" : "harmless";
    },
  },
  "spray for the next place": {
    what: "free(p): is the very next malloc of its size there?",
    attack: (heap) => {
      const [p] = chunksOf(heap, 64, 8);
      heap.free(p);
      return bare(heap.malloc(64)) === bare(p) ? "works" : "harmless";
    },
  },
  "neighbour foreseen": {
    what: "two mallocs in a row: is the second right behind the first?",
    attack: (heap) => (bare(heap.malloc(SIZE)) + STRIDE === bare(heap.malloc(SIZE)) ? "works" : "harmless"),
  },
  "free-list pointer forged": {
    what: "a pointer written into a freed chunk, so that malloc gives it (tcache poisoning)",
    attack: (heap) => {
      const p = heap.malloc(64);
      const target = heap.process.mmap(0, 4096, 3, 0x22);
      heap.free(p);
      heap.memory.setBigUint64(p, BigInt(target), true);
      return reuse(heap, target, 64, 2000) === 0 ? "harmless" : "works";
    },
  },
  "transfer batch forged": {
    what: "the place of a live block written all over class 0, where Scudo keeps its transfer batches, so that malloc gives it again",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE, 3000);
      const victim = chunks.pop() as number;
      for (const p of chunks) heap.free(p);
      const areas = anonymousAreas(heap);
      const own = areas.find(({ start, end }) => bare(victim) >= start && bare(victim) < end);
      const place = (bare(victim) - HEADER - (own?.start ?? 0)) / 16;
      for (const { start, end } of areas) {
        if (chunks.some((p) => bare(p) >= start && bare(p) < end)) continue;
        for (let at = start; at < Math.min(end, start + 2 ** 16); at += 4) heap.memory.setUint32(at, place);
      }
      return reuse(heap, victim, SIZE, 6000) === 0 ? "harmless" : "works";
    },
  },
  "tag guessed": {
    what: "a stale pointer with a tag at random, after reuse",
    attack: (heap, random) => {
      const p = heap.malloc(64);
      heap.free(p);
      const q = reuse(heap, p, 64);
      if (q === 0) return "harmless";
      heap.memory.setUint8(withoutTag(p) + TAG_UNIT * random(16), 0x66);
      return heap.memory.getUint8(q) === 0x66 ? "works" : "harmless";
    },
  },
  "tag left out": {
    what: "a live chunk by its address without a tag",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.memory.setUint8(withoutTag(p), 1);
      return "works";
    },
  },
  "tag of a neighbour": {
    what: "a pointer moved to a chunk three blocks further, with its own tag",
    attack: (heap) => {
      const chunks = chunksOf(heap, SIZE, 200);
      const [, , distance] = neighbours(chunks);
      const p = chunks.find((one) => chunks.some((other) => bare(other) === bare(one) + 3 * distance)) as number;
      heap.memory.setUint8(p + 3 * distance, 1);
      return "works";
    },
  },
  "calloc that wraps": {
    what: "calloc(2^33, 2^33)",
    attack: (heap) => (heap.calloc(2 ** 33, 2 ** 33) === 0 ? "harmless" : "works"),
  },
  "malloc of nearly everything": {
    what: "malloc(2^64 - 8), whose sum with the header wraps",
    attack: (heap) => (heap.malloc(2 ** 53 - 1) === 0 ? "harmless" : "works"),
  },
  "uninitialised read": {
    what: "a secret of the last user, read out of a fresh chunk",
    attack: (heap) => {
      const p = chunksOf(heap, 64, 1)[0];
      heap.free(p);
      const q = reuse(heap, p, 64);
      return q !== 0 && heap.memory.getUint8(q + 20) === 0x5a ? "works" : "harmless";
    },
  },
};
