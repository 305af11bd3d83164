// Options of heaps and option strings, hostile ones among them: a heap is made that works, or an OptionError names the option, and
// then no process is left. What a caller's own getter or proxy throws may pass through; prototypes stay clean.
import fc from "fast-check";
import { HeapError } from "../../allocator/common/heap-error.ts";
import { Heap } from "../../allocator/heap/heap.ts";
import { OptionError } from "../../allocator/options/option-error.ts";
import { type HeapOptions, OPTION_NAMES } from "../../allocator/options/options.ts";
import { OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type Journal, show } from "../harness/journal.ts";
import { edgeNumbers, HostileError, hostile, type Spelled, spelledValue } from "../harness/values.ts";

const WORDS = [
  ...["none", "zero", "pattern", "refpage", "memset", "scudo", "copy", "mremap", "off", "sync", "async", "asymm"],
  ...["untagged", "user-tags", "page", "byte", "throw", "warn", "crc32c", "bsd", "array", "lru", "android", "fuchsia"],
  ...["default", "trusty", "patern", "", "madvise", "always", "null", "fatal", "later", "reference", "__proto__"],
];
const FLAGS = [
  ...["quarantine_size_kb", "thread_local_quarantine_size_kb", "quarantine_max_chunk_size", "zero_contents"],
  ...["dealloc_type_mismatch", "delete_size_mismatch", "pattern_fill_contents", "may_return_null"],
  ...["release_to_os_interval_ms", "allocation_ring_buffer_size", "zero_content", "__proto__", "constructor", ""],
];

const value: fc.Arbitrary<Spelled> = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.boolean(),
  fc.constant(null),
  edgeNumbers,
  hostile,
);

/** An option string: flags and separators as Scudo reads them, and what it does not. */
const text = fc
  .array(
    fc.tuple(
      fc.constantFrom(...FLAGS),
      fc.constantFrom("=", "=", "=", "", "==", " = "),
      fc.oneof(
        fc.constantFrom("0", "1", "true", "no", "'1'", '"1"', "-1", "99999999999999999999", "0x10", "1k", ""),
        fc.integer({ min: -70_000, max: 70_000 }).map(String),
        fc.string({ maxLength: 6 }),
      ),
      fc.constantFrom(":", ",", " ", "\n", "\t", "::", ";"),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.map((one) => one.join("")).join(""));

interface Program {
  readonly typed: readonly (readonly [name: string, value: Spelled])[];
  readonly nested: readonly (readonly [name: string, value: Spelled])[];
  readonly text: string | null;
}

const nestedNames = ["sizeKb", "threadLocalSizeKb", "maxChunkSize", "capacity", "frames", "allocate", "__proto__"];

const program: fc.Arbitrary<Program> = fc.record({
  typed: fc.array(
    fc.tuple(
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...OPTION_NAMES.filter((name) => name !== "memoryBytes")) },
        fc.constantFrom("__proto__", "constructor", "toString", "filll", "hasOwnProperty"),
      ),
      fc.oneof({ weight: 4, arbitrary: value }, fc.constantFrom("@quarantine", "@stacks", "@environment", "@hooks")),
    ),
    { maxLength: 5 },
  ),
  nested: fc.array(fc.tuple(fc.constantFrom(...nestedNames), value), { maxLength: 3 }),
  text: fc.option(text),
});

/** An object with these own properties; `__proto__` as a name like another. */
function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  const object = {};
  for (const [name, value] of entries)
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  return object;
}

let shared: Kernel | undefined;

function runOptions({ typed, nested, text: options }: Program, journal: Journal): number {
  shared ??= createKernel({ memoryBytes: 2 ** 24, shadow: true });
  const kernel = shared;
  const inner = objectOf(nested.map(([name, one]) => [name, spelledValue(one)]));
  const environment = options === null ? {} : { SCUDO_OPTIONS: options };
  const own = typed.map(([name, one]): [string, unknown] => {
    if (one === "@environment") return [name, environment];
    return [name, typeof one === "string" && one.startsWith("@") ? inner : spelledValue(one)];
  });
  const given = objectOf([...own, ...(options === null ? [] : [["scudoOptions", options] as const])]);
  if (!Object.hasOwn(given, "kernel") && !Object.hasOwn(given, "process")) Object.assign(given, { kernel });
  if (!Object.hasOwn(given, "write")) Object.assign(given, { write: () => {} });
  journal.note(`const options = ${shownOf(typed, nested, options)};`);
  journal.note("new Heap(options);");
  const before = kernel.processes.size;
  try {
    const heap = new Heap(given as HeapOptions);
    try {
      useHeap(heap);
    } finally {
      heap[Symbol.dispose]();
    }
  } catch (error) {
    if (!isAnswer(error)) throw error;
    // A flag without a name in the text has none to be named by.
    if (error instanceof OptionError && error.option === "" && options === null)
      throw new Error("the refusal names no option");
  } finally {
    for (const process of [...kernel.processes.values()])
      if (process.exitStatus !== null) kernel.processes.delete(process.pid);
  }
  expect(kernel.processes.size, "processes").toBe(before);
  expect(Object.hasOwn(Object.prototype, "fill"), "Object.prototype.fill").toBe(false);
  kernel.checkInvariants();
  return 1;
}

/** What the heap must do, whichever options it has; reports and lack of memory are answers. */
function useHeap(heap: Heap): void {
  const small = heap.malloc(100);
  const large = heap.malloc(200_000);
  if (small !== 0) {
    heap.memory.setUint8(small + 99, 7);
    expect(heap.memory.getUint8(small + 99)).toBe(7);
  }
  if (large !== 0) {
    heap.memory.setUint8(large + 199_999, 9);
    expect(heap.memory.getUint8(large + 199_999)).toBe(9);
  }
  heap.checkInvariants();
  heap.free(small);
  heap.free(large);
  heap.releaseToOS("force-all");
  heap.checkInvariants();
}

function isAnswer(error: unknown): boolean {
  if (error instanceof OptionError || error instanceof HeapError || error instanceof HostileError) return true;
  if (error instanceof OutOfMemoryError || error instanceof SystemError) return true;
  // A proxy that was revoked, asked for anything, answers by itself.
  if (error instanceof TypeError && /revoked|proxy/.test(error.message)) return true;
  return error instanceof RangeError && /^(?:memoryBytes|tagging|uninitialised|options?)/.test(error.message);
}

function shownOf(typed: Program["typed"], nested: Program["nested"], options: string | null): string {
  return show({ typed: typed.map(([name, one]) => [name, one]), nested: nested.map((one) => [...one]), options });
}

export const heapOptions: Fuzzer<Program> = { program, run: runOptions, inTests: 150 };
