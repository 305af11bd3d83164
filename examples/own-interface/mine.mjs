// The policy: a heap whose large chunks get their pattern by MAP_PATTERN. For refheap replay, report and run, and npm run bench.
import { MAP_ANONYMOUS, SystemError } from "refheap/kernel";
import { installMapPattern, MAP_PATTERN, patternOffset } from "./map-pattern.mjs";

export const policy = {
  name: "map-pattern",
  what: "0xAB; large chunks are anonymous mappings with MAP_PATTERN, without a file descriptor",
  install: installMapPattern,
  heap: { fill: "pattern" },

  /** Maps memory that reads as a pattern of the heap's: 1, 2, 4, 8 or 16 bytes. */
  mapPattern(process, { address, length, prot, flags, pattern }) {
    // The heap takes this for "not by this interface", and fills the chunk itself.
    if (pattern.length > 4) throw new SystemError("EINVAL", "mmap", "a pattern has 32 bits");
    const word = new DataView(Uint8Array.from({ length: 4 }, (_, i) => pattern[i % pattern.length]).buffer);
    const offset = patternOffset(word.getUint32(0, true));
    return process.mmap(address, length, prot, flags | MAP_ANONYMOUS | MAP_PATTERN, -1, offset);
  },
};
