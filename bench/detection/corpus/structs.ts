// Structs: padding, forgotten fields, unions, arrays of structs, layouts that two sides see differently.
import { type CorpusProgram, hex, sum, throughPipe } from "./program.ts";

export const structs: readonly CorpusProgram[] = [
  {
    name: "padding-over-pipe",
    cwe: 212,
    bug: "uninitialised",
    what: "the three bytes of padding behind a char go out with the struct",
    run(heap, variant) {
      const message = variant === "right" ? heap.calloc(1, 8) : heap.malloc(8);
      heap.memory.setUint8(message, 7);
      heap.memory.setUint32(message + 4, 1000);
      const sent = throughPipe(heap, message, 8);
      heap.free(message);
      return sent;
    },
  },
  {
    name: "padding-in-memcmp",
    cwe: 188,
    bug: "uninitialised",
    what: "two equal structs are compared with their padding",
    run(heap, variant) {
      const structs = [1, 2].map(() => (variant === "right" ? heap.calloc(1, 16) : heap.malloc(16)));
      const dirty = heap.memory;
      for (const p of structs) {
        dirty.setUint8(p, 1);
        dirty.setFloat64(p + 8, 2.5);
      }
      const order = dirty.compare(structs[0], structs[1], 16);
      for (const p of structs) heap.free(p);
      return order;
    },
  },
  {
    name: "padding-in-hash",
    cwe: 188,
    bug: "uninitialised",
    what: "a hash over all bytes of a key struct takes its padding in",
    run(heap, variant) {
      const key = heap.malloc(12);
      if (variant === "right") heap.memory.fill(key, 0, 12);
      heap.memory.setUint16(key, 3);
      heap.memory.setUint32(key + 4, 4);
      heap.memory.setUint32(key + 8, 5);
      let hash = 2166136261;
      for (let i = 0; i < 12; i++) hash = Math.imul(hash ^ heap.memory.getUint8(key + i), 16777619) >>> 0;
      heap.free(key);
      return hash;
    },
  },
  {
    name: "padding-to-file",
    cwe: 200,
    bug: "uninitialised",
    what: "a record is written to a file with its tail padding",
    run(heap, variant) {
      const record = heap.malloc(16);
      heap.memory.setFloat64(record, 1.5);
      heap.memory.setUint32(record + 8, 9);
      const fd = heap.process.memfd_create("records");
      heap.process.write(fd, record, variant === "right" ? 12 : 16);
      const { size } = heap.process.fstat(fd);
      heap.process.close(fd);
      heap.free(record);
      return size;
    },
  },
  {
    name: "forgotten-field",
    cwe: 909,
    bug: "uninitialised",
    what: "the constructor leaves out a new field",
    run(heap, variant) {
      const connection = heap.malloc(24);
      heap.memory.setUint32(connection, 80);
      heap.memory.setUint32(connection + 4, 30);
      if (variant === "right") heap.memory.setUint32(connection + 8, 0);
      const isEncrypted = heap.memory.getUint32(connection + 8) !== 0;
      heap.free(connection);
      return isEncrypted ? "encrypted" : "plain";
    },
  },
  {
    name: "half-copied-struct",
    cwe: 665,
    bug: "uninitialised",
    what: "a copy constructor copies the first fields only",
    run(heap, variant) {
      const original = heap.calloc(1, 32);
      heap.memory.setUint32(original + 28, 99);
      const copy = heap.malloc(32);
      heap.memory.copy(copy, original, variant === "right" ? 32 : 28);
      const last = heap.memory.getUint32(copy + 28);
      heap.free(original);
      heap.free(copy);
      return last;
    },
  },
  {
    name: "sizeof-pointer",
    cwe: 467,
    bug: "uninitialised",
    what: "memset(p, 0, sizeof p) clears eight bytes of a larger struct",
    run(heap, variant) {
      const state = heap.malloc(40);
      heap.memory.fill(state, 0, variant === "right" ? 40 : 8);
      const counter = heap.memory.getUint32(state + 32);
      heap.free(state);
      return counter;
    },
  },
  {
    name: "union-confusion",
    cwe: 843,
    bug: "uninitialised",
    what: "the short member of a union is stored, the long one read",
    run(heap, variant) {
      const value = heap.malloc(8);
      if (variant === "right") heap.memory.setFloat64(value, 3);
      else heap.memory.setFloat32(value, 3);
      const read = heap.memory.getFloat64(value);
      heap.free(value);
      return read;
    },
  },
  {
    name: "tagged-union-without-tag",
    cwe: 843,
    bug: "uninitialised",
    what: "a variant's payload is set, its discriminator is not",
    run(heap, variant) {
      const variantRecord = heap.malloc(16);
      if (variant === "right") heap.memory.setUint8(variantRecord, 1);
      heap.memory.setFloat64(variantRecord + 8, 6.5);
      const isNumber = heap.memory.getUint8(variantRecord) === 1;
      heap.free(variantRecord);
      return isNumber ? "number" : "nothing";
    },
  },
  {
    name: "bit-fields",
    cwe: 457,
    bug: "uninitialised",
    what: "one bit of a flags word is set in memory that was not cleared",
    run(heap, variant) {
      const flags = heap.malloc(4);
      const before = variant === "right" ? 0 : heap.memory.getUint32(flags);
      heap.memory.setUint32(flags, before | 4);
      const word = heap.memory.getUint32(flags);
      heap.free(flags);
      return word;
    },
  },
  {
    name: "array-of-structs-stride",
    cwe: 131,
    bug: "uninitialised",
    what: "elements are initialised at a stride that is too small",
    run(heap, variant) {
      const points = heap.malloc(8 * 12);
      const stride = variant === "right" ? 12 : 8;
      for (let i = 0; i < 8; i++)
        for (let field = 0; field < 3; field++) heap.memory.setUint32(points + i * stride + field * 4, i);
      const last = heap.memory.getUint32(points + 7 * 12);
      heap.free(points);
      return last;
    },
  },
  {
    name: "vtable-slot",
    cwe: 824,
    bug: "uninitialised",
    what: "a table of handlers has a slot that was not filled, and it is called",
    run(heap, variant) {
      const table = heap.malloc(4 * 8);
      for (let i = 0; i < (variant === "right" ? 4 : 3); i++) heap.memory.setBigUint64(table + i * 8, BigInt(100 + i));
      const handler = Number(heap.memory.getBigUint64(table + 24));
      heap.free(table);
      return handler;
    },
  },
  {
    name: "uninitialised-pointer",
    cwe: 824,
    bug: "uninitialised",
    what: "a list's last node has no end: its next pointer is what was there",
    run(heap, variant) {
      const first = heap.malloc(16);
      const second = heap.malloc(16);
      heap.memory.setUint32(first, 1);
      heap.memory.setUint32(second, 2);
      heap.memory.setBigUint64(first + 8, BigInt(second));
      if (variant === "right") heap.memory.setBigUint64(second + 8, 0n);
      let nodes = 0;
      for (let node = first; node !== 0 && nodes < 3; nodes++) {
        const next = Number(heap.memory.getBigUint64(node + 8));
        node = next === second ? second : 0;
      }
      const end = heap.memory.getBigUint64(second + 8);
      heap.free(first);
      heap.free(second);
      return `${nodes} ${end}`;
    },
  },
  {
    name: "matrix-diagonal",
    cwe: 665,
    bug: "uninitialised",
    what: "an identity matrix gets its ones, not its zeroes",
    run(heap, variant) {
      const n = 6;
      const matrix = heap.malloc(n * n * 8);
      if (variant === "right") heap.memory.fill(matrix, 0, n * n * 8);
      for (let i = 0; i < n; i++) heap.memory.setFloat64(matrix + (i * n + i) * 8, 1);
      let trace = 0;
      for (let i = 0; i < n * n; i++) trace += heap.memory.getFloat64(matrix + i * 8);
      heap.free(matrix);
      return trace;
    },
  },
  {
    name: "default-of-enum",
    cwe: 1188,
    bug: "uninitialised",
    what: "an options struct relies on zero being the default",
    run(heap, variant) {
      const options = variant === "right" ? heap.calloc(1, 20) : heap.malloc(20);
      heap.memory.setUint32(options, 5);
      const mode = heap.memory.getUint8(options + 17);
      heap.free(options);
      return mode;
    },
  },
  {
    name: "copied-padding-is-no-error",
    cwe: 665,
    bug: "uninitialised",
    what: "a struct with padding is copied (right); then a field that was never set is used",
    run(heap, variant) {
      const from = heap.malloc(16);
      heap.memory.setUint8(from, 1);
      if (variant === "right") heap.memory.setUint32(from + 12, 8);
      const to = heap.malloc(16);
      heap.memory.copy(to, from, 16);
      const field = heap.memory.getUint32(to + 12);
      heap.free(from);
      heap.free(to);
      return field;
    },
  },
  {
    name: "swapped-memset-arguments",
    cwe: 683,
    bug: "uninitialised",
    what: "memset(p, size, 0) sets nothing",
    run(heap, variant) {
      const buffer = heap.malloc(48);
      if (variant === "right") heap.memory.fill(buffer, 0, 48);
      else heap.memory.fill(buffer, 48, 0);
      const total = sum(heap.memory.read(buffer, 48));
      heap.free(buffer);
      return total;
    },
  },
  {
    name: "key-material",
    cwe: 909,
    bug: "uninitialised",
    what: "a 32-byte key is derived from a 24-byte digest",
    run(heap, variant) {
      const key = heap.malloc(32);
      heap.memory.fill(key, 0x5a, variant === "right" ? 32 : 24);
      const text = hex(heap.memory.read(key, 32));
      heap.free(key);
      return text;
    },
  },
];
