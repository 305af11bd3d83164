// Where mappings go: the search for a gap against a naive model that looks at every area, and what a search costs in steps.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { SystemError } from "../../../../platform/kernel/abi/errors.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import {
  type AddressSpace,
  MMAP_BASE_PAGE,
  MMAP_MIN_PAGE,
  TASK_SIZE_PAGES,
} from "../../../../platform/kernel/mm/address-space.ts";
import { STACK_GUARD_GAP_PAGES } from "../../../../platform/kernel/mm/stack.ts";
import { getUnmappedArea } from "../../../../platform/kernel/mm/unmapped-area.ts";
import { VM_GROWSDOWN } from "../../../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const ANONYMOUS = 0x22;
const FIXED = 0x10;
const NOREPLACE = 0x100000;
const GROWSDOWN = 0x100;

function createProcess(): Process {
  return new Kernel(machine).createProcess();
}

/** Each gap from the highest down, as [first page, first page of the area above, how far up that area's guard gap lets it go]. */
function naiveGaps({ vmas }: AddressSpace): (readonly [floor: number, ceiling: number, guarded: number])[] {
  const areas = Array.from({ length: vmas.count }, (_, index) => {
    const id = vmas.at(index);
    const gap = (vmas.flags[id] & VM_GROWSDOWN) !== 0 ? STACK_GUARD_GAP_PAGES : 0;
    return { start: vmas.startPage[id], end: vmas.endPage[id], guarded: vmas.startPage[id] - gap };
  });
  const floors = [MMAP_MIN_PAGE, ...areas.map(({ end }) => end)];
  const borders = [...areas, { start: TASK_SIZE_PAGES, guarded: TASK_SIZE_PAGES }];
  return borders.map(({ start, guarded }, index) => [floors[index], start, guarded] as const).reverse();
}

/** The highest gap below the limit that is wide enough; a stack above it lowers the limit and leaves it there. */
function naiveSearch(space: AddressSpace, pages: number): number {
  let limit = MMAP_BASE_PAGE;
  for (const [floor, ceiling, guarded] of naiveGaps(space)) {
    if (Math.min(limit, ceiling) - floor < pages) continue;
    limit = Math.min(limit, guarded);
    if (Math.min(limit, ceiling) - floor >= pages) return Math.min(limit, ceiling) - pages;
  }
  return -1;
}

const step = fc.record({
  op: fc.constantFrom("map", "map", "map", "stack", "unmap", "part", "beside", "move", "grow"),
  pages: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 600 })),
  which: fc.nat(100),
  protect: fc.boolean(),
});

test("every choice is the naive one, after any maps, stacks, unmaps, moves and fixed mappings beside others", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const process = createProcess();
      const space = process.addressSpace;
      const { vmas } = space;
      for (const { op, pages, which, protect } of steps) {
        const id = vmas.at(which % Math.max(1, vmas.count));
        const start = id === -1 ? 0 : vmas.startPage[id];
        const end = id === -1 ? 0 : vmas.endPage[id];
        const length = Math.min(pages, end - start) * PAGE_SIZE;
        if (op === "map" || op === "stack") {
          const want = naiveSearch(space, pages);
          // Alternating protections, so that neighbours do not join.
          const flags = ANONYMOUS | (op === "stack" ? GROWSDOWN : 0);
          expect(process.mmap(0, pages * PAGE_SIZE, protect ? RW : 1, flags)).toBe(want * PAGE_SIZE);
        } else if (id === -1) continue;
        else if (op === "unmap") process.munmap(start * PAGE_SIZE, (end - start) * PAGE_SIZE);
        else if (op === "part") process.munmap((end - length / PAGE_SIZE) * PAGE_SIZE, length);
        else if (op === "beside") process.mmap((start - pages) * PAGE_SIZE, pages * PAGE_SIZE, RW, ANONYMOUS | FIXED);
        else if (op === "move") process.mremap(start * PAGE_SIZE, length, length + PAGE_SIZE, 1);
        else {
          try {
            process.mremap(start * PAGE_SIZE, (end - start) * PAGE_SIZE, (end - start + pages) * PAGE_SIZE, 0);
          } catch (error) {
            expect(error).toMatchObject({ code: "ENOMEM" });
          }
        }
      }
      expect(getUnmappedArea(space, 0, 3, 0, "mmap", true)).toBe(naiveSearch(space, 3));
      process.exit(0);
    }),
    { numRuns: 300 },
  );
});

