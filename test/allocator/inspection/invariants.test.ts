// What checkInvariants says of a heap whose tables were torn by hand: each rule is named, with the numbers.
// That whole heaps keep the rules is in the tests of the calls that change them.
import { beforeEach, describe, expect, test } from "vitest";
import { STAT_ALLOCATED, STAT_CARVED, STAT_MAPPED } from "../../../allocator/primary/local-cache.ts";
import { type OpenHeap, openHeap } from "../open-heap.ts";

let heap: OpenHeap;
/** The chunk of the class below, and the class: its blocks are with the user, in the thread's cache and in the free list. */
let pointer: number;
let classId: number;
beforeEach(() => {
  heap = openHeap();
  pointer = heap.malloc(100);
  classId = 1;
  while (cache().counts[classId] === 0) classId++;
});

const cache = () => heap.parts.registry.all()[0].cache;
const regions = () => heap.parts.primary.regions;
const lists = () => heap.parts.primary.freeLists;
const group = () => lists().firstGroup[classId];
const batch = () => lists().firstBatch[group()];
const firstEntry = () => batch() * lists().capacity;
const compact = () => (pointer - 16 - regions().begin[classId]) / 16;
const cached = (index: number) => classId * heap.parts.primary.shape.stride + index;
const blockSize = () => heap.parts.primary.blockSizes[classId];
const broken = (rule: string) => expect(() => heap.checkInvariants()).toThrow(`heap invariant broken: ${rule}`);

test("a heap that was not torn has its chunks counted", () => {
  const large = heap.malloc(2 ** 20);
  expect(heap.checkInvariants()).toEqual({
    allocatedChunks: 2,
    quarantinedChunks: 0,
    quarantineBatches: 0,
    unreadableChunks: 0,
  });
  heap.memory.setUint32(pointer - 16, 0);
  heap.memory.setUint32(large - 16, 0);
  expect(heap.checkInvariants()).toMatchObject({ allocatedChunks: 0, unreadableChunks: 2 });
});

describe("of a region it names", () => {
  test("more carved bytes than mapped ones", () => {
    const mapped = regions().mapped[classId];
    regions().carved[classId] = mapped + blockSize();
    broken(`class ${classId} has carved ${mapped + blockSize()} of ${mapped} mapped bytes`);
  });

  test("carved bytes that are no whole blocks", () => {
    const carved = regions().carved[classId]--;
    broken(`class ${classId} has carved ${carved - 1} bytes, no whole blocks`);
  });

  test("mapped bytes that pass its end, though not those that reach it", () => {
    const { base, begin, regionSize } = regions();
    const room = regionSize - (begin[classId] - base[classId]);
    regions().mapped[classId] = room + 1;
    broken(`class ${classId} is mapped to ${regionSize + 1} of ${regionSize} bytes`);
    regions().mapped[classId] = room;
    expect(() => heap.checkInvariants()).toThrow("bytes are mapped, the counter says");
  });

  test("the same of the class of batches", () => {
    const carved = regions().carved[0]++;
    broken(`class 0 has carved ${carved + 1} bytes, no whole blocks`);
  });
});

