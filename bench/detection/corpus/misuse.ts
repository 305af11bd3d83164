// Other misuse of memory: use after free, out of bounds, bad frees, leaks. Not what the byte level is made for, but it sees much of it.
import { type CorpusProgram, sum } from "./program.ts";

const LARGE = 256 * 1024;

export const misuse: readonly CorpusProgram[] = [
  {
    name: "use-after-free-read",
    cwe: 416,
    bug: "use-after-free",
    what: "a field is read after the object was freed",
    run(heap, variant) {
      const object = heap.calloc(1, 32);
      heap.memory.setUint32(object + 8, 5);
      const early = heap.memory.getUint32(object + 8);
      heap.free(object);
      return variant === "right" ? early : heap.memory.getUint32(object + 8);
    },
  },
  {
    name: "use-after-free-write",
    cwe: 416,
    bug: "use-after-free",
    what: "a callback stores its result into a request that is gone",
    run(heap, variant) {
      const request = heap.calloc(1, 32);
      if (variant === "right") heap.memory.setUint32(request, 1);
      heap.free(request);
      if (variant === "buggy") heap.memory.setUint32(request, 1);
      return 0;
    },
  },
  {
    name: "use-after-realloc",
    cwe: 416,
    bug: "use-after-free",
    what: "a pointer into a vector is kept over its growth",
    run(heap, variant) {
      const old = heap.calloc(1, 32);
      const moved = heap.realloc(old, 4000);
      const value = heap.memory.getUint32(variant === "right" ? moved : old);
      heap.free(moved);
      return value;
    },
  },
  {
    name: "use-after-free-large",
    cwe: 416,
    bug: "use-after-free",
    what: "a frame buffer is read after it was given back",
    run(heap, variant) {
      const buffer = heap.calloc(1, LARGE);
      const early = heap.memory.getUint8(buffer + 1000);
      heap.free(buffer);
      return variant === "right" ? early : heap.memory.getUint8(buffer + 1000);
    },
  },
  {
    name: "over-read",
    cwe: 125,
    bug: "out-of-bounds",
    what: "a loop reads one element behind an array",
    run(heap, variant) {
      const array = heap.calloc(10, 4);
      let total = 0;
      for (let i = 0; i < (variant === "right" ? 10 : 11); i++) total += heap.memory.getUint32(array + i * 4);
      heap.free(array);
      return total;
    },
  },
  {
    name: "over-write",
    cwe: 787,
    bug: "out-of-bounds",
    what: "a terminator is stored right behind the buffer",
    run(heap, variant) {
      const text = heap.malloc(20);
      heap.memory.fill(text, 0x61, 20);
      heap.memory.setUint8(text + (variant === "right" ? 19 : 20), 0);
      heap.free(text);
      return 0;
    },
  },
  {
    name: "under-read",
    cwe: 127,
    bug: "out-of-bounds",
    what: "a scan backwards does not stop at the begin",
    run(heap, variant) {
      const text = heap.malloc(16);
      heap.memory.fill(text, 0x20, 16);
      let at = text + 15;
      while (at > (variant === "right" ? text : text - 1) && heap.memory.getUint8(at) === 0x20) at--;
      const byte = heap.memory.getUint8(at);
      heap.free(text);
      return byte;
    },
  },
  {
    name: "over-copy",
    cwe: 805,
    bug: "out-of-bounds",
    what: "a copy takes the target's size for the source's",
    run(heap, variant) {
      const source = heap.calloc(1, 24);
      const target = heap.calloc(1, 40);
      heap.memory.copy(target, source, variant === "right" ? 24 : 40);
      const total = sum(heap.memory.read(target, 24));
      heap.free(source);
      heap.free(target);
      return total;
    },
  },
  {
    name: "header-overwrite",
    cwe: 787,
    bug: "out-of-bounds",
    what: "a negative index reaches the allocator's header",
    run(heap, variant) {
      const array = heap.calloc(8, 4);
      heap.memory.setUint32(array + (variant === "right" ? 0 : -16), 1);
      heap.free(array);
      return 0;
    },
  },
  {
    name: "double-free",
    cwe: 415,
    bug: "invalid-free",
    what: "an error path frees what the caller frees, too",
    run(heap, variant) {
      const p = heap.malloc(32);
      heap.free(p);
      if (variant === "buggy") heap.free(p);
      return 0;
    },
  },
  {
    name: "free-of-the-middle",
    cwe: 761,
    bug: "invalid-free",
    what: "a pointer that was moved along is freed",
    run(heap, variant) {
      const p = heap.malloc(64);
      heap.free(variant === "right" ? p : p + 16);
      return 0;
    },
  },
  {
    name: "lost-on-error-path",
    cwe: 401,
    bug: "leak",
    what: "an early return forgets a buffer",
    run(heap, variant) {
      const buffer = heap.malloc(100);
      const isBad = true;
      if (isBad && variant === "buggy") return 0;
      heap.free(buffer);
      return 0;
    },
  },
  {
    name: "lost-list",
    cwe: 401,
    bug: "leak",
    what: "the head of a list is freed before its tail was reached",
    run(heap, variant) {
      const nodes = [1, 2, 3].map(() => heap.calloc(1, 16));
      heap.memory.setBigUint64(nodes[0] + 8, BigInt(nodes[1]));
      heap.memory.setBigUint64(nodes[1] + 8, BigInt(nodes[2]));
      if (variant === "right") {
        heap.free(nodes[2]);
        heap.free(nodes[1]);
      }
      heap.free(nodes[0]);
      return 0;
    },
  },
];
