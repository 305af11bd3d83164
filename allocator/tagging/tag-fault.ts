// What a tag fault means: which chunk the pointer was for, how far off it is, freed or live (S24.7), and the report of it.
// Only reads, and survives all that the program may have written over the heap's own words.

import type { Address, ByteCount, Tag } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import * as mte from "../../platform/hardware/mte.ts";
import {
  CORRUPTED_HEADER,
  classIdOf,
  HEADER_SIZE,
  STATE_ALLOCATED,
  sizeOrUnusedOf,
  stateOf,
} from "../combined/chunk-header.ts";
import { chunkOfBlock } from "../combined/chunk-walk.ts";
import { type ChunkStacks, formatPointer, HeapError } from "../common/heap-error.ts";
import type { ClassId } from "../common/integers.ts";
import type { TaggedAllocator } from "./tagged-allocator.ts";

/** What the tags say that happened. */
export type TagFaultKind = "use-after-free" | "overflow" | "underflow";

/** One explanation of a tag fault. */
export interface TagFaultCause {
  /** What this chunk makes likely. */
  readonly kind: TagFaultKind;
  /** The chunk, without tag, and the bytes asked for. */
  readonly pointer: Address;
  /** Bytes, as they were asked for. */
  readonly size: ByteCount;
  /** Bytes from the chunk's begin to the fault; negative in front of it. */
  readonly offset: number;
  /** The thread that freed it; null for a live chunk. */
  readonly freedBy: number | null;
  /** Of the chunk's allocation and free; null if none are kept. */
  readonly stacks: ChunkStacks | null;
}

/** The access that failed: address without tag, the pointer's tag, what memory has there. */
export interface FaultingAccess {
  /** The address, without its tag. */
  readonly address: Address;
  /** The pointer's tag. */
  readonly tag: Tag;
  /** The memory's tag. */
  readonly memoryTag: Tag;
  /** What the program did. */
  readonly action: string;
  /** The signal's code: synchronous or asynchronous. */
  readonly code: "SEGV_MTESERR" | "SEGV_MTEAERR";
}

/** The report of a tag fault; `causes` are the likeliest first, and none if nothing near has the pointer's tag. */
export class TagFaultError extends HeapError {
  /** The signal's code: synchronous or asynchronous. */
  readonly code: FaultingAccess["code"];
  /** The access that faulted. */
  readonly access: FaultingAccess;
  /** Chunks that explain it, the likeliest first. */
  readonly causes: readonly TagFaultCause[];

  constructor(access: FaultingAccess, causes: readonly TagFaultCause[], place: string) {
    const [likeliest = null] = causes;
    super(
      "tag-fault",
      likeliest?.pointer ?? access.address,
      describe(access, causes, place),
      likeliest?.stacks ?? null,
    );
    this.code = access.code;
    this.access = access;
    this.causes = causes;
  }
}

const MOST_CAUSES = 3;
/** Blocks looked at on either side, first and in the end. */
const NEAR = 1;
const FAR = 15;
/** A region is asked only if its carved part is this near (S8.15). */
const NEAREST_REGION_BYTES = 8192;

/** S24.7: neighbours that have the pointer's tag, then the latest frees, then blocks further off. */
export function findCauses(
  allocator: TaggedAllocator,
  address: Address,
  tag: Tag,
  stacksOf: (pointer: Address) => ChunkStacks | null,
): TagFaultCause[] {
  const causes: TagFaultCause[] = [];
  const add = (cause: TagFaultCause | null): void => {
    if (cause === null || causes.length === MOST_CAUSES) return;
    if (!causes.some((known) => known.pointer === cause.pointer && known.kind === cause.kind)) causes.push(cause);
  };
  const search = new Search(allocator, address, tag, stacksOf);
  if (tag !== 0) for (let distance = 0; distance <= NEAR; distance++) search.atDistance(distance, add);
  if (tag !== 0) search.largeChunks(add);
  add(search.freedChunk());
  if (tag !== 0) for (let distance = NEAR + 1; distance <= FAR; distance++) search.atDistance(distance, add);
  return causes;
}

class Search {
  private readonly allocator: TaggedAllocator;
  private readonly address: Address;
  private readonly tag: Tag;
  private readonly stacksOf: (pointer: Address) => ChunkStacks | null;
  private readonly classId: ClassId;

  constructor(
    allocator: TaggedAllocator,
    address: Address,
    tag: Tag,
    stacksOf: (pointer: Address) => ChunkStacks | null,
  ) {
    this.allocator = allocator;
    this.address = address;
    this.tag = tag;
    this.stacksOf = stacksOf;
    this.classId = nearestClass(allocator, address);
  }

  /** The blocks `distance` places before and after the one nearest to the address. */
  atDistance(distance: number, add: (cause: TagFaultCause | null) => void): void {
    if (this.classId === 0) return;
    const { regions, blockSizes } = this.allocator.primary;
    const size = blockSizes[this.classId];
    const begin = regions.begin[this.classId];
    const last = regions.carved[this.classId] / size - 1;
    const nearest = Math.min(last, Math.max(0, Math.floor((this.address - begin) / size)));
    add(this.liveChunk(nearest - distance, last, begin, size));
    if (distance > 0) add(this.liveChunk(nearest + distance, last, begin, size));
  }

