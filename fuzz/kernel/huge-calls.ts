// System calls and accesses on blocks of 2 MiB from several processes, in so little memory that blocks and frames run out by themselves, and
// with frames refused at random: each ends with a result or a documented error, the invariants hold after it, and nothing is left at
// the end. What programs read is huge-programs.ts; calls without huge pages are calls.ts.
import fc from "fast-check";
import { Machine } from "../../platform/hardware/machine.ts";
import { MADV_COLLAPSE, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE } from "../../platform/kernel/abi/mman.ts";
import type { PinnedPages } from "../../platform/kernel/mm/gup.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { HUGE_REFERENCE_PAGES } from "../../refpage/huge.ts";
import { createKernel, refpage_create2 } from "../../refpage/kernel.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { type Call, call, isDocumented, perform } from "./calls.ts";

const PAGE = 4096;
const H = 512;
const HUGE = H * PAGE;
/** Where calls.ts has its pages, so that its addresses mean something here. */
const BASE = 0x10_0000_0000;
const BLOCKS = 6;
const MOST_PROCESSES = 4;
const ADVICE = [4, MADV_FREE, MADV_COLLAPSE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, 22, 23, 102, 103, 20, 24] as const;

const small = fc.constantFrom(0, 1, 2, 100, H - 2, H - 1);
const place = fc
  .tuple(fc.nat(BLOCKS - 1), fc.oneof(fc.constant(0), small))
  .map(([block, page]) => BASE + block * HUGE + page * PAGE);
const length = fc.oneof(
  fc.constantFrom(HUGE, HUGE, 2 * HUGE, 3 * HUGE, HUGE - PAGE),
  small.map((pages) => (pages + 1) * PAGE),
);
const blockCall = fc.record({
  name: fc.constantFrom(
    ...([
      "map",
      "map",
      "reference",
      "shared",
      "store",
      "store",
      "store",
      "load",
      "touch",
      "munmap",
      "mprotect",
    ] as const),
    ...(["madvise", "madvise", "madvise", "mremap", "mlock", "munlock", "fork", "fork", "exit", "execve"] as const),
    ...(["pin", "unpin", "transfer", "khugepaged", "refuse", "refuse", "limit", "punch", "brk"] as const),
  ),
  who: fc.nat(4),
  at: place,
  length,
  to: place,
  n: fc.nat(40),
});
type BlockCall = typeof blockCall extends fc.Arbitrary<infer T> ? T : never;

interface Program {
  readonly enabled: "always" | "madvise";
  readonly sizes: readonly number[];
  readonly policy: (typeof HUGE_REFERENCE_PAGES)[number];
  readonly calls: readonly (BlockCall | Call)[];
}

/** 24 MiB: 12 blocks, of which the first holds the zero page. */
const machine = new Machine({ memoryBytes: 24 * 2 ** 20, mte: false });

interface World {
  readonly kernel: Process["kernel"];
  readonly processes: Process[];
  readonly pins: PinnedPages[];
  readonly fd: number;
  readonly file: number;
}

