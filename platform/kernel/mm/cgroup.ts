// Memory cgroups: a limit on the frames charged to a group of processes, and the count of those charged.
// Who is charged for what is decided where frames are allocated (frames.ts); there is no reclaim.

import { keepClass } from "../../state/kept.ts";

/** What a group is like. */
export interface CgroupOptions {
  /** For messages. */
  readonly name: string;
  /** memory.max in bytes; Infinity is no limit. */
  readonly limitBytes?: number;
}

/** A group of processes whose memory is counted together, and limited. */
export class MemoryCgroup {
  /** Index in the kernel's list, kept beside each charged frame. */
  readonly id: number;
  /** For messages. */
  readonly name: string;
  /** Bytes that its processes may have together; Infinity: no limit. */
  limitBytes: number;
  /** Frames charged now (memory.current in pages). */
  chargedFrames = 0;
  /** The most that ever were (memory.peak). */
  peakFrames = 0;
  /** Charges that met the limit (memory.events "max"). */
  failures = 0;

  /** @throws RangeError for a limit that is no number of bytes. */
  constructor(id: number, { name, limitBytes = Number.POSITIVE_INFINITY }: CgroupOptions) {
    if (!(limitBytes >= 0))
      throw new RangeError(`cgroup ${name}: limitBytes ${limitBytes} is not a number of bytes from 0`);
    this.id = id;
    this.name = name;
    this.limitBytes = limitBytes;
  }
}

keepClass("MemoryCgroup", MemoryCgroup);