test("a gap that a guard gap narrowed for a smaller search is found by a larger one", () => {
  const process = createProcess();
  const top = process.mmap(0, PAGE_SIZE, 1, ANONYMOUS);
  process.mmap(top - PAGE_SIZE, PAGE_SIZE, 1, ANONYMOUS | FIXED | GROWSDOWN);
  process.mmap(top - 3 * PAGE_SIZE, PAGE_SIZE, RW, ANONYMOUS | FIXED);
  const small = process.mmap(0, PAGE_SIZE, 1, ANONYMOUS);
  expect(small).toBe(top - (2 + STACK_GUARD_GAP_PAGES) * PAGE_SIZE);
  expect(process.mmap(0, 3 * PAGE_SIZE, 1, ANONYMOUS)).toBe(top - 6 * PAGE_SIZE);
});

describe("hints", () => {
  test("a free hint is taken, rounded down to a page", () => {
    const process = createProcess();
    expect(process.mmap(0x10_0000_0123, 5000, RW, ANONYMOUS)).toBe(0x10_0000_0000);
  });

  test("a hint over a mapping, beyond the address space or below the lowest page is passed over", () => {
    const process = createProcess();
    const first = process.mmap(0, PAGE_SIZE, RW, ANONYMOUS);
    for (const hint of [first, first - PAGE_SIZE, 2 ** 38 - PAGE_SIZE, 2 ** 40, PAGE_SIZE]) {
      const got = process.mmap(hint, 2 * PAGE_SIZE, 1, ANONYMOUS);
      expect(got).not.toBe(hint);
      expect(got).toBeLessThan(MMAP_BASE_PAGE * PAGE_SIZE);
      process.munmap(got, 2 * PAGE_SIZE);
    }
  });

  test("a hint in the gap that a stack needs is passed over", () => {
    const process = createProcess();
    const stack = 0x10_0000_0000;
    process.mmap(stack, PAGE_SIZE, RW, ANONYMOUS | FIXED | GROWSDOWN);
    const gap = STACK_GUARD_GAP_PAGES * PAGE_SIZE;
    expect(process.mmap(stack - gap, PAGE_SIZE, RW, ANONYMOUS)).not.toBe(stack - gap);
    expect(process.mmap(stack - gap - PAGE_SIZE, PAGE_SIZE, RW, ANONYMOUS)).toBe(stack - gap - PAGE_SIZE);
  });
});

describe("fixed addresses", () => {
  test("MAP_FIXED_NOREPLACE takes the address or fails with EEXIST", () => {
    const process = createProcess();
    const at = 0x10_0000_0000;
    expect(process.mmap(at, PAGE_SIZE, RW, ANONYMOUS | NOREPLACE)).toBe(at);
    expect(() => process.mmap(at - PAGE_SIZE, 2 * PAGE_SIZE, RW, ANONYMOUS | NOREPLACE)).toThrow(SystemError);
    expect(process.mmap(at + PAGE_SIZE, PAGE_SIZE, RW, ANONYMOUS | NOREPLACE)).toBe(at + PAGE_SIZE);
  });

  test("the last page of the address space can be mapped, the next cannot", () => {
    const process = createProcess();
    const last = (TASK_SIZE_PAGES - 1) * PAGE_SIZE;
    expect(process.mmap(last, PAGE_SIZE, RW, ANONYMOUS | FIXED)).toBe(last);
    process.memory.setUint8(last + 4095, 7);
    expect(process.memory.getUint8(last + 4095)).toBe(7);
    expect(() => process.mmap(last, 2 * PAGE_SIZE, RW, ANONYMOUS | FIXED)).toThrow(
      expect.objectContaining({ code: "ENOMEM" }),
    );
  });
});

