// Where chunks lie and how large they are: sizes, alignments, origins, reallocations, windows of addresses.
import { originAndUsable, parseCall, perform } from "./calls.ts";
import { type Answers, compareAll, compareFields, compareRange, type Difference } from "./difference.ts";
import type { Observation } from "./record.ts";
import { chunkFields, createSubject, largeFields, type Subject } from "./subject.ts";

const PAGE = 4096;

/** The header fields of one chunk, under the recordings' names. */
function sizeAnswers({ heap, memory }: Subject, pointer: number): Answers {
  const fields = chunkFields(memory, pointer);
  const answers = { class: fields.classId, usable: heap.malloc_usable_size(pointer) };
  if (fields.classId !== 0) return { ...answers, size_field: fields.sizeOrUnused };
  const large = largeFields(memory, pointer);
  return {
    ...answers,
    unused_field: fields.sizeOrUnused,
    ptr_mod_4096: pointer % PAGE,
    large_header_commit_size: large.commitSize,
    map_capacity: large.mapCapacity,
    commit_minus_map: large.commitBase - large.mapBase,
    ptr_minus_commit: pointer - large.commitBase,
  };
}

/** malloc of one size, or of every size of a run. */
export function replaySizes([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const { heap, memory } = subject;
  if (recorded!.from === undefined) {
    const pointer = heap.malloc(Number(recorded!.size));
    return compareAll(recorded!, sizeAnswers(subject, pointer), ["size", "options"]);
  }
  for (let size = Number(recorded!.from); size <= Number(recorded!.to); size++) {
    const pointer = heap.malloc(size);
    const usable = heap.malloc_usable_size(pointer);
    const got = { class: chunkFields(memory, pointer).classId, usable_minus_size: usable - size };
    const difference = compareAll(recorded!, got, ["from", "to", "options"]);
    if (difference !== undefined) return { ...difference, field: `${difference.field} of size ${size}` };
    heap.free(pointer);
  }
  return undefined;
}

/** Alignments above a page put the chunk where the kernel's choice of address says: committed and unused bytes follow it. */
const PLACED_BY_KERNEL = ["commit_size", "unused_field"];
/** 2^20: above it the real unused-bytes field is cut, and the real usable size is wrong (S11.7); ours is the size. */
const CUT_ALIGNMENT = 2 ** 20;

export function replayAlign([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const { heap, memory } = subject;
  const align = Number(recorded!.align);
  const size = Number(recorded!.size);
  const pointer = heap.memalign(align, size);
  const fields = chunkFields(memory, pointer);
  const usable = heap.malloc_usable_size(pointer);
  let answers: Answers = {
    aligned: pointer % Math.max(align, 16) === 0,
    class: fields.classId,
    origin: fields.origin,
    usable,
    offset_is: fields.offset === 0 ? "zero" : "nonzero",
  };
  if (fields.offset !== 0) {
    const marker = memory.getUint32(fields.blockBegin);
    const distance = memory.getUint32(fields.blockBegin + 4);
    const matches = distance === pointer - fields.blockBegin - 16;
    answers = { ...answers, marker: marker.toString(16), marker_distance_matches: matches };
  }
  if (fields.classId === 0) {
    const large = largeFields(memory, pointer);
    answers = {
      ...answers,
      unused_field: fields.sizeOrUnused,
      commit_size: large.commitSize,
      map_capacity: large.mapCapacity,
    };
  }
  if (align <= PAGE) return compareAll(recorded!, answers, ["align", "size", "options"]);
  const expected: Answers = align > CUT_ALIGNMENT ? { ...recorded!, usable: size } : recorded!;
  const kept = Object.entries(answers).filter(([field]) => !PLACED_BY_KERNEL.includes(field));
  return compareAll(expected, Object.fromEntries(kept), ["align", "size", "options", ...PLACED_BY_KERNEL]);
}

/** Recorded calls of a few words; 10 bytes unless the words say more. */
const ORIGIN_CALLS: Readonly<Record<string, (subject: Subject) => number>> = {
  "realloc(0)": ({ heap }) => heap.realloc(0, 10),
  aligned_alloc: ({ heap }) => heap.aligned_alloc(64, 64),
  calloc: ({ heap }) => heap.calloc(1, 10),
  memalign: ({ heap }) => heap.memalign(64, 10),
  posix_memalign: (subject) => perform(subject, { name: "posix_memalign", arguments: [64, 10] }).pointer,
  "new(align)": ({ heap }) => heap.operatorNew(10, { alignment: 64 }),
  "new[](align)": ({ heap }) => heap.operatorNew(10, { array: true, alignment: 64 }),
  "realloc moved": ({ heap }) => heap.realloc(heap.malloc(10), 5000),
  "realloc in place of aligned_alloc": ({ heap }) => heap.realloc(heap.aligned_alloc(64, 128), 70),
};

export function replayOrigins([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const text = String(recorded!.call);
  const special = ORIGIN_CALLS[text];
  const call = parseCall(text) ?? { name: text, arguments: [10] };
  const pointer = special === undefined ? perform(subject, call).pointer : special(subject);
  return compareAll(recorded!, originAndUsable(subject, pointer), ["call", "options"]);
}

export function replayRealloc([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const { heap, memory } = subject;
  const from = Number(recorded!.from);
  const to = Number(recorded!.to);
  const before = heap.malloc(from);
  const contents = new Uint8Array(from);
  for (let index = 0; index < from; index++) contents[index] = index * 7 + 1;
  memory.write(before, contents);
  const classBefore = chunkFields(memory, before).classId;
  const after = heap.realloc(before, to);
  const kept = Math.min(from, to);
  const got = {
    class_from: classBefore,
    class_to: chunkFields(memory, after).classId,
    in_place: after === before,
    kept: Buffer.compare(memory.read(after, kept), contents.subarray(0, kept)) === 0,
    usable: heap.malloc_usable_size(after),
  };
  return compareAll(recorded!, got, ["from", "to", "options"]);
}

/** Fewer chunks than this, and what share of steps goes up is luck. */
const ENOUGH_STEPS = 80;

/** The first chunks of a size: how far apart the outermost lie. */
export function replayWindows([recorded]: readonly Observation[]): Difference | undefined {
  const { heap, memory } = createSubject(recorded!.options);
  const size = Number(recorded!.size);
  const count = Number(recorded!.count);
  const pointers = Array.from({ length: count }, () => heap.malloc(size));
  const { classId, blockBegin } = chunkFields(memory, pointers[0]!);
  const region = heap.stats().primary.classes.find((one) => one.classId === classId)!;
  const span = Math.max(...pointers) - Math.min(...pointers);
  let ascending = 0;
  for (let index = 1; index < count; index++) if (pointers[index]! > pointers[index - 1]!) ascending++;
  const share = ascending / (count - 1);
  const got = {
    class: classId,
    region_offset_page_aligned: region.usableBegin % PAGE === 0 && blockBegin >= region.usableBegin,
    ...(count < ENOUGH_STEPS ? {} : { ascending_steps_between_25_and_75_percent: share > 0.25 && share < 0.75 }),
  };
  const difference = compareFields(recorded!, got);
  if (difference !== undefined) return difference;
  // Whole windows are without a gap; of a window begun, any blocks may be out.
  const recordedSpan = Number(recorded!.span_bytes);
  if (region.totalBlocks === count) return compareRange("span_bytes", span, recordedSpan, recordedSpan);
  return compareRange("span_bytes", span, (count - 1) * region.blockSize, (region.totalBlocks - 1) * region.blockSize);
}
