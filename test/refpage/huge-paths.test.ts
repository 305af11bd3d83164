// Every pair of paths over a block of a reference page, in each state that it can be in, under the three policies of R16 and the three
// initialisation policies of R8, with blocks of frames at hand and without: contents in all processes, residency, what was initialised.
// Longer programs are drawn in huge-programs.test.ts; what single steps cost is in scenarios/huge.ts.
import { describe, expect, test } from "vitest";
import { PAGE_SIZE as PAGE } from "../../platform/hardware/layout.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { SystemError } from "../../platform/kernel/abi/errors.ts";
import * as mman from "../../platform/kernel/abi/mman.ts";
import type { InitialisationPolicy } from "../../platform/kernel/mm/frames.ts";
import type { PinnedPages } from "../../platform/kernel/mm/gup.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { HUGE_REFERENCE_PAGES, type HugeReferencePages } from "../../refpage/huge.ts";
import { createKernel, refpage_create2 } from "../../refpage/kernel.ts";

const H = 512;
const HUGE = H * PAGE;
const BASE = 0x10_0000_0000;
const FAR = 0x20_0000_0000;
const BUFFER = 0x30_0000_0000;
const PATTERN = [0xa1, 0xb2, 0xc3, 0xd4];
const machine = new Machine({ memoryBytes: 64 * 2 ** 20, mte: false });

/** The bytes that must be there: the page's own last store, by page; absent: as the reference page. `null`: not mapped. */
type Model = (number | undefined | null)[];

interface World {
  process: Process;
  /** Where the block is now. */
  at: number;
  readonly model: Model;
  readonly others: { readonly process: Process; readonly at: number; readonly model: Model }[];
  readonly policy: HugeReferencePages;
  readonly pins: PinnedPages[];
  /** What makes the block huge again or needs a block of frames may fail. */
  readonly hasBlocks: boolean;
}

function store(world: World, page: number, value: number): void {
  if (world.model[page] === null) return;
  world.process.memory.setUint8(world.at + page * PAGE + 8, value);
  world.model[page] = value;
}

/** Pages that are not mapped in the middle are an error to mremap, mlock and collapse. */
const isWhole = (world: World): boolean => !world.model.includes(null);

const actions: Readonly<Record<string, (world: World) => void>> = {
  load: ({ process, at }) => process.memory.getUint8(at),
  store: (world) => store(world, 3, 0x11),
  "fork, and stores in both": (world) => {
    const { process, at, model } = world;
    const child = process.fork();
    world.others.push({ process: child, at, model: [...model] });
    const own = world.others[world.others.length - 1];
    if (own.model[7] !== null) {
      child.memory.setUint8(at + 7 * PAGE + 8, 0x22);
      own.model[7] = 0x22;
    }
    store(world, 9, 0x33);
  },
  "munmap of the middle": ({ process, at, model }) => {
    process.munmap(at + 200 * PAGE, 3 * PAGE);
    model.fill(null, 200, 203);
  },
  "mprotect of the middle": (world) => {
    world.process.mprotect(world.at + 300 * PAGE, 3 * PAGE, mman.PROT_READ);
    world.process.mprotect(world.at + 300 * PAGE, PAGE, mman.PROT_READ | mman.PROT_WRITE);
    store(world, 300, 0x44);
  },
  "DONTNEED of the middle": ({ process, at, model }) => {
    process.madvise(at + 2 * PAGE, 8 * PAGE, mman.MADV_DONTNEED);
    for (let page = 2; page < 10; page++) if (model[page] !== null) model[page] = undefined;
  },
  "mremap by a block": (world) => moveTo(world, world.at === FAR ? BASE : FAR),
  "mremap by a page": (world) => moveTo(world, world.at + 4 * HUGE + PAGE),
  "mlock of the middle": ({ process, at }) => process.mlock(at + 400 * PAGE, 2 * PAGE),
  COLLAPSE: (world) => {
    const isRefused = expectedCollapse(world);
    let code: string | null = null;
    try {
      world.process.madvise(world.at, HUGE, mman.MADV_COLLAPSE);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      code = error.code;
    }
    expect(isRefused).toContain(code);
  },
  process_vm_writev: (world) => {
    if (world.model[5] === null) return;
    world.process.memory.setUint8(BUFFER, 0x55);
    world.process.process_vm_writev(world.process.pid, [[BUFFER, 1]], [[world.at + 5 * PAGE + 8, 1]]);
    world.model[5] = 0x55;
  },
  "a pin": (world) => world.pins.push(world.process.pin(world.at + 11 * PAGE, PAGE, { write: true })),
};