test("all of the room is used before there is none", () => {
  const process = createProcess();
  const all = (MMAP_BASE_PAGE - MMAP_MIN_PAGE) * PAGE_SIZE;
  expect(() => process.mmap(0, all + PAGE_SIZE, RW, ANONYMOUS)).toThrow(expect.objectContaining({ code: "ENOMEM" }));
  expect(process.mmap(0, all, RW, ANONYMOUS)).toBe(MMAP_MIN_PAGE * PAGE_SIZE);
  expect(() => process.mmap(0, PAGE_SIZE, RW, ANONYMOUS)).toThrow(expect.objectContaining({ code: "ENOMEM" }));
});

describe("with 60,000 areas", () => {
  const COUNT = 60_000;

  /** A process whose neighbours differ in protection, and a count of the areas that later searches look at. */
  function crowded(): { process: Process; steps: () => number; addresses: number[] } {
    const process = createProcess();
    const at = vi.spyOn(process.addressSpace.vmas, "at");
    const addresses = Array.from({ length: COUNT }, (_, i) =>
      process.mmap(0, PAGE_SIZE, i % 2 === 0 ? RW : 1, ANONYMOUS),
    );
    return { process, steps: () => at.mock.calls.length, addresses };
  }

  test("making them looks at a few areas for each, freed gaps are used again, and so are searches past gaps too small", () => {
    const { process, steps, addresses } = crowded();
    expect(process.addressSpace.vmas.count).toBe(COUNT);
    expect(steps()).toBeLessThan(10 * COUNT);
    expect(addresses.at(-1)).toBe((MMAP_BASE_PAGE - COUNT) * PAGE_SIZE);

    for (let i = 0; i < COUNT; i += 100) process.munmap(addresses[i], PAGE_SIZE);
    const beforeSmall = steps();
    for (let i = 0; i < COUNT; i += 100) expect(process.mmap(0, PAGE_SIZE, RW, ANONYMOUS)).toBe(addresses[i]);
    expect(steps() - beforeSmall).toBeLessThan(10 * COUNT);

    for (let i = 0; i < COUNT; i += 100) process.munmap(addresses[i], PAGE_SIZE);
    const beforeLarge = steps();
    for (let i = 0; i < 1000; i++) process.mmap(0, 2 * PAGE_SIZE, i % 2 === 0 ? RW : 1, ANONYMOUS);
    expect(steps() - beforeLarge).toBeLessThan(3 * COUNT);
    process.exit(0);
  });
});

test("a gap is found below the lowest area when nothing lies at the top of the address space", () => {
  const process = createProcess();
  const upper = process.mmap(0, 64 * PAGE_SIZE, 0, ANONYMOUS);
  const lower = process.mmap(0, PAGE_SIZE, RW, ANONYMOUS);
  process.munmap(upper, 64 * PAGE_SIZE);
  const large = process.mmap(0, 512 * PAGE_SIZE, 0, ANONYMOUS);
  expect(large + 512 * PAGE_SIZE).toBeLessThanOrEqual(lower);
});

describe("private anonymous memory of a multiple of 2 MiB", () => {
  const HUGE = 2 ** 21;

  test.each([1, 2, 5])("is put at a multiple of 2 MiB: %d blocks", (blocks) => {
    const process = createProcess();
    process.mmap(0, PAGE_SIZE, 1, ANONYMOUS);
    expect(process.mmap(0, blocks * HUGE, RW, ANONYMOUS) % HUGE).toBe(0);
  });

  test("overlaps nothing, while areas around it are mapped and unmapped", () => {
    const process = createProcess();
    const steps = [HUGE, PAGE_SIZE, 3 * HUGE, 5 * PAGE_SIZE, HUGE];
    const starts = steps.map((length) => process.mmap(0, length, RW, ANONYMOUS));
    process.munmap(starts[2], 3 * HUGE);
    const again = process.mmap(0, 2 * HUGE, RW, ANONYMOUS);
    expect(again % HUGE).toBe(0);
    const pages = steps.reduce((sum, length) => sum + length, 0) - 3 * HUGE + 2 * HUGE;
    expect(process.addressSpace.totalPages).toBe(pages / PAGE_SIZE);
  });

  test("is put anywhere if only the alignment does not fit", () => {
    const process = createProcess();
    const space = process.addressSpace;
    space.mmapBase = 16 + 512 + 3;
    expect(process.mmap(0, HUGE, RW, ANONYMOUS)).toBe(19 * PAGE_SIZE);
  });
});
