// One misuse a process: how it ended and what it wrote. An abort is a HeapError here, SIGSEGV a SegmentationFault,
// and the alarm of a process that waits for ever a HeapError of kind deadlock.
import { HeapError } from "../../../allocator/common/heap-error.ts";
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

/** Where the fields of the header word are, in bytes from the chunk; the word is 16 bytes in front of it (S1.1). */
const headerFields: readonly (readonly [RegExp, number])[] = [
  [/checksum\b(?!-)/, -10],
  [/offset/, -12],
  [/size/, -14],
  [/state|origin/, -15],
  [/class id|header bit/, -16],
];

const misuses: Readonly<Record<string, Misuse>> = {
  "free a stack address": ({ heap, process }) =>
    silently(() => heap.free(process.mmap(0, 2 * PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS) + PAGE)),
  "large: overwrite the large-block header link, free": ({ heap, memory }) => {
    const pointer = heap.malloc(LARGE);
    memory.setBigUint64(pointer - 64, 0x4141_4141_4141_4141n);
    memory.setBigUint64(pointer - 56, 0x4141_4141_4141_4141n);
    return silently(() => heap.free(pointer));
  },
  "large: store far before the block": ({ heap, memory }) =>
    silently(() => memory.setUint8(heap.malloc(LARGE) - 3 * PAGE, 1)),
  "large: store one byte past the end, size fills the block": (subject) => storePastEnd(subject, FILLS_BLOCK),
  "quarantined chunk: flip a header bit, go on allocating": (subject) => {
    flip(subject, freed(subject.heap, SMALL) - 14);
    for (let count = 0; count < 100_000; count++) subject.heap.free(subject.heap.malloc(SMALL));
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

function freed(heap: Subject["heap"], size: number): number {
  const pointer = heap.malloc(size);
  heap.free(pointer);
  return pointer;
}

const allocators: Readonly<Record<string, (heap: Subject["heap"], size: number) => number>> = {
  malloc: (heap, size) => heap.malloc(size),
  calloc: (heap, size) => heap.calloc(1, size),
  realloc: (heap, size) => heap.realloc(0, size),
  valloc: (heap, size) => heap.valloc(size),
  pvalloc: (heap, size) => heap.pvalloc(size),
  memalign: (heap, size) => heap.memalign(64, size),
  aligned_alloc: (heap, size) => heap.aligned_alloc(64, Math.ceil(size / 64) * 64),
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
  "usable size": (heap, pointer) => heap.malloc_usable_size(pointer),
};

/**
 * The misuse that a case's name says: one of those above, "new(10) / sized delete 11", "free twice", "realloc after free",
 * "free pointer+8", "flip a header bit, free", each also of a large chunk; or a call with impossible arguments.
 */
function misuseOf(name: string): Misuse {
  const known = misuses[name];
  if (known !== undefined) return known;
  const pair = /^([\w[\]]+)(?:\((\d+)\))? \/ ((?:sized )?[\w[\]]+)(?: (\d+))?$/.exec(name);
  if (pair !== null) return pairMisuse(pair[1]!, pair[2], pair[3]!, pair[4]);
  const [, kind, rest] = /^(large: |quarantined chunk: |)(.*)$/.exec(name)!;
  const size = kind === "large: " ? LARGE : SMALL;
  const action = "(free|realloc|usable size|delete|delete\\[\\])";
  if (rest === "free twice") return ({ heap }) => silently(() => heap.free(freed(heap, size)));
  const late = new RegExp(`^${action} after free$`).exec(rest!);
  if (late !== null) return ({ heap }) => silently(() => releases[late[1]!]!(heap, freed(heap, size)));
  const beside = new RegExp(`^${action} pointer([+-]\\d+)$`).exec(rest!);
  if (beside !== null) {
    return ({ heap }) => silently(() => releases[beside[1]!]!(heap, heap.malloc(size) + Number(beside[2])));
  }
  const nothing = new RegExp(`^${action} (?:NULL|a null pointer)$`).exec(rest!);
  if (nothing !== null) return ({ heap }) => silently(() => releases[nothing[1]!]!(heap, 0));
  const stored = /^store one byte past the end, size (\d+)$/.exec(rest!);
  if (stored !== null) return (subject) => storePastEnd(subject, Number(stored[1]));
  const locked = /^(\w+) between malloc_disable and malloc_enable, alarm after \d+ s$/.exec(rest!);
  if (locked !== null) return lockedMisuse(locked[1]!, size);
  const flipped = new RegExp(`^flip .*, ${action}$`).exec(rest!);
  const field = headerFields.find(([words]) => words.test(rest!));
  if (flipped !== null && field !== undefined) return flipMisuse(size, field[1], flipped[1]!);
  return callMisuse(name);
}

function pairMisuse(allocator: string, size: string | undefined, release: string, given: string | undefined): Misuse {
  const [allocate, end] = [allocators[allocator], releases[release]];
  if (allocate === undefined || end === undefined) throw new RangeError(`no such pair: ${allocator} / ${release}`);
  const givenSize = given === undefined ? undefined : Number(given);
  return ({ heap }) => silently(() => end(heap, allocate(heap, Number(size ?? SMALL)), givenSize));
}

function storePastEnd({ heap, memory }: Subject, size: number): string {
  return silently(() => memory.setUint8(heap.malloc(size) + size, 1));
}

function lockedMisuse(call: string, size: number): Misuse {
  const [allocate, end] = [allocators[call], releases[call]];
  if (allocate === undefined && end === undefined) throw new RangeError(`no such call: ${call}`);
  return ({ heap }) => {
    const pointer = allocate === undefined ? heap.malloc(size) : 0;
    heap.malloc_disable();
    return silently(() => (allocate === undefined ? end!(heap, pointer) : allocate(heap, size)));
  };
}

function flipMisuse(size: number, at: number, action: string): Misuse {
  return (subject) => {
    const pointer = subject.heap.malloc(size);
    flip(subject, pointer + at);
    return silently(() => releases[action]!(subject.heap, pointer));
  };
}

function callMisuse(name: string): Misuse {
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
