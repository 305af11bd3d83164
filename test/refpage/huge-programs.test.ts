// Random programs on mappings of reference pages where huge pages are allowed, against a plain model of R16: contents, faults,
// residency. The model knows blocks and pages; it knows nothing of page tables, folios or frames.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createKernel, Machine, type Process, refpage_create2 } from "../../refpage/index.ts";
import "../seed.ts";

const PAGE = 4096;
/** Pages of a block. */
const H = 512;
const BASE = 2 ** 32;
const BLOCKS = 3;
const MAP_PRIVATE_FIXED = 0x12;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const patterns = [[0xaa], [1, 2], [1, 2, 3, 4, 5, 6, 7, 8]] as const;

/** `untouched`: no page table; `clean`, `own`: mapped by one huge entry, of the reference page or of a private page; `small`: by pages. */
type BlockState = "untouched" | "clean" | "own" | "small";

interface Block {
  readonly pattern: readonly number[];
  state: BlockState;
  /** Pages that need no fault to be loaded, and private ones with the bytes that were stored. */
  readonly present: boolean[];
  readonly own: (Map<number, number> | undefined)[];
}

type Policy = "small" | "duplicate" | "huge-clean-small-dirty";
type Space = (Block | undefined)[];

const machine = new Machine({ memoryBytes: 64 * 2 ** 20, mte: false });

const block = fc.nat(BLOCKS - 1);
const pageInBlock = fc.oneof(fc.nat(H - 1), fc.constantFrom(0, 1, H - 1));
const step = fc.oneof(
  fc.record({ op: fc.constant("map" as const), block, pattern: fc.nat(patterns.length - 1) }),
  fc.record({ op: fc.constant("store" as const), block, page: pageInBlock, value: fc.nat(255) }),
  fc.record({ op: fc.constant("load" as const), block, page: pageInBlock }),
  fc.record({ op: fc.constant("dontneed" as const), block, page: pageInBlock, length: fc.constantFrom(1, 7, H) }),
  fc.record({ op: fc.constant("unmap" as const), block }),
);
type RandomStep = typeof step extends fc.Arbitrary<infer T> ? T : never;

function loadInModel(at: Block, page: number, policy: Policy): number {
  if (at.present[page]) return 0;
  if (at.state === "untouched" && policy !== "small") {
    at.state = "clean";
    at.present.fill(true);
  } else {
    at.state = "small";
    at.present[page] = true;
  }
  return 1;
}

function storeInModel(at: Block, page: number, value: number, policy: Policy): number {
  const had = at.own[page] !== undefined;
  if (!had && policy === "duplicate" && (at.state === "untouched" || at.state === "clean")) {
    at.state = "own";
    at.present.fill(true);
    for (let each = 0; each < H; each++) at.own[each] = new Map();
  } else if (!had) {
    at.state = "small";
    at.present[page] = true;
    at.own[page] = new Map();
  }
  at.own[page]?.set(offsetOf(page), value);
  return had ? 0 : 1;
}

function dropInModel(at: Block, from: number, to: number): void {
  at.present.fill(false, from, to);
  at.own.fill(undefined, from, to);
  if (from === 0 && to === H) at.state = "untouched";
  else if (at.state !== "untouched") at.state = "small";
}

/** Each page has one byte that stores go to. */
const offsetOf = (page: number): number => (page * 37) % PAGE;

function takeStep(
  process: Process,
  descriptors: readonly number[],
  space: Space,
  one: RandomStep,
  policy: Policy,
): void {
  const start = BASE + one.block * H * PAGE;
  const at = space[one.block];
  const before = process.minorFaults;
  let faults = 0;
  if (one.op === "map") {
    process.mmap(start, H * PAGE, 3, MAP_PRIVATE_FIXED, descriptors[one.pattern] as number, 0);
    process.madvise(start, H * PAGE, MADV_HUGEPAGE);
    const fresh = { present: new Array<boolean>(H).fill(false), own: new Array<undefined>(H).fill(undefined) };
    space[one.block] = { pattern: patterns[one.pattern] as readonly number[], state: "untouched", ...fresh };
  } else if (one.op === "unmap") {
    process.munmap(start, H * PAGE);
    space[one.block] = undefined;
  } else if (at === undefined) {
    return;
  } else if (one.op === "store") {
    faults = storeInModel(at, one.page, one.value, policy);
    process.memory.setUint8(start + one.page * PAGE + offsetOf(one.page), one.value);
  } else if (one.op === "load") {
    faults = loadInModel(at, one.page, policy);
    process.memory.getUint8(start + one.page * PAGE);
  } else {
    const from = one.length === H ? 0 : one.page;
    const to = Math.min(H, from + one.length);
    process.madvise(start + from * PAGE, (to - from) * PAGE, MADV_DONTNEED);
    dropInModel(at, from, to);
  }
  expect(process.minorFaults - before).toBe(faults);
}

function compare(process: Process, space: Space): void {
  const owned = space.reduce((sum, at) => sum + (at?.own.filter((page) => page !== undefined).length ?? 0), 0);
  expect(process.rssBytes / PAGE).toBe(owned);
  for (const [index, at] of space.entries()) {
    if (at === undefined) continue;
    const start = BASE + index * H * PAGE;
    expect([...process.mincore(start, H * PAGE)]).toEqual(at.present.map(Number));
    for (const page of [0, 1, 255, H - 1, at.own.findIndex((own) => own !== undefined)]) {
      if (page < 0) continue;
      const expected = Uint8Array.from({ length: PAGE }, (_, offset) => {
        return at.own[page]?.get(offset) ?? (at.pattern[offset % at.pattern.length] as number);
      });
      expect(Buffer.compare(process.memory.read(start + page * PAGE, PAGE), expected)).toBe(0);
    }
  }
}

for (const hugeReferencePages of ["small", "duplicate", "huge-clean-small-dirty"] as const) {
  test(`any program sees the model's contents, faults and residency under the policy ${hugeReferencePages}`, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const kernel = createKernel(machine, { hugeReferencePages });
        const process = kernel.createProcess({ name: "random" });
        const scratch = process.mmap(0, PAGE, 3, MAP_PRIVATE_ANONYMOUS);
        const descriptors = patterns.map((pattern) => {
          process.memory.write(scratch, Uint8Array.from(pattern));
          return refpage_create2(process, scratch, pattern.length);
        });
        process.munmap(scratch, PAGE);
        const space: Space = new Array(BLOCKS).fill(undefined);
        for (const one of steps) takeStep(process, descriptors, space, one, hugeReferencePages);
        kernel.checkInvariants();
        compare(process, space);
        process.exit(0);
        kernel.checkInvariants();
        expect(kernel.frames.freeFrames).toBe(kernel.frames.frameCount - 1);
      }),
      { numRuns: 40 },
    );
  });
}
