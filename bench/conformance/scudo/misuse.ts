// One misuse a process: how it ended and what it wrote. An abort is a HeapError here, SIGSEGV a SegmentationFault,
// and the alarm of a process that waits for ever a HeapError of kind deadlock.
import { HeapError } from "../../../allocator/heap-error.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { parseCall, perform } from "./calls.ts";
import { compareFields, type Difference } from "./difference.ts";
import type { Observation } from "./record.ts";
import { createSubject, maskAddresses, type Subject } from "./subject.ts";

const SMALL = 100;
const LARGE = 200000;
/** Larger than the secondary cache takes: freed, it is unmapped. */
const FILLS_BLOCK = 524224;
const PAGE = 4096;

/** What the program prints before it ends, "" for nothing. */
type Misuse = (subject: Subject) => string;

function flip({ memory }: Subject, address: number, mask = 1): void {
  memory.setUint8(address, memory.getUint8(address) ^ mask);
}

/** Bytes of the header word, which is 16 bytes before the chunk: the class id, and the offset. */
const CLASS_ID = -16;
const OFFSET = -12;

const misuses: Readonly<Record<string, Misuse>> = {
  "free twice": ({ heap }) => silently(() => twice(heap, heap.malloc(SMALL))),
  "large: free twice": ({ heap }) => silently(() => twice(heap, heap.malloc(LARGE))),
  "quarantined chunk: free twice": ({ heap }) => silently(() => twice(heap, heap.malloc(SMALL))),
  "free a stack address": ({ heap, process }) =>
    silently(() => heap.free(process.mmap(0, 2 * PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS) + PAGE)),
  "flip a low bit of the header (class id), free": (subject) => flipAndFree(subject, SMALL, CLASS_ID),
  "flip a checksum-side header bit (offset), free": (subject) => flipAndFree(subject, SMALL, OFFSET),
  "large: flip a header bit, free": (subject) => flipAndFree(subject, LARGE, CLASS_ID),
  "realloc after free": ({ heap }) => silently(() => heap.realloc(freed(heap, SMALL), SMALL + 1)),
  "usable size after free": ({ heap }) => silently(() => heap.malloc_usable_size(freed(heap, SMALL))),
  "flip a header bit, realloc": (subject) => flipThen(subject, (p) => subject.heap.realloc(p, SMALL + 1)),
  "flip a header bit, usable size": (subject) => flipThen(subject, (p) => subject.heap.malloc_usable_size(p)),
  "large: overwrite the large-block header link, free": ({ heap, memory }) => {
    const pointer = heap.malloc(LARGE);
    memory.setBigUint64(pointer - 64, 0x4141_4141_4141_4141n);
    memory.setBigUint64(pointer - 56, 0x4141_4141_4141_4141n);
    heap.free(pointer);
    return "";
  },
  "large: store far before the block": ({ heap, memory }) => {
    memory.setUint8(heap.malloc(LARGE) - 3 * PAGE, 1);
    return "";
  },
  "large: store one byte past the end, size fills the block": ({ heap, memory }) => {
    memory.setUint8(heap.malloc(FILLS_BLOCK) + FILLS_BLOCK, 1);
    return "";
  },
  "quarantined chunk: flip a header bit, go on allocating": (subject) => {
    flip(subject, freed(subject.heap, SMALL) + CLASS_ID + 2);
    for (let count = 0; count < 100_000; count++) subject.heap.free(subject.heap.malloc(SMALL));
    return "fine\n";
  },
  "malloc between malloc_disable and malloc_enable, alarm after 1 s": ({ heap }) => {
    heap.malloc_disable();
    heap.malloc(SMALL);
    return "fine\n";
  },
  "no misuse: only start-up": () => "fine\n",
};

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

function silently(act: () => unknown): string {
  act();
  return "fine\n";
}

function twice(heap: Subject["heap"], pointer: number): void {
  heap.free(pointer);
  heap.free(pointer);
}

function freed(heap: Subject["heap"], size: number): number {
  const pointer = heap.malloc(size);
  heap.free(pointer);
  return pointer;
}

function flipAndFree(subject: Subject, size: number, at: number): string {
  const pointer = subject.heap.malloc(size);
  flip(subject, pointer + at);
  subject.heap.free(pointer);
  return "fine\n";
}

function flipThen(subject: Subject, act: (pointer: number) => unknown): string {
  const pointer = subject.heap.malloc(SMALL);
  flip(subject, pointer + CLASS_ID);
  act(pointer);
  return "fine\n";
}

