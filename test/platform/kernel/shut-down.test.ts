// A kernel that is shut down leaves its machine as new: the next kernel on it does what the first one on a new machine does.
import { expect, test } from "vitest";
import { Machine } from "../../../platform/hardware/machine.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_MTE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import type { Kernel } from "../../../platform/kernel/kernel.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const MIB = 2 ** 20;
const READ_WRITE = PROT_READ | PROT_WRITE;
const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;

/** Uses frames, tags, files, huge and forked memory, and leaves it all behind. @returns what a program could see of it */
function use(kernel: Kernel): unknown[] {
  const cgroup = kernel.createCgroup({ name: "one", limitBytes: 64 * MIB });
  const process = kernel.createProcess({ cgroup });
  const seen: unknown[] = [process.pid, kernel.frames.freeFrames, kernel.random()];
  const p = process.mmap(0, 4 * MIB, READ_WRITE, PRIVATE);
  process.madvise(p, 4 * MIB, 14);
  seen.push(process.memory.getUint32(p + 5000));
  process.memory.fill(p, 7, 3 * MIB);
  const tagged = process.mmap(0, 8192, READ_WRITE | PROT_MTE, PRIVATE);
  process.memory.setUint8(tagged, 1);
  const file = process.memfd_create("file");
  process.write(file, p, 5000);
  const child = process.fork();
  child.memory.fill(p + MIB, 9, 100_000);
  process.mlock(p, 8192);
  seen.push(process.rssBytes, child.rssBytes, kernel.frames.freeFrames, { ...kernel.counters.snapshot() });
  kernel.checkInvariants();
  return seen;
}

test("the next kernel sees what the first one saw, and no byte, tag, mark or count of it", () => {
  const machine = new Machine({ memoryBytes: 64 * MIB, shadow: true });
  const expected = use(createKernel(new Machine({ memoryBytes: 64 * MIB, shadow: true })));
  for (let round = 0; round < 3; round++) {
    const kernel = createKernel(machine);
    kernel.checkInvariants();
    expect(use(kernel)).toEqual(expected);
    kernel.shutDown();
    for (const bytes of [...machine.ram.banks, machine.ram.tags, machine.ram.undefinedBits, machine.ram.mayHaveTags])
      expect(bytes.findIndex((byte) => byte !== 0)).toBe(-1);
  }
});