describe("of free blocks it names", () => {
  test("one that is in the free list and in a cache", () => {
    const block = lists().entries[firstEntry()];
    cache().blocks[cached(0)] = block;
    broken(`block ${block} of class ${classId} is free twice, now in a cache`);
  });

  test("one that the free list has twice", () => {
    const block = lists().entries[firstEntry()];
    lists().entries[firstEntry() + 1] = block;
    broken(`block ${block} of class ${classId} is free twice, now in the free list`);
  });

  test("one that was never carved: the next one, and one in front of all", () => {
    const next = regions().carved[classId] / 16;
    cache().blocks[cached(0)] = next;
    broken(`block ${next} of class ${classId} in a cache was never carved`);
    cache().blocks[cached(0)] = -1;
    broken(`block -1 of class ${classId} in a cache was never carved`);
  });

  test("a node that is used twice", () => {
    lists().firstBatch[group()] = group();
    broken(`node ${group()} is used twice, now by class ${classId}`);
  });

  test("a group that comes after one behind it", () => {
    const first = group();
    const second = lists().next.length - 1;
    lists().next[first] = second;
    broken(`group 0 of class ${classId} comes after 0`);
  });

  test("a group without a batch", () => {
    const id = lists().groupId[group()];
    lists().firstBatch[group()] = -1;
    broken(`group ${id} of class ${classId} is empty`);
  });

  test("a batch that is not the first and has room", () => {
    while (lists().next[batch()] < 0) heap.malloc(100);
    expect(() => heap.checkInvariants()).not.toThrow();
    const second = lists().next[batch()];
    lists().count[second]--;
    broken(`batch ${second} of class ${classId} is not the first and holds ${lists().capacity - 1}`);
  });

  test("a block in a group of other addresses", () => {
    const block = lists().entries[firstEntry()];
    lists().groupId[group()]++;
    broken(
      `block ${block} of class ${classId} is in group ${lists().groupId[group()]}, not ${lists().groupId[group()] - 1}`,
    );
  });

  test("a group that counts its batches wrongly", () => {
    const batches = lists().batchCount[group()]++;
    broken(`group 0 of class ${classId} has ${batches} batches, not ${batches + 1}`);
  });

  test("a list that is shorter than the counters say", () => {
    const listed = lists().blocksInGroup(group(), lists().capacity);
    lists().count[batch()]--;
    broken(`class ${classId} has ${listed - 1} blocks in its free list, counters say ${listed}`);
  });

  test("blocks that left the list, uncounted", () => {
    const listed = lists().blocksInGroup(group(), lists().capacity);
    regions().popped[classId]--;
    broken(`class ${classId} has ${listed} blocks in its free list, counters say ${listed + 1}`);
  });

  test("a cache that holds more than it may, or fewer than none", () => {
    const most = heap.parts.primary.shape.maxCounts[classId];
    cache().counts[classId] = most + 1;
    broken(`a cache holds ${most + 1} blocks of class ${classId}, at most ${most}`);
    cache().counts[classId] = -1;
    broken(`a cache holds -1 blocks of class ${classId}, at most ${most}`);
  });

  test("a chunk that is available while its block is in no list", () => {
    const held = cache().blocks[cached(0)];
    heap.free(pointer);
    const { counts, blocks } = cache();
    expect(blocks[cached(counts[classId] - 1)]).toBe(compact());
    counts[classId]--;
    broken(`chunk ${pointer} of class ${classId} is available, but its block is in no free list`);
    expect(held).not.toBe(compact());
  });
});

describe("of a class that nothing was taken from it names", () => {
  const untouched = 1;

  test("a block in a cache", () => {
    cache().counts[untouched] = 1;
    broken(`block 0 of class ${untouched} in a cache was never carved`);
  });

  test("a block that left the list", () => {
    regions().popped[untouched]++;
    broken(`class ${untouched} has 0 blocks in its free list, counters say -1`);
  });

  test("a group in its free list", () => {
    lists().firstGroup[untouched] = group();
    expect(() => heap.checkInvariants()).toThrow(/free list|used twice|never carved/);
  });

  test("carved bytes that are in no list", () => {
    const size = heap.parts.primary.blockSizes[untouched];
    regions().carved[untouched] = size;
    regions().mapped[untouched] = size;
    broken(`class ${untouched} has 0 blocks in its free list, counters say 1`);
  });
});

describe("of the class of batches it names", () => {
  test("blocks that neither a list nor a cache has", () => {
    const inUse = regions().popped[0] - regions().pushed[0];
    regions().pushed[0]--;
    const held = cache().counts[0];
    broken(`class 0 has ${inUse + 1} blocks in use: ${inUse - held} nodes and ${held} cached`);
  });

  test("a node that is cached and in use", () => {
    cache().blocks[0] = group() * lists().nodeUnits;
    cache().counts[0] = 1;
    broken(`node ${group()} is cached and in use`);
  });
});