const allocators: Readonly<Record<string, (heap: Subject["heap"], size: number) => number>> = {
  malloc: (heap, size) => heap.malloc(size),
  calloc: (heap, size) => heap.calloc(1, size),
  memalign: (heap, size) => heap.memalign(64, size),
  aligned_alloc: (heap) => heap.aligned_alloc(64, 64),
  new: (heap, size) => heap.operatorNew(size),
  "new[]": (heap, size) => heap.operatorNew(size, { array: true }),
};

const releases: Readonly<Record<string, (heap: Subject["heap"], pointer: number, size?: number) => unknown>> = {
  free: (heap, pointer) => heap.free(pointer),
  realloc: (heap, pointer) => heap.realloc(pointer, SMALL * 2),
  delete: (heap, pointer) => heap.operatorDelete(pointer),
  "delete[]": (heap, pointer) => heap.operatorDelete(pointer, { array: true }),
  "sized delete": (heap, pointer, size) => heap.operatorDelete(pointer, { size }),
  "sized delete[]": (heap, pointer, size) => heap.operatorDelete(pointer, { array: true, size }),
};

/** "new(10) / sized delete 11", "malloc / free", "free pointer+8", "realloc pointer+1", or a call. */
function misuseOf(name: string): Misuse {
  const known = misuses[name];
  if (known !== undefined) return known;
  const pair = /^([\w[\]]+)(?:\((\d+)\))? \/ ((?:sized )?[\w[\]]+)(?: (\d+))?$/.exec(name);
  if (pair !== null) {
    const [, allocator, size, release, given] = pair;
    return ({ heap }) => {
      const pointer = allocators[allocator!]!(heap, Number(size ?? SMALL));
      releases[release!]!(heap, pointer, given === undefined ? undefined : Number(given));
      return "fine\n";
    };
  }
  const inside = /^(free|realloc) pointer\+(\d+)$/.exec(name);
  if (inside !== null)
    return ({ heap }) => silently(() => releases[inside[1]!]!(heap, heap.malloc(SMALL) + Number(inside[2])));
  const call = parseCall(name);
  if (call === undefined) throw new RangeError(`no such case: ${name}`);
  return (subject) => {
    const { pointer, status } = perform(subject, call);
    if (status !== undefined) return status === 0 ? "fine\n" : "error\n";
    return pointer === 0 ? "null\n" : "fine\n";
  };
}

interface Ending {
  readonly exit: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

function endingOf(name: string, options: unknown): Ending {
  const misuse = misuseOf(name);
  let subject: Subject | undefined;
  try {
    subject = createSubject(options);
    const printed = misuse(subject);
    return { exit: 0, signal: null, stderr: subject.written() + printed };
  } catch (error) {
    const written = subject?.written() ?? "";
    if (error instanceof SegmentationFault) return { exit: null, signal: "SIGSEGV", stderr: written };
    if (!(error instanceof HeapError)) throw error;
    if (error.kind === "deadlock") return { exit: null, signal: "SIGALRM", stderr: written };
    return { exit: null, signal: "SIGABRT", stderr: written + error.report };
  }
}

export function replayMisuse([recorded]: readonly Observation[]): Difference | undefined {
  const ending = endingOf(String(recorded!.case), recorded!.options);
  const got = { ...ending, stderr: maskAddresses(ending.stderr) };
  // Some recorded programs say "fine" when they survive and some say nothing: surviving is what counts.
  const expected = { ...recorded!, stderr: withoutFine(String(recorded!.stderr), recorded!.exit) };
  const difference = compareFields(expected, { ...got, stderr: withoutFine(got.stderr, got.exit) });
  if (difference === undefined || recorded!.note === undefined) return difference;
  return compareFields(roomless(recorded!), got) === undefined ? undefined : difference;
}

/**
 * A line with a note depends on the recording machine: a mapping that could be reserved but not committed (S11.3). With 38 bits
 * of address the reservation fails already, and the answer is the one for that: null, or R-oom without may_return_null.
 */
function roomless(recorded: Observation): Observation {
  if (/may_return_null=0/.test(String(recorded.options))) return { exit: null, signal: "SIGABRT" };
  return { exit: 0, signal: null, stderr: "null\n" };
}

function withoutFine(text: string, exit: unknown): string {
  return exit === 0 ? text.replace(/fine\n$/, "") : text;
}
