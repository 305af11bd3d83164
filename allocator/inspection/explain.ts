// heap.explain(p): what lies at an address of the heap, in a sentence and as data. Reads, never reports, changes nothing.
// How chunks and blocks are laid out is S1, S8 and S11; stacks come from stacks.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE, TAG_UNIT } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import {
  type ChunkHeaders,
  CORRUPTED_HEADER,
  classIdOf,
  originOf,
  STATE_ALLOCATED,
  STATE_QUARANTINED,
  sizeOrUnusedOf,
  stateOf,
} from "../combined/chunk-header.ts";
import { type ChunkStacks, formatPointer } from "../common/heap-error.ts";
import type { ClassId } from "../common/integers.ts";
import type { Primary } from "../primary/primary.ts";
import type { Secondary } from "../secondary/secondary.ts";

/** Where an address can lie. */
export type Place =
  | "chunk"
  | "before-chunk"
  | "after-chunk"
  | "free-block"
  | "batch"
  | "uncarved"
  | "reserved"
  | "guard-page"
  | "cached-mapping"
  | "outside";

/** A chunk as its header describes it. */
export interface ExplainedChunk {
  /** Address that the program has. */
  readonly pointer: Address;
  /** Requested bytes. Of a freed chunk, those it had. */
  readonly size: ByteCount;
  /** Scudo's state of a chunk. */
  readonly state: "allocated" | "quarantined" | "available";
  /** How it was allocated; null once it is freed, when the header no longer knows. */
  readonly origin: "malloc" | "new" | "new[]" | "memalign" | null;
}

/** What lies at an address. */
export interface Explanation {
  /** The address asked about, without its tag. */
  readonly address: Address;
  /** One sentence, without a full stop. */
  readonly sentence: string;
  /** Which part of the heap it is in. */
  readonly place: Place;
  /** The chunk at or nearest to the address in its block, if the block has one. */
  readonly chunk: ExplainedChunk | null;
  /** Bytes from the chunk's pointer to the address; negative in front of it. */
  readonly offset: number | null;
  /** The block; class 0 is a large one with a mapping of its own. */
  readonly block: {
    /** Address of its first byte. */
    readonly begin: number;
    /** Its bytes. */
    readonly size: ByteCount;
    /** Number of its size class. */
    readonly classId: ClassId;
  } | null;
  /** Where the chunk was allocated and freed, of a heap with `stacks: true`. */
  readonly stacks: ChunkStacks | null;
}

/** What explaining needs of a heap. */
export interface ExplainSources {
  readonly memory: Memory;
  readonly primary: Primary;
  readonly secondary: Secondary;
  readonly headers: ChunkHeaders;
  /** The pointer whose header word belongs to the chunk at `pointer` (S22.2). */
  headerPointer(pointer: Address): number;
  stacksOf(pointer: Address): ChunkStacks | null;
}

const HEADER_SIZE = 16;
const GRANULE = 16;
/** In a block's first word when its chunk does not begin right behind the header (S1.4). */
const OFFSET_MARKER = 0x44554353;
const ORIGINS = ["malloc", "new", "new[]", "memalign"] as const;

/** @throws RangeError: `address` is no whole number of at most 52 bits */
export function explain(sources: ExplainSources, address: Address): Explanation {
  if (!Number.isInteger(address) || address < 0 || address >= TAG_UNIT * GRANULE) {
    throw new RangeError(`explain: ${address} is not an address (a whole number from 0 to ${TAG_UNIT * GRANULE - 1})`);
  }
  const untagged = address % TAG_UNIT;
  return explainPrimary(sources, untagged) ?? explainLarge(sources, untagged) ?? explainCached(sources, untagged);
}

function explainPrimary(sources: ExplainSources, address: Address): Explanation | null {
  const { regions, blockSizes } = sources.primary;
  for (let classId = 0; classId < regions.classCount; classId++) {
    const base = regions.base[classId];
    if (base === 0 || address < base || address >= base + regions.regionSize) continue;
    const distance = address - regions.begin[classId];
    const size = blockSizes[classId];
    const ofClass = `class ${classId} (blocks of ${size} bytes)`;
    if (distance < 0 || distance >= regions.mapped[classId]) {
      return bare(address, "reserved", `is address space reserved for ${ofClass}, not mapped yet`);
    }
    if (distance >= regions.carved[classId]) {
      return bare(address, "uncarved", `is mapped for ${ofClass}, but not part of a block yet`);
    }
    const begin = address - (distance % size);
    const block = { begin, size, classId };
    if (classId === 0) return bare(address, "batch", "is a node of the primary's own free lists", block);
    const pointer = begin + HEADER_SIZE + offsetOf(sources.memory, begin);
    return explainChunk(sources, address, pointer, block);
  }
  return null;
}