describe("of large chunks it names", () => {
  let secondary: OpenHeap["parts"]["secondary"];
  beforeEach(() => {
    ({ secondary } = heap.parts);
    heap.malloc(2 ** 20);
    heap.malloc(2 ** 20);
  });

  test("more linked blocks than there are", () => {
    secondary.blocksInUse = 1;
    broken("more than 1 large blocks are linked");
  });

  test("fewer linked blocks than there are", () => {
    secondary.blocksInUse = 3;
    broken("2 large blocks are linked, not 3");
  });

  test("a last one that is not the last", () => {
    const { first, last } = secondary;
    secondary.last = first;
    broken(`the last large block is ${last}, not ${first}`);
  });

  test("allocations that no large chunk is left of", () => {
    secondary.allocations++;
    broken("2 large blocks, but 3 allocations, 0 frees");
    secondary.frees = 2;
    broken("2 large blocks, but 3 allocations, 2 frees");
  });

  test("one that lies outside its pages", () => {
    const { first } = secondary;
    Object.assign(secondary, { commitBase: () => first });
    broken(`large block ${first} is not in its pages ${first} to`);
    Object.assign(secondary, { commitBase: () => 0, blockEnd: () => first });
    broken(`large block ${first} is not in its pages 0 to ${first}`);
  });

  test("a cache that counts its entries wrongly", () => {
    const { cache: kept } = secondary;
    if (kept === null) throw new Error("there is a cache");
    kept.entriesCount++;
    broken("the cache has 0 entries, not 1");
    kept.entriesCount = 0;
    kept.commitBase[3] = 4096;
    broken("the cache has 1 entries, not 0");
  });
});

describe("of the quarantine it names", () => {
  beforeEach(() => {
    heap = openHeap({ quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 } });
    heap.free(heap.malloc(100));
    heap.free(heap.malloc(100));
  });
  const own = () => heap.parts.registry.all()[0].quarantine;

  test("nothing where it lists what waits", () => {
    expect(heap.checkInvariants()).toMatchObject({ quarantinedChunks: 2, quarantineBatches: 1, unreadableChunks: 0 });
  });

  test("batches that are counted and not linked", () => {
    own().batches++;
    broken("the thread's quarantine has 1 batches, not 2");
  });

  test("a last batch that is not linked", () => {
    const { last } = own();
    own().last = 4096;
    broken(`the thread's quarantine's last batch is ${last}, not 4096`);
  });

  test("the same of the list of all threads", () => {
    heap.parts.quarantine.global.batches++;
    broken("the global quarantine has 0 batches, not 1");
  });

  test("chunks that wait and are not listed", () => {
    Object.assign(own(), { first: 0, last: 0, batches: 0 });
    broken("2 chunks are quarantined, the quarantine lists 0");
  });

  test("chunks that are listed and do not wait", () => {
    Object.assign(heap.parts, { quarantine: { global: heap.parts.quarantine.global, interruptedChunks: 1 } });
    broken("2 chunks are quarantined, the quarantine lists 3");
  });

  test("nothing of a listed chunk whose header the program destroyed", () => {
    const p = heap.malloc(100);
    heap.free(p);
    heap.memory.setUint32(p - 16, 0);
    expect(heap.checkInvariants()).toMatchObject({ quarantinedChunks: 2, unreadableChunks: 1 });
  });
});

describe("of the statistics it names", () => {
  test.each([
    ["allocated", STAT_ALLOCATED, "bytes are allocated, the counter says"],
    ["carved", STAT_CARVED, "bytes are free, the counter says"],
    ["mapped", STAT_MAPPED, "bytes are mapped, the counter says"],
  ])("%s bytes that the tables do not have", (_, index, rule) => {
    cache().stats[index] += 16;
    expect(() => heap.checkInvariants()).toThrow(rule);
  });

  test("mapped and allocated bytes of large chunks", () => {
    heap.malloc(2 ** 20);
    const { stats } = heap.parts.secondary;
    heap.checkInvariants();
    const counted = heap.stats();
    stats[STAT_ALLOCATED] += 5;
    heap.checkInvariants();
    expect(heap.stats()).not.toEqual(counted);
  });
});
