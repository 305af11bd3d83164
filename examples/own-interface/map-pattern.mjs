// MAP_PATTERN: private anonymous memory that reads as a pattern of 32 bits until it is stored to. No file descriptor is needed.
// MADV_PLAIN makes a range plain memory again. Both are added to a kernel by installMapPattern.
import { NO_FRAME, O_RDONLY, PAGE_SIZE, SystemError, zeroPage } from "refheap/kernel";

/** A bit of mmap's flags that Linux has no use for. */
export const MAP_PATTERN = 0x200000;
/** A number of madvise's that Linux has no use for. */
export const MADV_PLAIN = 200;

/** mmap's offset, which anonymous memory has no other use for: its page number is the pattern. */
export function patternOffset(pattern) {
  return pattern * PAGE_SIZE;
}

/** What a load of untouched memory reads, and what the first store's private page starts as. */
class PatternPage {
  /** The frame that loads are mapped to. */
  frame = NO_FRAME;

  constructor(pattern) {
    this.bytes = new Uint8Array(4);
    new DataView(this.bytes.buffer).setUint32(0, pattern, true);
  }

  /** Makes a frame equal to the clean page, and counts what that took: the estimates of time go by the counters. */
  initialise(ram, counters, frame) {
    ram.bankOf(frame).set(this.bytes, ram.positionOf(frame));
    ram.replicate(frame, this.bytes.length);
    ram.fillTags(frame, 0);
    ram.fillValidity(frame, 0);
    counters.framesFilled++;
    counters.bytesFilled += PAGE_SIZE;
  }
}

export function installMapPattern(kernel) {
  /** By pattern: the clean page, and a file that lives as long as anything of it is mapped. */
  const mapped = new Map();

  function create(pattern, cgroup) {
    const page = new PatternPage(pattern);
    page.frame = kernel.frames.allocate(page, cgroup);
    if (page.frame === NO_FRAME) throw new SystemError("ENOMEM", "mmap", "no frame for the pattern");
    const release = () => {
      mapped.delete(pattern);
      kernel.frames.put(page.frame);
    };
    try {
      const file = kernel.openFile({ path: "[pattern]", seekable: false, release }, null, O_RDONLY, "mmap");
      mapped.set(pattern, { page, file });
      return { page, file };
    } catch (error) {
      kernel.frames.put(page.frame);
      throw error;
    }
  }

  kernel.extend({
    name: "map-pattern",
    mmapFlags: [
      {
        name: "MAP_PATTERN",
        bit: MAP_PATTERN,
        mmap(request, { thread, offset }) {
          const pattern = offset / PAGE_SIZE;
          if (!request.anonymous)
            throw new SystemError("EINVAL", "mmap", "MAP_PATTERN is for private anonymous memory");
          if (pattern >= 2 ** 32) throw new SystemError("EINVAL", "mmap", "a pattern has 32 bits");
          const known = mapped.get(pattern);
          known?.file.get();
          const { page, file } = known ?? create(pattern, thread.process.addressSpace.cgroup);
          request.cleanPage = page;
          request.file = file;
        },
      },
    ],
    advice: [
      {
        name: "MADV_PLAIN",
        number: MADV_PLAIN,
        madvise(request) {
          if (!(request.cleanPage instanceof PatternPage))
            throw new SystemError("EINVAL", "madvise", "no pattern there");
          request.cleanPage = zeroPage;
          request.file = null;
        },
      },
    ],
    heldFrames: () => [...mapped.values()].map(({ page }) => page.frame),
  });
}
