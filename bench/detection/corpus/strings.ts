// Strings and parsers: terminators that were not written, truncating copies, formats, tokens.
import { type CorpusProgram, sum } from "./program.ts";

/** strncpy: copies up to `limit` bytes, and a terminator only if there is room. */
function strncpy(
  memory: { setUint8(address: number, value: number): void },
  to: number,
  text: string,
  limit: number,
): void {
  const bytes = new TextEncoder().encode(text);
  for (let i = 0; i < limit; i++) memory.setUint8(to + i, i < bytes.length ? bytes[i] : 0);
}

export const strings: readonly CorpusProgram[] = [
  {
    name: "missed-terminator",
    cwe: 170,
    bug: "uninitialised",
    what: "the characters are stored, the NUL is not",
    run(heap, variant) {
      const text = heap.malloc(16);
      heap.memory.write(text, new TextEncoder().encode("name"));
      if (variant === "right") heap.memory.setUint8(text + 4, 0);
      const read = heap.memory.readString(text, 12);
      heap.free(text);
      return read;
    },
  },
  {
    name: "strncpy-truncates",
    cwe: 170,
    bug: "uninitialised",
    what: "strncpy fills its limit and leaves no terminator",
    run(heap, variant) {
      const field = heap.malloc(12);
      strncpy(heap.memory, field, "abcdefghij", variant === "right" ? 12 : 8);
      const read = heap.memory.readString(field, 12);
      heap.free(field);
      return read;
    },
  },
  {
    name: "concatenation-into-nothing",
    cwe: 665,
    bug: "uninitialised",
    what: "strcat appends to a buffer that was never made an empty string",
    run(heap, variant) {
      const line = heap.malloc(32);
      if (variant === "right") heap.memory.setUint8(line, 0);
      let end = line;
      while (end < line + 20 && heap.memory.getUint8(end) !== 0) end++;
      heap.memory.writeString(end, "suffix");
      const length = end - line + 6;
      heap.free(line);
      return length;
    },
  },
  {
    name: "tokenizer-end",
    cwe: 125,
    bug: "uninitialised",
    what: "a scanner looks one character past the last one stored",
    run(heap, variant) {
      const input = heap.malloc(32);
      const text = new TextEncoder().encode("12345");
      heap.memory.write(input, text);
      let value = 0;
      for (let i = 0; variant === "buggy" || i < text.length; i++) {
        const character = heap.memory.getUint8(input + i);
        if (character < 0x30 || character > 0x39) break;
        value = value * 10 + character - 0x30;
      }
      heap.free(input);
      return value;
    },
  },
  {
    name: "fixed-width-field",
    cwe: 170,
    bug: "uninitialised",
    what: "a name field of eight is compared whole, filled to its length",
    run(heap, variant) {
      const stored = heap.calloc(1, 8);
      heap.memory.write(stored, new TextEncoder().encode("root"));
      const given = heap.malloc(8);
      if (variant === "right") heap.memory.fill(given, 0, 8);
      heap.memory.write(given, new TextEncoder().encode("root"));
      const order = heap.memory.compare(stored, given, 8);
      heap.free(stored);
      heap.free(given);
      return order;
    },
  },
  {
    name: "utf8-tail",
    cwe: 126,
    bug: "uninitialised",
    what: "a lead byte promises continuation bytes that were not received",
    run(heap, variant) {
      const buffer = heap.malloc(8);
      heap.memory.write(buffer, Uint8Array.of(0x61, 0xe2, 0x82));
      let characters = 0;
      for (let i = 0; i < 3; characters++) {
        const lead = heap.memory.getUint8(buffer + i);
        const length = lead >= 0xe0 ? 3 : 1;
        if (variant === "right" && i + length > 3) break;
        if (length === 3 && heap.memory.getUint8(buffer + i + 2) < 0x80) characters += 100;
        i += length;
      }
      heap.free(buffer);
      return characters;
    },
  },
  {
    name: "snprintf-return",
    cwe: 126,
    bug: "uninitialised",
    what: "the length that would have been written is taken for the one that was",
    run(heap, variant) {
      const buffer = heap.malloc(16);
      const text = "length";
      heap.memory.writeString(buffer, text);
      const claimed = variant === "right" ? text.length : 14;
      const total = sum(heap.memory.read(buffer, claimed));
      heap.free(buffer);
      return total;
    },
  },
  {
    name: "hex-decoder-odd",
    cwe: 665,
    bug: "uninitialised",
    what: "an odd digit at the end is counted but not stored",
    run(heap, variant) {
      const digits = "a1b2c";
      const bytes = heap.malloc(3);
      for (let i = 0; i + 1 < digits.length; i += 2)
        heap.memory.setUint8(bytes + i / 2, Number.parseInt(digits.slice(i, i + 2), 16));
      if (variant === "right") heap.memory.setUint8(bytes + 2, 0xc0);
      const last = heap.memory.getUint8(bytes + 2);
      heap.free(bytes);
      return last;
    },
  },
  {
    name: "cookie-without-value",
    cwe: 457,
    bug: "uninitialised",
    what: "a key with no '=' leaves the value's offset unset",
    run(heap, variant) {
      const slice = heap.malloc(8);
      const text = "secure";
      const equals = text.indexOf("=");
      heap.memory.setUint32(slice, 0);
      if (equals >= 0) heap.memory.setUint32(slice + 4, equals);
      else if (variant === "right") heap.memory.setUint32(slice + 4, text.length);
      const end = heap.memory.getUint32(slice + 4);
      heap.free(slice);
      return end;
    },
  },
  {
    name: "environment-block",
    cwe: 170,
    bug: "uninitialised",
    what: "a list of strings lacks the empty one that ends it",
    run(heap, variant) {
      const block = heap.malloc(32);
      let end = block + heap.memory.writeString(block, "A=1");
      end += heap.memory.writeString(end, "B=2");
      if (variant === "right") heap.memory.setUint8(end, 0);
      let entries = 0;
      for (let at = block; entries < 5 && heap.memory.getUint8(at) !== 0; entries++) {
        at += heap.memory.readString(at, 8).length + 1;
      }
      heap.free(block);
      return entries;
    },
  },
];
