// The primary's free lists: for each class a list of groups by address, each with a list of transfer batches (S8.6–S8.9).
// Group and batch nodes stand for blocks of class 0, so that class 0 is used up exactly as in Scudo. No mapping here.

import { keepClass } from "../../platform/state/kept.ts";
import type { ClassId, CompactPointer } from "../common/integers.ts";
import { longer } from "../common/longer.ts";
import type { LocalCache } from "./local-cache.ts";

/** Where group and batch nodes come from: blocks of class 0, through the thread's cache. */
export interface NodeSource {
  /** A free node; its block counts as in use from now on. */
  takeNode(cache: LocalCache): number;
  returnNode(cache: LocalCache, node: number): void;
}

const NONE = -1;
/** Up to so many entries, as Scudo's own caches have, a loop is faster than the engine's copy. */
const SHORT_COPY = 24;

/**
 * Free lists of all classes. Scudo writes a node into its class-0 block; here node `r` is row `r` of these arrays and
 * stands for the `r`-th block of class 0. A row is a group or a batch.
 * Invariants: groups of a class ascend by `groupId`; no group is empty, but class 0's may have no batch left; only the first
 * batch of a group may hold fewer than its capacity; a class-0 batch's first entry is its own block.
 */
export class FreeLists {
  /** First group of each class, or −1. */
  readonly firstGroup: Int32Array;
  /** Group: the next group. Batch: the next batch of its group. −1 at the end. */
  next = new Int32Array(0);
  /** Batch: blocks in it. */
  count = new Int32Array(0);
  /** Batch: `capacity` compact pointers a row. */
  entries = new Int32Array(0);
  /** Group: compact pointers of its blocks, shifted right by `groupShift`. */
  groupId = new Int32Array(0);
  /** Group: its first batch (the only one that may be partly full), or −1. */
  firstBatch = new Int32Array(0);
  batchCount = new Int32Array(0);
  /** Group: free bytes when its release was last considered (S9.3). */
  bytesAtCheckpoint = new Float64Array(0);
  /** Blocks that a batch holds; a class-0 batch holds `batchClassCapacity`. */
  readonly capacity: number;
  readonly batchClassCapacity: number;
  /** A group's blocks have compact pointers that agree above these bits. */
  readonly groupShift: number;
  /** Compact pointers (16-byte units) from one class-0 block to the next. */
  readonly nodeUnits: number;

  constructor(shape: {
    classCount: number;
    capacity: number;
    batchClassCapacity: number;
    groupSizeLog: number;
    nodeBytes: number;
  }) {
    this.firstGroup = new Int32Array(shape.classCount).fill(NONE);
    this.capacity = shape.capacity;
    this.batchClassCapacity = shape.batchClassCapacity;
    this.groupShift = shape.groupSizeLog - 4;
    this.nodeUnits = shape.nodeBytes / 16;
  }

  /** Makes room for nodes below `count`. */
  growNodes(count: number): void {
    if (count <= this.next.length) return;
    const length = Math.max(count, 2 * this.next.length, 64);
    this.next = longer(Int32Array, this.next, length);
    this.count = longer(Int32Array, this.count, length);
    this.entries = longer(Int32Array, this.entries, length * this.capacity);
    this.groupId = longer(Int32Array, this.groupId, length);
    this.firstBatch = longer(Int32Array, this.firstBatch, length);
    this.batchCount = longer(Int32Array, this.batchCount, length);
    const checkpoints = new Float64Array(length);
    checkpoints.set(this.bytesAtCheckpoint);
    this.bytesAtCheckpoint = checkpoints;
  }

  /** Free blocks of a group: all batches but the first are full. */
  blocksInGroup(group: number, capacity: number): number {
    const batch = this.firstBatch[group];
    return batch === NONE ? 0 : (this.batchCount[group] - 1) * capacity + this.count[batch];
  }

  /**
   * Moves up to `limit` blocks from the end of the first group's first batch to `target` (S8.7): at most one batch's worth.
   * @returns the number of blocks; 0 if the class has none
   */
  pop(
    cache: LocalCache,
    classId: ClassId,
    target: Int32Array,
    begin: number,
    limit: number,
    source: NodeSource,
  ): number {
    const group = this.firstGroup[classId];
    if (group === NONE) return 0;
    const batch = this.firstBatch[group];
    if (batch === NONE) {
      // Class 0 only: the group's own node is the last free block.
      this.firstGroup[0] = NONE;
      target[begin] = group * this.nodeUnits;
      return 1;
    }
    const held = this.count[batch];
    const taken = classId === 0 || held < limit ? held : limit;
    copyEntries(this.entries, batch * this.capacity + held - taken, target, begin, taken);
    this.count[batch] = held - taken;
    if (taken === held) this.unlinkFirstBatch(cache, classId, group, batch, source);
    return taken;
  }

  private unlinkFirstBatch(
    cache: LocalCache,
    classId: ClassId,
    group: number,
    batch: number,
    source: NodeSource,
  ): void {
    this.firstBatch[group] = this.next[batch];
    this.batchCount[group]--;
    if (classId === 0) {
      // The batch was itself among the blocks just taken, and with the last batch so was the group (S8.9).
      if (this.firstBatch[group] === NONE) this.firstGroup[0] = NONE;
      return;
    }
    const groupIsEmpty = this.firstBatch[group] === NONE;
    if (groupIsEmpty) this.firstGroup[classId] = this.next[group];
    source.returnNode(cache, batch);
    if (groupIsEmpty) source.returnNode(cache, group);
  }

