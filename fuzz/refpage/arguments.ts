// refpage_create, both ABIs, with any arguments, and what may then be done with the descriptor: the documented errno by R1 and R2, or a
// mapping that reads as the content. A plain table of pages says which.
import fc from "fast-check";
import { Machine } from "../../platform/hardware/machine.ts";
import { SystemError } from "../../platform/kernel/abi/errors.ts";
import { RLIMIT_NOFILE } from "../../platform/kernel/abi/rlimit.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { createKernel, refpage_create, refpage_create2 } from "../../refpage/kernel.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { edgeNumbers } from "../harness/values.ts";

const PAGE = 4096;
const BASE = 0x10_0000_0000;
const TARGET = 0x20_0000_0000;
/** Pages at BASE: written, never touched, not readable, none, then a reference page. */
const WRITTEN = 0;
const FORBIDDEN = 2;

interface Step {
  readonly abi: 1 | 2;
  readonly page: number;
  readonly offset: number;
  readonly size: number;
  readonly flags: number;
  readonly policy: "nozero" | "double" | "plumbed";
  readonly bad: number | null;
  readonly isFull: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  abi: fc.constantFrom(1, 2),
  page: fc.nat(4),
  offset: fc.oneof(fc.constant(0), fc.constantFrom(1, 8, 16, 512, 2048, 4095), fc.nat(PAGE - 1)),
  size: fc.oneof(
    fc.constantFrom(1, 2, 4, 8, 16, 64, 1024, 2048, 4096),
    fc.constantFrom(0, 3, 5000, 8192, -1, 2 ** 32 + 1),
  ),
  flags: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, edgeNumbers.filter(Number.isInteger)),
  policy: fc.constantFrom("nozero", "double", "plumbed"),
  bad: fc.option(
    edgeNumbers.filter((value) => Number.isInteger(value) && value >= 0),
    { freq: 8 },
  ),
  isFull: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
});

/** What R1 and R2 say of the arguments alone. */
function errnoOf({ abi, page, offset, size, flags, bad, isFull }: Step): string | null {
  if (flags !== 0) return "EINVAL";
  if (abi === 2 && (size < 1 || size > PAGE || (size & (size - 1)) !== 0 || size > 2 ** 31)) return "EINVAL";
  if (abi === 1 && (bad ?? offset) % PAGE !== 0) return "EFAULT";
  if (abi === 2 && (bad ?? offset) % size !== 0) return "EFAULT";
  if (bad !== null || page === FORBIDDEN || page > FORBIDDEN) return "EFAULT";
  return isFull ? "EMFILE" : null;
}

const machine = new Machine({ memoryBytes: 2 ** 24 });

function contentByte(page: number, at: number): number {
  return page === WRITTEN ? (at * 7 + 3) & 0xff : 0;
}

function runSteps(steps: readonly Step[], journal: Journal): number {
  journal.note('import { createKernel, refpage_create, refpage_create2 } from "refheap/kernel";');
  const [{ policy }] = steps;
  const kernel = journal.make("kernel", `createKernel({}, { initialisation: "${policy}" })`, () =>
    createKernel(machine, { initialisation: policy }),
  );
  const free = kernel.frames.freeFrames;
  const process = kernel.createProcess({ name: "program" });
  process.mmap(BASE, 3 * PAGE, 3, 0x32);
  process.memory.write(
    BASE,
    Uint8Array.from({ length: PAGE }, (_, at) => contentByte(WRITTEN, at)),
  );
  process.mprotect(BASE + FORBIDDEN * PAGE, PAGE, 0);
  for (const one of steps) takeStep(process, one, journal);
  process.exit(0);
  kernel.checkInvariants();
  expect(kernel.frames.freeFrames, "free frames").toBe(free);
  expect(kernel.openFiles, "open files").toBe(0);
  return steps.length;
}

function takeStep(process: Process, one: Step, journal: Journal): void {
  const { abi, page, offset, size, flags, bad, isFull } = one;
  const content = bad ?? BASE + page * PAGE + offset;
  if (isFull) process.setrlimit(RLIMIT_NOFILE, process.fds.count);
  const { openFiles } = process.kernel;
  let errno: string | null = null;
  let descriptor = -1;
  try {
    const plain = journal.unwrap(process);
    descriptor = abi === 1 ? refpage_create(plain, content, flags) : refpage_create2(plain, content, size, flags);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    errno = error.code;
  }
  journal.note(
    abi === 1
      ? `refpage_create(process, ${content}, ${flags});`
      : `refpage_create2(process, ${content}, ${size}, ${flags});`,
  );
  process.setrlimit(RLIMIT_NOFILE, 1024);
  expect(errno).toBe(errnoOf(one));
  process.kernel.checkInvariants();
  if (descriptor < 0) {
    expect(process.kernel.openFiles, "open files after a refusal").toBe(openFiles);
    return;
  }
  process.mmap(TARGET, 2 * PAGE, 3, 0x12, descriptor, 0);
  process.close(descriptor);
  const [from, period] = abi === 1 ? [0, PAGE] : [offset, size];
  const want = (at: number): number => contentByte(page, from + (at % period));
  for (const at of [0, 1, size - 1, 511, PAGE - 1]) {
    const place = ((at % PAGE) + PAGE) % PAGE;
    expect(process.memory.getUint8(TARGET + place), `byte ${place}`).toBe(want(place));
  }
  process.memory.setUint8(TARGET + PAGE + 5, 0x5a);
  for (const at of [4, 6, 4095]) expect(process.memory.getUint8(TARGET + PAGE + at), `byte ${at}`).toBe(want(at));
  // The page itself has not changed by that.
  process.madvise(TARGET, 2 * PAGE, 4);
  expect(process.memory.getUint8(TARGET + PAGE + 5), "the clean page").toBe(want(5));
  process.munmap(TARGET, 2 * PAGE);
  process.kernel.checkInvariants();
}

export const referencePages: Fuzzer<Step[]> = {
  program: fc.array(step, { minLength: 1, maxLength: 15 }),
  run: runSteps,
  inTests: 150,
};