  private liveChunk(index: number, last: number, begin: number, blockSize: ByteCount): TagFaultCause | null {
    if (index < 0 || index > last) return null;
    const { allocator } = this;
    const block = begin + index * blockSize;
    const pointer = chunkOfBlock(allocator, block);
    if (pointer % 16 !== 0 || pointer < block + HEADER_SIZE || pointer > block + blockSize) return null;
    const low = allocator.headers.load(allocator.memory, pointer);
    if (low === CORRUPTED_HEADER || stateOf(low) !== STATE_ALLOCATED || classIdOf(low) !== this.classId) return null;
    const size = sizeOrUnusedOf(low);
    // A chunk of no bytes has its tag written where its first byte would be (S22.5).
    const tag = size === 0 ? allocator.memory.getUint8(pointer) : mte.loadTag(allocator.memory, pointer);
    return tag === this.tag ? this.liveCause(pointer, size) : null;
  }

  private liveCause(pointer: Address, size: ByteCount): TagFaultCause {
    const offset = this.address - pointer;
    const stacks = this.stacksOf(pointer + this.tag * TAG_UNIT);
    return { kind: offset < 0 ? "underflow" : "overflow", pointer, size, offset, freedBy: null, stacks };
  }

  /** The large chunk in whose mapping the address lies, and its neighbours in order of address. */
  largeChunks(add: (cause: TagFaultCause | null) => void): void {
    const secondary = this.allocator.secondary;
    let below = 0;
    let above = 0;
    for (let block = secondary.first; block !== 0; block = secondary.nextBlock(block)) {
      if (block <= this.address && block > below) below = block;
      if (block > this.address && (above === 0 || block < above)) above = block;
    }
    for (const block of [below, above]) {
      if (block === 0) continue;
      const pointer = block + HEADER_SIZE;
      const low = this.allocator.headers.load(this.allocator.memory, pointer);
      if (low === CORRUPTED_HEADER || stateOf(low) !== STATE_ALLOCATED || classIdOf(low) !== 0) continue;
      if (mte.loadTag(this.allocator.memory, pointer) !== this.tag) continue;
      add(this.liveCause(pointer, this.allocator.sizeOf(pointer, low)));
    }
  }

  freedChunk(): TagFaultCause | null {
    const { freed } = this.allocator;
    const row = freed.find(this.address + this.tag * TAG_UNIT);
    if (row === -1) return null;
    const tagged = freed.pointerAt(row);
    const pointer = this.allocator.untag(tagged);
    return {
      kind: "use-after-free",
      pointer,
      size: freed.sizeAt(row),
      offset: this.address - pointer,
      freedBy: freed.threadAt(row),
      stacks: this.stacksOf(tagged),
    };
  }
}

/** The class whose carved blocks are nearest to the address, 0 if none is near. */
function nearestClass({ primary }: TaggedAllocator, address: Address): number {
  const { regions } = primary;
  let nearest = 0;
  let least = NEAREST_REGION_BYTES;
  for (let classId = 1; classId < regions.classCount; classId++) {
    const carved = regions.carved[classId];
    if (carved === 0) continue;
    const begin = regions.begin[classId];
    const end = begin + carved;
    const distance = address < begin ? begin - address : address >= end ? address - end + 1 : 0;
    if (distance >= least) continue;
    nearest = classId;
    least = distance;
  }
  return nearest;
}

const names: Readonly<Record<TagFaultKind, string>> = {
  "use-after-free": "Use After Free",
  overflow: "Buffer Overflow",
  underflow: "Buffer Underflow",
};

/** The report's text, after the manner of Android's tombstones. */
function describe(access: FaultingAccess, causes: readonly TagFaultCause[], place: string): string {
  if (access.code === "SEGV_MTEAERR") {
    const text = "tag mismatch at an unknown address (asynchronous report, SEGV_MTEAERR)";
    return `Scudo ERROR: ${text}: use tagging "sync" to learn where`;
  }
  const tags = `pointer tag ${access.tag}, memory tag ${access.memoryTag}`;
  const lines = [`Scudo ERROR: tag mismatch when ${access.action} address ${formatPointer(access.address)} (${tags})`];
  if (causes.length > 1) lines.push(`${causes.length} possible causes, the likeliest first`);
  for (const cause of causes) {
    lines.push(
      `Cause: [MTE]: ${names[cause.kind]}, ${distanceOf(cause)} a ${cause.size}-byte allocation at ${formatPointer(cause.pointer)}`,
    );
    if (cause.freedBy !== null) lines.push(`deallocated by thread ${cause.freedBy}`);
  }
  if (causes.length === 0) lines.push("Cause: [MTE]: unknown, no chunk near has or had the pointer's tag");
  lines.push(place);
  return lines.join("\n");
}

function distanceOf({ offset, size }: TagFaultCause): string {
  if (offset < 0) return `${-offset} bytes left of`;
  return offset < size ? `${offset} bytes into` : `${offset - size} bytes right of`;
}