/** Bytes from block begin + 16 to the chunk, as the marker says. */
function offsetOf(memory: Memory, begin: number): number {
  return memory.getUint32(begin) === OFFSET_MARKER ? memory.getUint32(begin + 4) : 0;
}

type Block = NonNullable<Explanation["block"]>;

function explainChunk(sources: ExplainSources, address: Address, pointer: Address, block: Block): Explanation {
  const chunk = readChunk(sources, pointer, block);
  if (chunk === null) {
    return bare(address, "free-block", `is in a block of class ${block.classId} that holds no chunk`, block);
  }
  const offset = address - pointer;
  const name = describeChunk(chunk);
  const stacks = sources.stacksOf(pointer);
  const found = { address, chunk, offset, block, stacks };
  const at = formatPointer(address);
  if (offset < 0) {
    const what = offset >= -HEADER_SIZE ? `in the header of ${name}` : `${-offset} bytes in front of ${name}`;
    return { ...found, place: "before-chunk", sentence: `${at} is ${what}` };
  }
  if (offset >= chunk.size) {
    const past = offset - chunk.size;
    const what = past === 0 ? `right behind the end of ${name}` : `${past} bytes past the end of ${name}`;
    return { ...found, place: "after-chunk", sentence: `${at} is ${what}` };
  }
  return { ...found, place: "chunk", sentence: `${at} is byte ${offset} of ${name}` };
}

function readChunk(sources: ExplainSources, pointer: Address, block: Block): ExplainedChunk | null {
  const { memory, headers } = sources;
  if (pointer % GRANULE !== 0 || pointer >= block.begin + block.size) return null;
  const low = headers.load(memory, sources.headerPointer(pointer));
  if (low === CORRUPTED_HEADER || classIdOf(low) !== block.classId) return null;
  const state = stateOf(low);
  const isLive = state === STATE_ALLOCATED;
  const size = block.classId === 0 ? block.begin + block.size - pointer - sizeOrUnusedOf(low) : sizeOrUnusedOf(low);
  return {
    pointer,
    size,
    state: isLive ? "allocated" : state === STATE_QUARANTINED ? "quarantined" : "available",
    origin: isLive ? ORIGINS[originOf(low)] : null,
  };
}

function describeChunk({ pointer, size, state, origin }: ExplainedChunk): string {
  const where = `of ${size} bytes at ${formatPointer(pointer)}`;
  if (state === "allocated") return `a live chunk ${where}, from ${origin}`;
  return `a freed chunk ${where}${state === "quarantined" ? ", in quarantine" : ""}`;
}

function explainLarge(sources: ExplainSources, address: Address): Explanation | null {
  const { secondary } = sources;
  for (let begin = secondary.first; begin !== 0; begin = secondary.nextBlock(begin)) {
    const commitBase = secondary.commitBase(begin);
    const end = secondary.blockEnd(begin);
    if (address < commitBase - PAGE_SIZE || address >= end + PAGE_SIZE) continue;
    const block = { begin, size: end - begin, classId: 0 };
    const explained = explainChunk(sources, address, begin + HEADER_SIZE, block);
    if (address >= commitBase && address < end) return explained;
    const side = address < commitBase ? "in front of" : "behind";
    const name = explained.chunk === null ? "a large block" : describeChunk(explained.chunk);
    const sentence = `${formatPointer(address)} is in the guard page ${side} ${name}`;
    return { ...explained, place: "guard-page", sentence };
  }
  return null;
}

function explainCached({ secondary }: ExplainSources, address: Address): Explanation {
  const { cache } = secondary;
  for (const [slot, begin] of (cache?.commitBase ?? []).entries()) {
    const size = cache!.commitSize[slot];
    if (begin === 0 || address < begin || address >= begin + size) continue;
    return bare(address, "cached-mapping", `is in a free mapping of ${size} bytes that is kept for reuse`);
  }
  return bare(address, "outside", "belongs to no part of this heap");
}

function bare(address: Address, place: Place, what: string, block: Block | null = null): Explanation {
  return {
    address,
    sentence: `${formatPointer(address)} ${what}`,
    place,
    chunk: null,
    offset: null,
    block,
    stacks: null,
  };
}
