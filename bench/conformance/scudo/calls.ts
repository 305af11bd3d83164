// Calls as the recordings write them, `memalign(2^24,10)`: parsed and performed on a heap.
import { chunkFields, type Subject } from "./subject.ts";

/** An argument: a number, or a word such as `p`, `NULL` or `nothrow`. */
export type Argument = number | string;

export interface Call {
  readonly name: string;
  readonly arguments: readonly Argument[];
}

/** SIZE_MAX is no JavaScript number; 2^64, the nearest, stands for it. */
const SIZE_MAX = 2 ** 64;

/** @returns undefined for a text that is no call */
export function parseCall(text: string): Call | undefined {
  const match = /^([\w[\]]+)\((.*)\)$/.exec(text.trim());
  if (match === null) return undefined;
  const words = match[2]!.split(",").map((word) => word.trim());
  return { name: match[1]!, arguments: words.filter((word) => word !== "").map(parseArgument) };
}

function parseArgument(word: string): Argument {
  if (word === "SIZE_MAX") return SIZE_MAX;
  const match = /^(\d+)(?:\^(\d+))?(?:([+-])(\d+))?$/.exec(word);
  if (match === null) return word;
  const base = match[2] === undefined ? Number(match[1]) : Number(match[1]) ** Number(match[2]);
  return base + Number(`${match[3] ?? "+"}${match[4] ?? 0}`);
}

/** What a call gave: a pointer (0: null), or a status where the call returns one. */
export interface Outcome {
  readonly pointer: number;
  readonly status?: number;
}

/** An address that posix_memalign must leave alone when it fails. */
const UNTOUCHED = 0x5aa5;

/**
 * Performs a call. `p` is a fresh chunk of 100 bytes; a missing size is 10.
 * @throws RangeError for a call that is not known
 */
export function perform({ heap, memory }: Subject, call: Call): Outcome {
  const number = (index: number, missing = 10): number => {
    const given = call.arguments[index];
    if (given === undefined) return missing;
    if (given === "NULL") return 0;
    if (given === "p") return heap.malloc(100);
    if (typeof given === "number") return given;
    throw new RangeError(`${call.name}: argument ${index + 1} is ${given}`);
  };
  switch (call.name) {
    case "malloc":
      return { pointer: heap.malloc(number(0)) };
    case "calloc":
      return { pointer: heap.calloc(number(0), number(1)) };
    case "realloc":
      return { pointer: heap.realloc(number(0), number(1)) };
    case "reallocarray":
      return { pointer: heap.reallocarray(number(0), number(1), number(2)) };
    case "memalign":
      return { pointer: heap.memalign(number(0), number(1)) };
    case "aligned_alloc":
      return { pointer: heap.aligned_alloc(number(0), number(1)) };
    case "valloc":
      return { pointer: heap.valloc(number(0)) };
    case "pvalloc":
      return { pointer: heap.pvalloc(number(0)) };
    case "free":
      heap.free(number(0));
      return { pointer: 0 };
    case "new":
      return { pointer: heap.operatorNew(number(0)) };
    case "new[]":
      return { pointer: heap.operatorNew(number(0), { array: true }) };
    case "posix_memalign": {
      const place = heap.malloc(8);
      memory.setBigUint64(place, BigInt(UNTOUCHED));
      const status = heap.posix_memalign(place, number(0), number(1));
      const pointer = Number(memory.getBigUint64(place));
      return { pointer: pointer === UNTOUCHED ? 0 : pointer, status };
    }
  }
  throw new RangeError(`no such call: ${call.name}`);
}

/** Origin and usable size of a chunk. */
export function originAndUsable({ heap, memory }: Subject, pointer: number): { origin: number; usable: number } {
  return { origin: chunkFields(memory, pointer).origin, usable: heap.malloc_usable_size(pointer) };
}