  /** Adds `count` blocks of any groups: sorts them by group, stably and in place, and adds each run (S8.8). Not for class 0. */
  push(
    cache: LocalCache,
    classId: ClassId,
    blocks: Int32Array,
    begin: number,
    count: number,
    source: NodeSource,
  ): void {
    if (this.isOneGroup(blocks, begin, count)) {
      this.pushRun(cache, classId, blocks, begin, count, source);
      return;
    }
    this.sortByGroup(blocks, begin, count);
    const end = begin + count;
    let runBegin = begin;
    while (runBegin < end) {
      const id = blocks[runBegin] >>> this.groupShift;
      let runEnd = runBegin + 1;
      while (runEnd < end && blocks[runEnd] >>> this.groupShift === id) runEnd++;
      this.pushRun(cache, classId, blocks, runBegin, runEnd - runBegin, source);
      runBegin = runEnd;
    }
  }

  /** Nearly all are. One pass without a branch on what a block is. */
  private isOneGroup(blocks: Int32Array, begin: number, count: number): boolean {
    const first = blocks[begin];
    let difference = 0;
    for (let i = begin + 1; i < begin + count; i++) difference |= blocks[i] ^ first;
    return difference >>> this.groupShift === 0;
  }

  private sortByGroup(blocks: Int32Array, begin: number, count: number): void {
    const shift = this.groupShift;
    for (let i = begin + 1; i < begin + count; i++) {
      const block = blocks[i];
      const id = block >>> shift;
      let j = i;
      while (j > begin && id < blocks[j - 1] >>> shift) {
        blocks[j] = blocks[j - 1];
        j--;
      }
      blocks[j] = block;
    }
  }

  /** Adds blocks of one group. */
  pushRun(
    cache: LocalCache,
    classId: ClassId,
    blocks: Int32Array,
    begin: number,
    count: number,
    source: NodeSource,
  ): void {
    const group = this.findOrCreateGroup(cache, classId, blocks[begin] >>> this.groupShift, source);
    let batch = this.firstBatch[group];
    for (let done = 0; done < count; ) {
      let room = this.capacity - this.count[batch];
      if (room === 0) {
        batch = this.newBatch(group, source.takeNode(cache));
        room = this.capacity;
      }
      done += this.append(batch, blocks, begin + done, Math.min(room, count - done));
    }
  }

  private append(batch: number, blocks: Int32Array, begin: number, count: number): number {
    copyEntries(blocks, begin, this.entries, batch * this.capacity + this.count[batch], count);
    this.count[batch] += count;
    return count;
  }

  private newBatch(group: number, node: number): number {
    this.count[node] = 0;
    this.next[node] = this.firstBatch[group];
    this.firstBatch[group] = node;
    this.batchCount[group]++;
    return node;
  }

  private findOrCreateGroup(cache: LocalCache, classId: ClassId, id: number, source: NodeSource): number {
    let previous = NONE;
    let group = this.firstGroup[classId];
    while (group !== NONE && this.groupId[group] < id) {
      previous = group;
      group = this.next[group];
    }
    if (group !== NONE && this.groupId[group] === id) return group;
    const created = source.takeNode(cache);
    const batch = source.takeNode(cache);
    this.groupId[created] = id;
    this.startGroup(created);
    this.newBatch(created, batch);
    this.next[created] = group;
    if (previous === NONE) this.firstGroup[classId] = created;
    else this.next[previous] = created;
    return created;
  }

  private startGroup(group: number): void {
    this.firstBatch[group] = NONE;
    this.batchCount[group] = 0;
    this.bytesAtCheckpoint[group] = 0;
  }

  /**
   * Adds blocks of class 0, which keep their own nodes: the last block becomes the group's node if there is none, the
   * one before it the first batch, and every further batch is its own first entry (S8.9).
   */
  pushBatchClass(blocks: Int32Array, begin: number, count: number): void {
    let left = count;
    let group = this.firstGroup[0];
    if (group === NONE) {
      group = this.nodeOf(blocks[begin + --left]);
      this.groupId[group] = 0;
      this.next[group] = NONE;
      this.startGroup(group);
      this.firstGroup[0] = group;
    }
    if (left === 0) return;
    let batch = this.firstBatch[group];
    if (batch === NONE) {
      const own = blocks[begin + --left];
      batch = this.newBatch(group, this.nodeOf(own));
      this.entries[batch * this.capacity] = own;
      this.entries[batch * this.capacity + 1] = group * this.nodeUnits;
      this.count[batch] = 2;
    }
    for (let done = 0; done < left; ) {
      let room = this.batchClassCapacity - this.count[batch];
      if (room === 0) {
        batch = this.newBatch(group, this.nodeOf(blocks[begin + done]));
        done += this.append(batch, blocks, begin + done, 1);
        room = this.batchClassCapacity - 1;
      }
      done += this.append(batch, blocks, begin + done, Math.min(room, left - done));
    }
  }

  /** The node whose class-0 block has this compact pointer. */
  nodeOf(compact: CompactPointer): number {
    return compact / this.nodeUnits;
  }

  /** A copy for a forked process's heap. */
  copyFrom(other: FreeLists): void {
    this.firstGroup.set(other.firstGroup);
    this.next = other.next.slice();
    this.count = other.count.slice();
    this.entries = other.entries.slice();
    this.groupId = other.groupId.slice();
    this.firstBatch = other.firstBatch.slice();
    this.batchCount = other.batchCount.slice();
    this.bytesAtCheckpoint = other.bytesAtCheckpoint.slice();
  }
}

function copyEntries(from: Int32Array, fromIndex: number, to: Int32Array, toIndex: number, count: number): void {
  if (count > SHORT_COPY) to.set(from.subarray(fromIndex, fromIndex + count), toIndex);
  else for (let i = 0; i < count; i++) to[toIndex + i] = from[fromIndex + i];
}

keepClass("FreeLists", FreeLists);
