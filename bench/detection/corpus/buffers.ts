// Buffers: off-by-one fills, short reads, partial results on error paths, lengths that lie, images and codecs.
import { type CorpusProgram, sum, throughPipe } from "./program.ts";

const LARGE = 256 * 1024;

export const buffers: readonly CorpusProgram[] = [
  {
    name: "short-read",
    cwe: 252,
    bug: "uninitialised",
    what: "read(2) gives fewer bytes than asked for; all are used",
    run(heap, variant) {
      const { process } = heap;
      const [reader, writer] = process.pipe2();
      const source = heap.calloc(1, 10);
      process.write(writer, source, 10);
      const buffer = heap.malloc(32);
      const got = process.read(reader, buffer, 32);
      const total = sum(heap.memory.read(buffer, variant === "right" ? got : 32));
      for (const fd of [reader, writer]) process.close(fd);
      heap.free(source);
      heap.free(buffer);
      return total;
    },
  },
  {
    name: "heartbleed",
    cwe: 126,
    bug: "uninitialised",
    what: "a reply echoes as many bytes as the request claims to have",
    run(heap, variant) {
      const request = heap.malloc(4096);
      const payload = 16;
      heap.memory.setUint16(request, variant === "right" ? payload : 4000);
      heap.memory.fill(request + 2, 0x61, payload);
      const claimed = heap.memory.getUint16(request);
      const reply = throughPipe(heap, request + 2, claimed);
      heap.free(request);
      return reply.length;
    },
  },
  {
    name: "off-by-one-fill",
    cwe: 193,
    bug: "uninitialised",
    what: "a loop stops one element early",
    run(heap, variant) {
      const table = heap.malloc(64 * 4);
      for (let i = 0; i < (variant === "right" ? 64 : 63); i++) heap.memory.setUint32(table + i * 4, i);
      const last = heap.memory.getUint32(table + 63 * 4);
      heap.free(table);
      return last;
    },
  },
  {
    name: "off-by-one-start",
    cwe: 193,
    bug: "uninitialised",
    what: "a table is filled from index 1",
    run(heap, variant) {
      const table = heap.malloc(256);
      for (let i = variant === "right" ? 0 : 1; i < 256; i++) heap.memory.setUint8(table + i, i ^ 0xff);
      const first = heap.memory.getUint8(table);
      heap.free(table);
      return first;
    },
  },
  {
    name: "error-path",
    cwe: 456,
    bug: "uninitialised",
    what: "parsing fails in the middle and the result is used all the same",
    run(heap, variant) {
      const result = heap.malloc(12);
      const parse = (text: string): boolean => {
        for (const [i, part] of text.split(",").entries()) {
          const value = Number(part);
          if (Number.isNaN(value)) return false;
          heap.memory.setUint32(result + i * 4, value);
        }
        return true;
      };
      const isParsed = parse("1,2,x");
      const third = isParsed || variant === "buggy" ? heap.memory.getUint32(result + 8) : -1;
      heap.free(result);
      return third;
    },
  },
  {
    name: "switch-without-default",
    cwe: 457,
    bug: "uninitialised",
    what: "an opcode that no case handles leaves the output as it was",
    run(heap, variant) {
      const output = heap.malloc(4);
      const opcode = 7;
      if (opcode < 4) heap.memory.setUint32(output, opcode);
      else if (variant === "right") heap.memory.setUint32(output, 0xff);
      const value = heap.memory.getUint32(output);
      heap.free(output);
      return value;
    },
  },
  {
    name: "image-stride",
    cwe: 131,
    bug: "uninitialised",
    what: "rows are written without their alignment bytes, then encoded with them",
    run(heap, variant) {
      const [width, stride, rows] = [30, 32, 16];
      const image = heap.malloc(stride * rows);
      for (let y = 0; y < rows; y++) heap.memory.fill(image + y * stride, y, variant === "right" ? stride : width);
      const total = sum(heap.memory.read(image, stride * rows));
      heap.free(image);
      return total;
    },
  },
  {
    name: "image-last-band",
    cwe: 665,
    bug: "uninitialised",
    what: "a decoder leaves the band of a truncated image that was never sent",
    run(heap, variant) {
      const image = heap.malloc(LARGE);
      heap.memory.fill(image, 1, variant === "right" ? LARGE : LARGE / 2);
      const pixel = heap.memory.getUint8(image + LARGE - 10_000);
      heap.free(image);
      return pixel;
    },
  },
  {
    name: "large-table-gap",
    cwe: 908,
    bug: "uninitialised",
    what: "a sparse index is read where nothing was entered",
    run(heap, variant) {
      const index = variant === "right" ? heap.calloc(1, LARGE) : heap.malloc(LARGE);
      for (let i = 0; i < 8; i++) heap.memory.setUint32(index + i * 4, i + 1);
      const entry = heap.memory.getUint32(index + 100_000);
      heap.free(index);
      return entry;
    },
  },
  {
    name: "large-histogram",
    cwe: 665,
    bug: "uninitialised",
    what: "counters are incremented without having been cleared",
    run(heap, variant) {
      const counters = variant === "right" ? heap.calloc(65_536, 4) : heap.malloc(65_536 * 4);
      for (const value of [5, 60_000, 5]) {
        const at = counters + value * 4;
        heap.memory.setUint32(at, heap.memory.getUint32(at) + 1);
      }
      const count = heap.memory.getUint32(counters + 20);
      heap.free(counters);
      return count;
    },
  },
  {
    name: "histogram",
    cwe: 665,
    bug: "uninitialised",
    what: "the same in a small table",
    run(heap, variant) {
      const counters = heap.malloc(1024);
      if (variant === "right") heap.memory.fill(counters, 0, 1024);
      for (const value of [5, 200, 5]) {
        const at = counters + value * 4;
        heap.memory.setUint32(at, heap.memory.getUint32(at) + 1);
      }
      const count = heap.memory.getUint32(counters + 20);
      heap.free(counters);
      return count;
    },
  },
  {
    name: "ring-buffer-wrap",
    cwe: 125,
    bug: "uninitialised",
    what: "a reader takes the capacity for the number of bytes that are in",
    run(heap, variant) {
      const capacity = 64;
      const ring = heap.malloc(capacity);
      let written = 0;
      for (; written < 40; written++) heap.memory.setUint8(ring + (written % capacity), written);
      const count = variant === "right" ? written : capacity;
      let total = 0;
      for (let i = 0; i < count; i++) total += heap.memory.getUint8(ring + i);
      heap.free(ring);
      return total;
    },
  },
  {
    name: "audio-tail",
    cwe: 200,
    bug: "uninitialised",
    what: "the last frame of a stream is shorter; a whole one is played",
    run(heap, variant) {
      const frame = heap.malloc(1024);
      heap.memory.fill(frame, 3, 700);
      if (variant === "right") heap.memory.fill(frame + 700, 0, 324);
      const sent = throughPipe(heap, frame, 1024);
      heap.free(frame);
      return sent.slice(-8);
    },
  },
  {
    name: "checksum-before-fill",
    cwe: 696,
    bug: "uninitialised",
    what: "the checksum of a packet is taken before its last field is stored",
    run(heap, variant) {
      const packet = heap.malloc(20);
      heap.memory.fill(packet, 1, 16);
      const checksum = () => sum(heap.memory.read(packet, 20));
      let value = variant === "buggy" ? checksum() : 0;
      heap.memory.setUint32(packet + 16, 7);
      if (variant === "right") value = checksum();
      heap.free(packet);
      return value;
    },
  },
  {
    name: "length-in-words",
    cwe: 131,
    bug: "uninitialised",
    what: "a copy counts words where bytes are meant",
    run(heap, variant) {
      const source = heap.calloc(16, 4);
      const target = heap.malloc(64);
      heap.memory.copy(target, source, variant === "right" ? 64 : 16);
      const word = heap.memory.getUint32(target + 60);
      heap.free(source);
      heap.free(target);
      return word;
    },
  },
  {
    name: "rounded-up-length",
    cwe: 200,
    bug: "uninitialised",
    what: "a message is padded to a multiple of 8 in its length, not in its bytes",
    run(heap, variant) {
      const message = heap.malloc(24);
      heap.memory.fill(message, 0x41, 19);
      if (variant === "right") heap.memory.fill(message + 19, 0, 5);
      const sent = throughPipe(heap, message, 24);
      heap.free(message);
      return sent.slice(-10);
    },
  },
  {
    name: "decoder-state",
    cwe: 908,
    bug: "uninitialised",
    what: "an adaptive decoder starts from probabilities that were not reset",
    run(heap, variant) {
      const probabilities = heap.malloc(128 * 2);
      if (variant === "right") for (let i = 0; i < 128; i++) heap.memory.setUint16(probabilities + i * 2, 1024);
      let state = 1;
      for (let bit = 0; bit < 6; bit++)
        state = state * 2 + (heap.memory.getUint16(probabilities + state * 2) > 500 ? 1 : 0);
      heap.free(probabilities);
      return state;
    },
  },
  {
    name: "fork-then-read",
    cwe: 908,
    bug: "uninitialised",
    what: "a child reads the part of a shared job that the parent never filled",
    run(heap, variant) {
      const job = heap.malloc(64);
      heap.memory.fill(job, 2, variant === "right" ? 64 : 32);
      const child = heap.fork();
      const total = sum(child.memory.read(job, 64));
      child[Symbol.dispose]();
      heap.free(job);
      return total;
    },
  },
];