function moveTo(world: World, target: number): void {
  if (!isWhole(world)) return;
  const { vmas } = world.process.addressSpace;
  const id = vmas.lookup(world.at / PAGE);
  // Areas that were cut are moved by one call only where the length stays the same, which MREMAP_FIXED is for.
  expect(vmas.startPage[id]).toBe(world.at / PAGE);
  world.process.mremap(world.at, HUGE, HUGE, mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED, target);
  world.at = target;
}

/** What COLLAPSE may answer: R16 says when it is EINVAL, and otherwise what stands in its way decides. */
function expectedCollapse(world: World): (string | null)[] {
  const { process, at, policy, hasBlocks, pins } = world;
  if (policy !== "duplicate") return ["EINVAL"];
  const { vmas, pageTable } = process.addressSpace;
  const id = vmas.lookup(at / PAGE);
  const isInOneArea = vmas.startPage[id] * PAGE <= at && vmas.endPage[id] * PAGE >= at + HUGE;
  if (at % HUGE !== 0 || !isInOneArea || vmas.anonVma[id] === 0) return ["EINVAL"];
  if (pageTable.isHuge(at / PAGE)) return [null];
  if (!pageTable.isUsed(at / PAGE)) return ["EINVAL"];
  if (pins.length > 0) return ["EAGAIN", hasBlocks ? null : "ENOMEM"];
  return [hasBlocks ? null : "ENOMEM"];
}

const clean = Uint8Array.from({ length: HUGE }, (_, index) => PATTERN[index % PATTERN.length]);

function expectContents({ process, at, model }: { process: Process; at: number; model: Model }): void {
  const expected = clean.slice();
  const found = clean.slice();
  for (const [page, own] of model.entries()) {
    if (own === null) continue;
    if (own !== undefined) expected[page * PAGE + 8] = own;
    found.set(process.memory.read(at + page * PAGE, PAGE), page * PAGE);
  }
  const difference =
    Buffer.compare(found, expected) === 0 ? -1 : found.findIndex((byte, index) => byte !== expected[index]);
  expect(difference).toBe(-1);
}

function run(policy: HugeReferencePages, initialisation: InitialisationPolicy, hasBlocks: boolean, names: string[]) {
  const kernel = createKernel(machine, {
    initialisation,
    hugeReferencePages: policy,
    hugePages: { enabled: "always" },
  });
  const { frames, counters } = kernel;
  const cgroup = kernel.createCgroup({ name: "group" });
  const process = kernel.createProcess({ cgroup });
  process.mmap(BUFFER, PAGE, 3, 0x32);
  process.memory.write(BUFFER, Uint8Array.from(PATTERN));
  const fd = refpage_create2(process, BUFFER, PATTERN.length);
  process.mmap(BASE, HUGE, 3, 0x12, fd, 0);
  const world: World = {
    process,
    at: BASE,
    model: new Array(H).fill(undefined),
    others: [],
    policy,
    pins: [],
    hasBlocks,
  };
  if (!hasBlocks) Object.defineProperty(frames, "allocateFolio", { configurable: true, value: () => -1 });
  const before = counters.snapshot();
  for (const name of names) {
    actions[name](world);
    kernel.checkInvariants();
  }
  const { framesZeroed, framesFilled, framesCopied, framesAllocated } = counters.since(before);
  if (initialisation === "double") expect(framesZeroed).toBe(framesAllocated);
  else expect(framesZeroed).toBe(0);
  expect(framesFilled + framesCopied).toBe(framesAllocated);
  expectContents(world);
  for (const other of world.others) expectContents(other);
  kernel.checkInvariants();
  for (const other of world.others) other.process.exit(0);
  process.exit(0);
  for (const pin of world.pins) pin.release();
  kernel.checkInvariants();
  expect([frames.freeFrames, cgroup.chargedFrames]).toEqual([frames.frameCount - 1, 0]);
  Reflect.deleteProperty(frames, "allocateFolio");
  // So that the next kernel finds this one's tables.
  kernel.shutDown();
}

const names = Object.keys(actions);

/** What comes before: as it was mapped, and small pages, shared ones, a huge page that was collapsed. */
const STARTS: readonly (readonly string[])[] = [
  [],
  ["fork, and stores in both"],
  ["store", "DONTNEED of the middle"],
  ["store", "DONTNEED of the middle", "COLLAPSE"],
];

describe.each(HUGE_REFERENCE_PAGES)("reference pages %s", (policy) => {
  test.each(names)("%s, before every other path", (name) => {
    for (const first of STARTS)
      for (const other of names) run(policy, "plumbed", first.length !== 1, [...first, name, other]);
  });

  test.each(["nozero", "double"] as const)("initialised %s", (initialisation) => {
    for (const first of STARTS) for (const name of names) run(policy, initialisation, true, [...first, name]);
  });

  test.each(names)("%s, without a block of frames", (name) => {
    for (const other of names) run(policy, "double", false, [name, other]);
  });
});
