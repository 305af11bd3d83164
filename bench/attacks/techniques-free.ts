// Attacks by free and realloc: second frees, pointers that malloc never returned, kinds and sizes confused, headers replayed and forged.
import { crcChecksum } from "../../allocator/combined/checksum.ts";
import { bare, chunksOf, freeAll, HEADER, LARGE, reuse, type Technique } from "./technique.ts";

export const freeTechniques: Readonly<Record<string, Technique>> = {
  "double free": {
    what: "free(p); free(p)",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      heap.free(p);
      return "works";
    },
  },
  "double free, another between": {
    what: "free(a); free(b); free(a), as with a fastbin",
    attack: (heap) => {
      const [a, b] = chunksOf(heap, 64, 2);
      for (const pointer of [a, b, a]) heap.free(pointer);
      return "works";
    },
  },
  "double free, large": {
    what: "free(p); free(p) of a mapping",
    attack: (heap) => {
      const p = heap.malloc(LARGE);
      heap.free(p);
      heap.free(p);
      return "works";
    },
  },
  "double free after reuse": {
    what: "free(p); q = malloc at the same place; free(p) ends q",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      if (reuse(heap, p, 64) === 0) return "harmless";
      heap.free(p);
      return "works";
    },
  },
  "free after realloc(p, 0)": {
    what: "realloc(p, 0) frees; free(p)",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.realloc(p, 0);
      heap.free(p);
      return "works";
    },
  },
  "header replay": {
    what: "a header read before the free is written back, then a second free",
    attack: (heap) => {
      const p = heap.malloc(64);
      const header = heap.memory.read(p - HEADER, 8).slice();
      heap.free(p);
      heap.memory.write(p - HEADER, header);
      heap.free(p);
      return "works";
    },
  },
  "interior free": {
    what: "free(p + 16) with bytes of the program where a header would be",
    attack: (heap, random) => {
      const p = heap.malloc(256);
      for (let i = 0; i < 8; i++) heap.memory.setUint8(p + 48 + i, random(256));
      heap.free(p + 64);
      return "works";
    },
  },
  "misaligned free": {
    what: "free(p + 8)",
    attack: (heap) => {
      heap.free(heap.malloc(256) + 8);
      return "works";
    },
  },
  "free of other memory": {
    what: "free of a pointer into a mapping of the program's own, with an invented header (house of spirit)",
    attack: (heap, random) => {
      const mapped = heap.process.mmap(0, 8192, 3, 0x22);
      for (let i = 0; i < 8; i++) heap.memory.setUint8(mapped + 4096 - HEADER + i, random(256));
      heap.free(mapped + 4096);
      return "works";
    },
  },
  "wild free": {
    what: "free of an address where nothing is",
    attack: (heap) => {
      heap.free(2 ** 37);
      return "works";
    },
  },
  "header of another chunk": {
    what: "an allocated chunk's header is copied before a freed one",
    attack: (heap) => {
      const [a, b] = chunksOf(heap, 64, 2);
      const header = heap.memory.read(a - HEADER, 8).slice();
      heap.free(b);
      heap.memory.write(b - HEADER, header);
      heap.free(b);
      return "works";
    },
  },
  "one bit of a header": {
    what: "a bit of the class or size flips, then free",
    attack: (heap, random) => {
      const p = heap.malloc(64);
      const at = p - HEADER + random(4);
      heap.memory.setUint8(at, heap.memory.getUint8(at) ^ (1 << random(8)));
      heap.free(p);
      return "works";
    },
  },
  "checksum guessed once": {
    what: "a forged header with a random checksum (1 of 65,536 is right)",
    attack: (heap, random) => {
      const p = heap.malloc(64);
      heap.memory.setUint8(p - HEADER, heap.memory.getUint8(p - HEADER) + 1);
      heap.memory.setUint16(p - 10, random(65536));
      heap.free(p);
      return "works";
    },
  },
  "checksum by linearity": {
    what: "CRC is linear: the program alters a header that it can read and its checksum by the difference, without the cookie",
    attack: (heap) => {
      const p = heap.malloc(64);
      const low = heap.memory.getInt32(p - HEADER);
      const forged = low + 1;
      const sum = heap.memory.getUint16(p - 10);
      const difference = crcChecksum(0, 0, 0, low, 0) ^ crcChecksum(0, 0, 0, forged, 0);
      heap.memory.setInt32(p - HEADER, forged);
      heap.memory.setUint16(p - 10, sum ^ difference);
      heap.free(p);
      return "works";
    },
  },
  "cross-class free": {
    what: "as above with the class of large blocks: the chunk comes back from another list",
    attack: (heap) => {
      const p = heap.malloc(64);
      const low = heap.memory.getInt32(p - HEADER);
      const forged = (low & ~0xff) | ((low & 0xff) + 4);
      const difference = crcChecksum(0, 0, 0, low, 0) ^ crcChecksum(0, 0, 0, forged, 0);
      heap.memory.setUint16(p - 10, heap.memory.getUint16(p - 10) ^ difference);
      heap.memory.setInt32(p - HEADER, forged);
      heap.free(p);
      return reuse(heap, p, 130, 200) !== 0 ? "works" : "harmless";
    },
  },
  "size confusion": {
    what: "sized delete with another size",
    attack: (heap) => {
      heap.operatorDelete(heap.operatorNew(64), { size: 128 } as object);
      return "works";
    },
  },
  "kind confusion": {
    what: "new, then free",
    attack: (heap) => {
      heap.free(heap.operatorNew(64));
      return "works";
    },
  },
  "memalign confusion": {
    what: "free of the block's begin instead of the aligned pointer",
    attack: (heap) => {
      const p = heap.memalign(4096, 64);
      const before = chunksOf(heap, 4096, 1);
      heap.free(p - 1024);
      freeAll(heap, before);
      return "works";
    },
  },
  "realloc of a freed chunk": {
    what: "free(p); realloc(p, 128)",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      heap.realloc(p, 128);
      return "works";
    },
  },
  "use of what realloc left": {
    what: "q = realloc(p, larger); the old p is written to",
    attack: (heap) => {
      const p = heap.malloc(64);
      const q = heap.realloc(p, 4000);
      if (bare(q) === bare(p)) return "harmless";
      heap.memory.setUint8(p, 1);
      return "works";
    },
  },
  "second free in a child": {
    what: "free(p), fork, and free(p) in the child",
    attack: (heap) => {
      const p = heap.malloc(64);
      heap.free(p);
      const child = heap.fork();
      try {
        child.free(p);
        return "works";
      } finally {
        child[Symbol.dispose]();
      }
    },
  },
  "cookie by forks": {
    what: "64 guesses of a checksum, each in a fork that may die: the cookie is the parent's",
    attack: (heap, random) => {
      const p = heap.malloc(64);
      let isFound = false;
      for (let i = 0; i < 64 && !isFound; i++) {
        const child = heap.fork();
        try {
          child.memory.setUint8(p - HEADER, child.memory.getUint8(p - HEADER) + 1);
          child.memory.setUint16(p - 10, random(65536));
          child.free(p);
          isFound = true;
        } catch {
          // The child has died; the parent goes on.
        } finally {
          child[Symbol.dispose]();
        }
      }
      return isFound ? "works" : "harmless";
    },
  },
};
