// Tests of MAP_PATTERN, as a program of the simulated kernel: what it reads, what it costs, that nothing of it is left.
import assert from "node:assert/strict";
import {
  createKernel,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from "refheap/kernel";
import { installMapPattern, MADV_PLAIN, MAP_PATTERN, patternOffset } from "./map-pattern.mjs";

const kernel = createKernel({ memoryBytes: 2 ** 24 });
installMapPattern(kernel);
const process = kernel.createProcess({ name: "patterns" });
const { memory } = process;
const framesBefore = kernel.frames.freeFrames;

function mapPattern(pages, pattern, flags = MAP_PRIVATE) {
  const all = flags | MAP_ANONYMOUS | MAP_PATTERN;
  return process.mmap(0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, all, -1, patternOffset(pattern));
}

const p = mapPattern(1000, 0xcafe0123);
assert.equal(memory.getUint32(p + 777 * PAGE_SIZE + 8), 0xcafe0123);
assert.equal(process.rssBytes, 0, "loads cost no memory");

memory.setUint8(p, 0xff);
assert.equal(memory.getUint32(p), 0xcafe01ff, "a private page starts as the pattern");
assert.equal(process.rssBytes, PAGE_SIZE);

const child = process.fork();
child.memory.setUint32(p + PAGE_SIZE, 1);
assert.equal(memory.getUint32(p + PAGE_SIZE), 0xcafe0123, "a child's store is the child's");
child.exit(0);

process.madvise(p, PAGE_SIZE, MADV_DONTNEED);
assert.equal(memory.getUint32(p), 0xcafe0123, "the pattern is back");

process.madvise(p + 10 * PAGE_SIZE, PAGE_SIZE, MADV_PLAIN);
assert.equal(memory.getUint32(p + 10 * PAGE_SIZE), 0);
assert.equal(memory.getUint32(p + 11 * PAGE_SIZE), 0xcafe0123);

assert.throws(() => mapPattern(1, 0, MAP_SHARED), { code: "EINVAL" });
assert.throws(() => mapPattern(1, 2 ** 32), { code: "EINVAL" });
kernel.frames.failAt(1);
assert.throws(() => mapPattern(1, 5), { code: "ENOMEM" });
kernel.checkInvariants();

process.munmap(p, 1000 * PAGE_SIZE);
assert.equal(kernel.frames.freeFrames, framesBefore, "the pattern's frame went with the last mapping");
kernel.checkInvariants();
console.log("MAP_PATTERN does what it says");