function takeBlockCall(world: World, process: Process, { name, at, length: bytes, to, n }: BlockCall): void {
  const { kernel, processes, pins } = world;
  switch (name) {
    case "map":
      process.mmap(at, bytes, 3, 0x32 | (n === 0 ? 0x8000 : 0));
      break;
    case "reference":
      process.mmap(at, bytes, 3, 0x12, world.fd, 0);
      break;
    case "shared":
      process.mmap(at, bytes, 3, 0x11, world.file, n % 2 === 0 ? 0 : at % HUGE);
      break;
    case "store":
      process.memory.setUint8(at, n);
      break;
    case "load":
      process.memory.getUint8(at);
      break;
    case "touch":
      for (let page = 0; page < Math.min(n, 30); page++) process.memory.setUint8(at + page * PAGE, n);
      break;
    case "munmap":
      process.munmap(at, bytes);
      break;
    case "mprotect":
      process.mprotect(at, bytes, n % 4);
      break;
    case "madvise":
      process.madvise(at, bytes, ADVICE[n % ADVICE.length]);
      break;
    case "mremap":
      process.mremap(at, bytes, n % 3 === 0 ? bytes : bytes + HUGE, n % 2 === 0 ? 1 : 3, to + 0x1000_0000);
      break;
    case "mlock":
      process.mlock(at, bytes);
      break;
    case "munlock":
      process.munlock(at, bytes);
      break;
    case "fork":
      if (processes.length < MOST_PROCESSES) processes.push(process.fork());
      break;
    case "exit":
      process.exit(0);
      break;
    case "execve":
      process.execve("again");
      break;
    case "pin":
      pins.push(process.pin(at, Math.min(bytes, 5 * PAGE), { write: n % 2 === 0 }));
      break;
    case "unpin":
      pins.pop()?.release();
      break;
    case "transfer":
      process.process_vm_writev(processes[n % processes.length].pid, [[at, 2 * PAGE]], [[to, 2 * PAGE]]);
      break;
    case "khugepaged":
      kernel.khugepaged(process, { limit: 1 + (n % 3) });
      break;
    case "refuse":
      kernel.frames.failAt(1 + n);
      break;
    case "limit":
      kernel.frames.cgroups[0].limitBytes = n > 20 ? 2 ** 40 : (n + 1) * 128 * PAGE;
      break;
    case "punch":
      process.fallocate(world.file, 3, at % HUGE, bytes);
      break;
    case "brk":
      process.brk(process.brk(0) + (n % 2 === 0 ? bytes : -bytes));
      break;
  }
}

function runProgram({ enabled, sizes, policy, calls }: Program, journal: Journal): number {
  const options = {
    hugePages: { enabled, sizes, shmem: "advise" as const },
    hugeReferencePages: policy,
    maxMapCount: 200,
    seed: 1,
    clock: () => 0,
  };
  journal.note('import { createKernel } from "refheap/kernel";');
  const kernel = journal.make(
    "kernel",
    `createKernel({ memoryBytes: 24 * 2 ** 20, mte: false }, ${JSON.stringify(options)})`,
    () => createKernel(machine, options),
  );
  const first = kernel.createProcess({ name: "program", cgroup: kernel.createCgroup({ name: "group" }) });
  first.mmap(BASE, BLOCKS * HUGE, 3, 0x32);
  first.memory.setUint8(BASE, 7);
  const file = first.memfd_create("file");
  first.ftruncate(file, 2 * HUGE);
  const world: World = { kernel, processes: [first], pins: [], fd: refpage_create2(first, BASE, 4), file };
  for (const one of calls) {
    const process = world.processes[one.who % world.processes.length];
    if (!kernel.processes.has(process.pid) || process.exitStatus !== null) continue;
    try {
      if ("arguments" in one) perform(process, one, world.processes);
      else takeBlockCall(world, process, one);
    } catch (error) {
      if (!isDocumented(error)) throw error;
    }
    kernel.checkInvariants();
  }
  kernel.frames.failAt(-1);
  for (const process of world.processes) if (process.exitStatus === null) process.exit(0);
  for (const pin of world.pins) pin.release();
  kernel.checkInvariants();
  const zeroPages = [...kernel.hugeZeroPage.holder()].length * H;
  expect(kernel.frames.freeFrames + zeroPages, "free frames").toBe(kernel.frames.frameCount - 1);
  expect([kernel.openFiles, kernel.committedPages, kernel.frames.cgroups[0].chargedFrames]).toEqual([0, 0, 0]);
  // So that the next kernel finds this one's tables.
  kernel.shutDown();
  return calls.length;
}

export const hugeCallPrograms: Fuzzer<Program> = {
  program: fc.record({
    enabled: fc.constantFrom("always" as const, "always" as const, "madvise" as const),
    sizes: fc.constantFrom([2048], [2048], [64, 2048], [64]),
    policy: fc.constantFrom(...HUGE_REFERENCE_PAGES),
    calls: fc.array(fc.oneof({ weight: 6, arbitrary: blockCall }, { weight: 1, arbitrary: call }), {
      minLength: 1,
      maxLength: 50,
    }),
  }),
  run: runProgram,
  inTests: 60,
};
