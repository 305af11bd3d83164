// What calls answer: errno of impossible arguments, mallopt's results, checksums of recorded headers.
import { crcChecksum } from "../../../allocator/combined/checksum.ts";
import { parseCall, perform } from "./calls.ts";
import { type Answers, compareAll, type Difference } from "./difference.ts";
import type { Observation } from "./record.ts";
import { createSubject } from "./subject.ts";

export function replayErrno([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const { heap } = subject;
  const text = String(recorded!.call);
  const context = ["options", "call"];
  if (text === "pvalloc usable") return compareAll(recorded!, pageUsable(), context);
  const call = parseCall(text);
  if (call === undefined) throw new RangeError(`no such call: ${text}`);
  heap.errno = 0;
  const outcome = perform(subject, call);
  const got: Answers =
    outcome.status === undefined
      ? { null: outcome.pointer === 0, errno: heap.errno }
      : { result: outcome.status, untouched: outcome.pointer === 0, errno: heap.errno };
  return compareAll(recorded!, got, context);

  function pageUsable(): Answers {
    return {
      pvalloc0: heap.malloc_usable_size(heap.pvalloc(0)),
      pvalloc1: heap.malloc_usable_size(heap.pvalloc(1)),
      pvalloc4097: heap.malloc_usable_size(heap.pvalloc(4097)),
      valloc1: heap.malloc_usable_size(heap.valloc(1)),
      usable_null: heap.malloc_usable_size(0),
      errno: heap.errno,
    };
  }
}

export function replayMallopt([recorded]: readonly Observation[]): Difference | undefined {
  const { heap } = createSubject(recorded!.options);
  heap.errno = 0;
  const result = heap.mallopt(Number(recorded!.param), Number(recorded!.value));
  return compareAll(recorded!, { result, errno: heap.errno }, ["options", "param", "value"]);
}

interface RecordedChunk {
  readonly pointer: string;
  readonly header: string;
}

/** Every recorded header has the checksum that ours gives with the line's cookie. */
export function replayChecksum([recorded]: readonly Observation[]): Difference | undefined {
  const cookie = Number(recorded!.equivalent_cookie);
  for (const { pointer, header } of recorded!.chunks as RecordedChunk[]) {
    const word = BigInt(header);
    const low = Number(word & 0xffff_ffffn) | 0;
    const offset = Number((word >> 32n) & 0xffffn);
    const address = BigInt(pointer);
    const got = crcChecksum(cookie, Number(address & 0xffff_ffffn) | 0, Number(address >> 32n), low, offset);
    const expected = Number(word >> 48n);
    if (got !== expected) return { field: `checksum of ${header} at ${pointer}`, expected, got };
  }
  return undefined;
}
