// What memory reads: fresh, after a free, when it comes back, in each fill mode; setters; the secondary cache; quarantine.
import { compareAll, compareRange, type Difference } from "./difference.ts";
import type { Observation } from "./record.ts";
import { chunkFields, contentsOf, createSubject, hexByte, largeFields, type Subject } from "./subject.ts";

const SHRUNK_BYTE = 0x44;

/** Rounds of malloc, free, malloc, free, calloc, free; or one chunk that shrinks and grows again. */
export function replayFill(recorded: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded[0]!.options);
  for (const observation of recorded) {
    const size = Number(observation.size);
    const got =
      observation.round === undefined ? shrink(subject, size, Number(observation.shrunk_by)) : turn(subject, size);
    const difference = compareAll(observation, got, ["options", "size", "round", "shrunk_by"]);
    if (difference !== undefined) return { ...difference, field: `${difference.field} (${describe(observation)})` };
  }
  return undefined;
}

function describe(observation: Observation): string {
  return observation.round === undefined ? `shrunk by ${observation.shrunk_by}` : `round ${observation.round}`;
}

function turn({ heap, memory }: Subject, size: number): Record<string, unknown> {
  const first = heap.malloc(size);
  const isPrimary = chunkFields(memory, first).classId !== 0;
  const fresh = contentsOf(memory, first, size);
  memory.fill(first, 0x11, size);
  heap.free(first);
  // A large chunk's memory may be gone: only the stale pointer of a small one is looked at.
  const afterFree = isPrimary ? { after_free: contentsOf(memory, first, size) } : {};
  const second = heap.malloc(size);
  const reuse = contentsOf(memory, second, size);
  memory.fill(second, 0x22, size);
  heap.free(second);
  const third = heap.calloc(1, size);
  const calloc = contentsOf(memory, third, size);
  memory.fill(third, 0x33, size);
  heap.free(third);
  return { fresh, ...afterFree, same_pointer: first === second, reuse, calloc };
}

function shrink({ heap, memory }: Subject, size: number, by: number): Record<string, unknown> {
  const pointer = heap.malloc(size);
  memory.fill(pointer, SHRUNK_BYTE, size);
  const shrunk = heap.realloc(pointer, size - by);
  const past = contentsOf(memory, pointer + size - by, by);
  const regrown = heap.realloc(shrunk, size);
  return {
    in_place: shrunk === pointer,
    bytes_past_new_end: past,
    regrown_in_place: regrown === shrunk,
    tail: contentsOf(memory, regrown + size - by, by),
  };
}

const M_THREAD_DISABLE_MEM_INIT = -103;
const SETTER_CHUNK_BYTES = 100;

/** Run-time setters in order, in one process: the contents of a chunk that was full of 0x77 before, or a large chunk's shape. */
export function replaySetters(recorded: readonly Observation[]): Difference | undefined {
  const subject = createSubject("");
  const { heap, memory } = subject;
  for (const observation of recorded) {
    applySetter(subject, String(observation.setter));
    const got = observation.size === undefined ? smallContents(subject, String(observation.setter)) : largeShape();
    const difference = compareAll(observation, got, ["setter", "size"]);
    if (difference !== undefined) return { ...difference, field: `${difference.field} after "${observation.setter}"` };

    function largeShape(): Record<string, unknown> {
      const pointer = heap.malloc(Number(observation.size));
      return {
        unused_field: chunkFields(memory, pointer).sizeOrUnused,
        ptr_mod_16: pointer % 16,
        usable: heap.malloc_usable_size(pointer),
        commit_size: largeFields(memory, pointer).commitSize,
      };
    }
  }
  return undefined;
}

function applySetter({ heap }: Subject, setter: string): void {
  for (const part of setter.split(",").map((text) => text.trim())) {
    const [, name, value] = /^(pattern|zero|slack) ([01])$/.exec(part) ?? [];
    const isOn = value === "1" ? 1 : 0;
    if (name === "pattern") heap.malloc_set_pattern_fill_contents(isOn);
    else if (name === "zero") heap.malloc_set_zero_contents(isOn);
    else if (name === "slack") heap.malloc_set_add_large_allocation_slack(isOn);
    else if (part.startsWith("thread mem init")) {
      heap.mallopt(M_THREAD_DISABLE_MEM_INIT, part.includes("disabled") ? 1 : 0);
    }
  }
  // "pattern 1, thread mem init disabled" is what the whole is called while the pattern stays on; so it is for what follows.
}

function smallContents({ heap, memory }: Subject, setter: string): Record<string, unknown> {
  const dirty = heap.malloc(SETTER_CHUNK_BYTES);
  memory.fill(dirty, 0x77, SETTER_CHUNK_BYTES);
  heap.free(dirty);
  const pointer = setter.endsWith("calloc") ? heap.calloc(1, SETTER_CHUNK_BYTES) : heap.malloc(SETTER_CHUNK_BYTES);
  const contents = contentsOf(memory, pointer, SETTER_CHUNK_BYTES);
  heap.free(pointer);
  return { contents, contents_is_pattern: contents === "ab" };
}

/** One large chunk freed, another wanted: is it the cached one, and what does it read? */
export function replaySecondaryCache([recorded]: readonly Observation[]): Difference | undefined {
  const { heap, memory } = createSubject(recorded!.options);
  const freed = heap.malloc(Number(recorded!.freed));
  memory.fill(freed, 0x11, Number(recorded!.freed));
  heap.free(freed);
  const wanted = Number(recorded!.wanted);
  const pointer = heap.malloc(wanted);
  const large = largeFields(memory, pointer);
  const { cache } = heap.stats().secondary;
  const got = {
    commit_size: large.commitSize,
    unused_field: chunkFields(memory, pointer).sizeOrUnused,
    first_byte: hexByte(memory.getUint8(pointer)),
    last_byte: hexByte(memory.getUint8(pointer + wanted - 1)),
    ptr_minus_commit: pointer - large.commitBase,
    cache_hits: cache?.hits ?? 0,
    cache_lookups: cache?.lookups ?? 0,
  };
  return compareAll(recorded!, got, ["options", "freed", "wanted"]);
}

/** The recorded number of mallocs is random: ours may be this many times less or more. */
const ORDER_OF_MAGNITUDE = 10;

/** How many mallocs until a freed chunk comes back. */
export function replayQuarantine([recorded]: readonly Observation[]): Difference | undefined {
  const { heap, memory } = createSubject(recorded!.options);
  const size = Number(recorded!.size);
  const pointer = heap.malloc(size);
  memory.fill(pointer, 0x5a, size);
  heap.free(pointer);
  const state = chunkFields(memory, pointer).state;
  const contents = contentsOf(memory, pointer, size, "5a");
  const recordedCount = Number(recorded!.mallocs_until_returned);
  const limit = recorded!.returned === false ? recordedCount : recordedCount * ORDER_OF_MAGNITUDE;
  let count = 0;
  let isReturned = false;
  while (!isReturned && count < limit) {
    const next = heap.malloc(size);
    count++;
    isReturned = next === pointer;
    heap.free(next);
  }
  const got = { state_after_free: state, contents_after_free: contents, returned: isReturned };
  const difference = compareAll(recorded!, got, ["options", "size", "mallocs_until_returned"]);
  if (difference !== undefined || recorded!.returned === false) return difference;
  const least = recordedCount === 1 ? 1 : recordedCount / ORDER_OF_MAGNITUDE;
  return compareRange("mallocs_until_returned", count, least, recordedCount === 1 ? 1 : limit);
}
