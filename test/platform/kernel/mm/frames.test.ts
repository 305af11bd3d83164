// The page allocator: initialisation policies (R8), reference counts, cgroup charges, fault injection and blocks.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { MemoryCgroup } from "../../../../platform/kernel/mm/cgroup.ts";
import {
  type CleanPage,
  FrameAllocator,
  INITIALISATION_POLICIES,
  type InitialisationPolicy,
  NO_FRAME,
  ZERO_FRAME,
  zeroPage,
} from "../../../../platform/kernel/mm/frames.ts";

function create(policy: InitialisationPolicy = "plumbed", mte = true): FrameAllocator {
  return new FrameAllocator(new Machine({ memoryBytes: 16 * 2 ** 20, mte }), policy);
}

function createCgroup(frames: FrameAllocator, limitPages: number): MemoryCgroup {
  const cgroup = new MemoryCgroup(frames.cgroups.length, { name: "group", limitBytes: limitPages * PAGE_SIZE });
  frames.cgroups.push(cgroup);
  return cgroup;
}

/** A clean page that fills with one byte and counts as a reference page does. */
const pattern: CleanPage = {
  frame: ZERO_FRAME,
  initialise(ram, counters, frame) {
    ram.fillFrame(frame, 0xaa);
    counters.framesFilled++;
    counters.bytesFilled += PAGE_SIZE;
  },
};

function byteOf(frames: FrameAllocator, frame: number): number {
  return frames.ram.bankOf(frame)[frames.ram.positionOf(frame) + 100];
}

describe("what initialisation costs (R8)", () => {
  test.each([
    ["nozero", 0, PAGE_SIZE],
    ["double", PAGE_SIZE, PAGE_SIZE],
    ["plumbed", 0, PAGE_SIZE],
  ] as const)("%s: a frame to be filled has %d bytes zeroed and %d filled", (policy, bytesZeroed, bytesFilled) => {
    const frames = create(policy);
    const frame = frames.allocate(pattern, null);
    expect(byteOf(frames, frame)).toBe(0xaa);
    expect(frames.counters).toMatchObject({ bytesZeroed, bytesFilled, framesAllocated: 1 });
  });

  test.each(INITIALISATION_POLICIES)("%s: a zeroed frame is zeroed once", (policy) => {
    const frames = create(policy);
    frames.put(frames.allocate(pattern, null));
    const before = frames.counters.snapshot();
    expect(byteOf(frames, frames.allocate(zeroPage, null))).toBe(0);
    expect(frames.counters.since(before)).toMatchObject({ framesZeroed: 1, bytesZeroed: PAGE_SIZE, framesFilled: 0 });
  });

  test.each([
    ["nozero", 0],
    ["double", 1],
    ["plumbed", 0],
  ] as const)("%s: a copied frame is zeroed %d times before", (policy, framesZeroed) => {
    const frames = create(policy);
    const source = frames.allocate(pattern, null);
    frames.ram.setTag(source, 3, 7);
    const before = frames.counters.snapshot();
    const copy = frames.allocateCopy(source, null);
    expect(byteOf(frames, copy)).toBe(0xaa);
    expect(frames.ram.getTag(copy, 3)).toBe(7);
    expect(frames.counters.since(before)).toMatchObject({ framesZeroed, framesCopied: 1, bytesCopied: PAGE_SIZE });
  });

  test("a zeroed frame has no tags of its earlier owner", () => {
    const frames = create();
    const frame = frames.allocate(zeroPage, null);
    frames.ram.fillTags(frame, 5);
    frames.put(frame);
    expect(frames.allocate(zeroPage, null)).toBe(frame);
    expect(frames.ram.getTag(frame, 9)).toBe(0);
  });
});

describe("reference counts", () => {
  test("a frame is free again when the last reference is given back", () => {
    const frames = create();
    const free = frames.freeFrames;
    const frame = frames.allocate(zeroPage, null);
    frames.get(frame);
    frames.put(frame);
    expect(frames.freeFrames).toBe(free - 1);
    frames.put(frame);
    expect(frames.freeFrames).toBe(free);
    expect(frames.counters.framesFreed).toBe(1);
  });

  test("every frame but the zero page can be had, each once, and then none", () => {
    const frames = create("plumbed", false);
    const got = new Set<number>();
    for (let frame = frames.allocate(zeroPage, null); frame !== NO_FRAME; frame = frames.allocate(zeroPage, null)) {
      got.add(frame);
    }
    expect(got.size).toBe(frames.frameCount - 1);
    expect(got.has(ZERO_FRAME)).toBe(false);
    expect(frames.freeFrames).toBe(0);
    frames.checkInvariants();
  });

  test("the frame that was freed last is the next to be had", () => {
    const frames = create();
    const [first, second] = [frames.allocate(zeroPage, null), frames.allocate(zeroPage, null)];
    frames.put(second);
    frames.put(first);
    expect(frames.allocate(zeroPage, null)).toBe(first);
  });
});

describe("a cgroup", () => {
  test("pays for each frame until the last reference is gone, and no further than its limit", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 2);
    const first = frames.allocate(zeroPage, cgroup);
    frames.allocateCopy(first, cgroup);
    expect(frames.allocate(zeroPage, cgroup)).toBe(NO_FRAME);
    expect(cgroup).toMatchObject({ chargedFrames: 2, peakFrames: 2, failures: 1 });
    frames.get(first);
    frames.put(first);
    expect(cgroup.chargedFrames).toBe(2);
    frames.put(first);
    expect(cgroup.chargedFrames).toBe(1);
    expect(frames.allocate(zeroPage, cgroup)).not.toBe(NO_FRAME);
    frames.checkInvariants();
  });

  test("at its limit does not keep others from memory", () => {
    const frames = create();
    const full = createCgroup(frames, 0);
    const other = createCgroup(frames, 10);
    expect(frames.allocate(zeroPage, full)).toBe(NO_FRAME);
    expect(frames.allocate(zeroPage, other)).not.toBe(NO_FRAME);
    expect(frames.allocate(zeroPage, null)).not.toBe(NO_FRAME);
  });

  test("whose limit is lowered below what it has gets nothing until it has given back enough", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 4);
    const had = [1, 2, 3].map(() => frames.allocate(zeroPage, cgroup));
    cgroup.limitBytes = 2 * PAGE_SIZE;
    frames.put(had[0]);
    expect(frames.allocate(zeroPage, cgroup)).toBe(NO_FRAME);
    frames.put(had[1]);
    expect(frames.allocate(zeroPage, cgroup)).not.toBe(NO_FRAME);
  });

  test.each([NaN, -1])("cannot have a limit of %d", (limitBytes) => {
    expect(() => new MemoryCgroup(0, { name: "x", limitBytes })).toThrow(RangeError);
  });
});

describe("failAt", () => {
  test.each([1, 2, 3])("makes the allocation %d calls from now fail, once", (n) => {
    const frames = create();
    frames.failAt(n);
    const got = [1, 2, 3, 4].map(() => frames.allocate(zeroPage, null) !== NO_FRAME);
    expect(got).toEqual([1, 2, 3, 4].map((i) => i !== n));
  });

  test("can be switched off again", () => {
    const frames = create();
    frames.failAt(1);
    frames.failAt(-1);
    expect(frames.allocate(zeroPage, null)).not.toBe(NO_FRAME);
  });

  test("charges nothing for the frame that could not be had", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 10);
    frames.failAt(1);
    frames.allocate(zeroPage, cgroup);
    expect(cgroup.chargedFrames).toBe(0);
    expect(frames.counters.framesAllocated).toBe(0);
  });
});

/** Takes every frame there is, one by one. */
function takeAll(frames: FrameAllocator): number[] {
  const had: number[] = [];
  for (let frame = frames.allocate(zeroPage, null); frame !== NO_FRAME; frame = frames.allocate(zeroPage, null))
    had.push(frame);
  return had;
}

describe("a large folio", () => {
  test.each([1, 2, 5, 8, 9])("of order %d is aligned to its size, zeroed, and of free frames", (order) => {
    const frames = create("plumbed", false);
    const used = [1, 2, 3].map(() => frames.allocate(pattern, null));
    const head = frames.allocateFolio(order, zeroPage, null);
    const members = Array.from({ length: 1 << order }, (_, i) => head + i);
    expect(head % (1 << order)).toBe(0);
    expect(members.some((frame) => used.includes(frame))).toBe(false);
    expect(members.every((frame) => frames.headOf(frame) === head && byteOf(frames, frame) === 0)).toBe(true);
    expect(frames.freeFrames).toBe(frames.frameCount - 1 - used.length - members.length);
    frames.checkInvariants();
    frames.put(head);
    expect(frames.freeFrames).toBe(frames.frameCount - 1 - used.length);
    frames.checkInvariants();
  });

  test.each([
    ["nozero", 0],
    ["double", 512],
    ["plumbed", 0],
  ] as const)("%s: a folio to be filled has %d of its frames zeroed, and all filled", (policy, framesZeroed) => {
    const frames = create(policy);
    frames.allocateFolio(9, pattern, null);
    expect(frames.counters).toMatchObject({ framesZeroed, framesFilled: 512, framesAllocated: 512 });
  });

  test("lives until the last reference to any of its frames is given back", () => {
    const frames = create();
    const free = frames.freeFrames;
    const head = frames.allocateFolio(9, zeroPage, null);
    frames.get(head + 100);
    frames.put(head);
    expect(frames.freeFrames).toBe(free - 512);
    frames.put(head + 7);
    expect(frames.freeFrames).toBe(free);
    frames.checkInvariants();
  });

  test("is put together from frames that were used and freed", () => {
    const frames = create("plumbed", false);
    for (const frame of takeAll(frames)
      .filter((frame) => frame >= 1024 && frame < 1536)
      .reverse())
      frames.put(frame);
    expect(frames.allocateFolio(9, zeroPage, null)).toBe(1024);
    expect(frames.freeFrames).toBe(0);
    expect(frames.allocate(zeroPage, null)).toBe(NO_FRAME);
  });

  test("cannot be had while a frame of each block is used, and can when one block's is freed", () => {
    const frames = create("plumbed", false);
    const had = takeAll(frames);
    for (const frame of had) if (frame % 512 !== 300) frames.put(frame);
    expect(frames.allocateFolio(9, zeroPage, null)).toBe(NO_FRAME);
    expect(frames.allocateFolio(8, zeroPage, null)).not.toBe(NO_FRAME);
    frames.put(2 * 512 + 300);
    expect(frames.allocateFolio(9, zeroPage, null)).toBe(1024);
    frames.checkInvariants();
  });

  test("that was freed serves single frames once there are no others", () => {
    const frames = create("plumbed", false);
    const head = frames.allocateFolio(9, zeroPage, null);
    const had = takeAll(frames);
    frames.put(head);
    expect(had).not.toContain(head);
    expect(takeAll(frames)).toHaveLength(512);
    expect(frames.freeFrames).toBe(0);
    frames.checkInvariants();
  });

  test("whose pieces of a cut block were not all wanted leaves the rest to single frames", () => {
    const frames = create("plumbed", false);
    frames.allocateFolio(4, zeroPage, null);
    expect(takeAll(frames)).toHaveLength(frames.frameCount - 1 - 16);
    frames.checkInvariants();
  });

  test("that fails leaves nothing allocated or charged", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 1000);
    const free = frames.freeFrames;
    frames.failAt(1);
    expect(frames.allocateFolio(9, zeroPage, cgroup)).toBe(NO_FRAME);
    expect([frames.freeFrames, cgroup.chargedFrames]).toEqual([free, 0]);
    frames.checkInvariants();
  });

  test("is charged as a whole, and does not pass its cgroup's limit", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 511);
    expect(frames.allocateFolio(9, zeroPage, cgroup)).toBe(NO_FRAME);
    expect(cgroup).toMatchObject({ chargedFrames: 0, failures: 1 });
    const head = frames.allocateFolio(4, zeroPage, cgroup);
    expect(cgroup.chargedFrames).toBe(16);
    frames.checkInvariants();
    frames.put(head);
    expect(cgroup.chargedFrames).toBe(0);
  });

  test("that is split keeps its mapped frames, single, and gives the others back", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 1000);
    const head = frames.allocateFolio(4, zeroPage, cgroup);
    frames.map(head + 3, 1);
    expect(frames.splitFolio(head)).toBe(true);
    expect([frames.references[head + 3], frames.references[head], cgroup.chargedFrames]).toEqual([1, 0, 1]);
    frames.unmap(head + 3, 1);
    expect(frames.freeFrames).toBe(frames.frameCount - 1);
    frames.checkInvariants();
  });

  test("is not split while something else holds it", () => {
    const frames = create();
    const head = frames.allocateFolio(4, zeroPage, null);
    frames.map(head, 1);
    frames.pin(head + 1);
    expect(frames.splitFolio(head)).toBe(false);
    frames.unpin(head + 1);
    expect(frames.splitFolio(head)).toBe(true);
  });
});

test("after any order of allocations, copies, blocks, references and failures the counts agree with a plain model", () => {
  const operation = fc.record({
    kind: fc.constantFrom("allocate", "copy", "get", "put", "put", "folio", "fail"),
    which: fc.nat(1000),
    order: fc.constantFrom(1, 2, 4, 9),
    charged: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const frames = create("plumbed", false);
      const cgroup = createCgroup(frames, 1100);
      const references = new Map<number, number>();
      const owners = new Map<number, boolean>();
      const sizes = new Map<number, number>();
      const take = (frame: number, charged: boolean, size = 1) => {
        if (frame === NO_FRAME) return;
        references.set(frame, 1);
        owners.set(frame, charged);
        sizes.set(frame, size);
      };
      const pages = (held: readonly number[]) => held.reduce((sum, frame) => sum + (sizes.get(frame) as number), 0);
      for (const { kind, which, order, charged } of operations) {
        const held = [...references.keys()];
        const frame = held[which % held.length];
        const group = charged ? cgroup : null;
        if (kind === "allocate") take(frames.allocate(zeroPage, group), charged);
        else if (kind === "fail") frames.failAt(1 + (which % 4));
        else if (kind === "folio") take(frames.allocateFolio(order, zeroPage, group), charged, 1 << order);
        else if (frame === undefined) continue;
        else if (kind === "copy") take(frames.allocateCopy(frame, group), charged);
        else {
          const count = references.get(frame) as number;
          if (kind === "get") frames.get(frame);
          else frames.put(frame);
          if (kind === "get") references.set(frame, count + 1);
          else if (count === 1) references.delete(frame);
          else references.set(frame, count - 1);
        }
        frames.checkInvariants();
        expect(frames.freeFrames).toBe(frames.frameCount - 1 - pages([...references.keys()]));
        expect(cgroup.chargedFrames).toBe(pages([...references.keys()].filter((held) => owners.get(held))));
      }
      for (const [frame, count] of references) {
        expect(sizes.get(frame) === 1 ? frames.references[frame] : frames.folios.references(frame)).toBe(count);
      }
    }),
    { numRuns: 30 },
  );
});

test("a folio is found between frames that are used, in the only place that is free", () => {
  const frames = create();
  const taken: number[] = [];
  for (let frame = frames.allocate(zeroPage, null); frame !== NO_FRAME; frame = frames.allocate(zeroPage, null))
    taken.push(frame);
  for (const frame of taken) if (frame >= 1024 && frame < 1028) frames.put(frame);
  expect(frames.allocateFolio(2, zeroPage, null)).toBe(1024);
  expect(frames.allocateFolio(2, zeroPage, null)).toBe(NO_FRAME);
  frames.checkInvariants();
});

describe("checkInvariants names", () => {
  test("a free frame that is referenced", () => {
    const frames = create();
    const frame = frames.allocate(zeroPage, null);
    frames.put(frame);
    frames.references[frame] = 1;
    expect(() => frames.checkInvariants()).toThrow(/frames are used|reference count 1/);
  });

  test.each([-1, -5])("a reference count of %i", (count) => {
    const frames = create();
    const frame = frames.allocate(zeroPage, null);
    frames.references[frame] = count;
    expect(() => frames.checkInvariants()).toThrow(`frame ${frame} has reference count ${count}`);
  });

  test("a charge that no group pays", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 9);
    frames.allocate(zeroPage, cgroup);
    cgroup.chargedFrames = 5;
    expect(() => frames.checkInvariants()).toThrow("charged 5 frames but 1 carry its id");
  });

  test("a free frame that is dirty", () => {
    const frames = create();
    const frame = frames.allocate(zeroPage, null);
    frames.dirty[frame] = 1;
    frames.checkInvariants();
    frames.put(frame);
    frames.dirty[frame] = 1;
    expect(() => frames.checkInvariants()).toThrow(`free frame ${frame} is dirty`);
  });

  test("frames that neither are free nor used", () => {
    const frames = create();
    Object.assign(frames, { usedFrames: 3 });
    expect(() => frames.checkInvariants()).toThrow("3 frames are used and 4095 free, of 4096");
  });

  test("the charge of a large folio, all its frames", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 2 ** 10);
    frames.allocateFolio(4, zeroPage, cgroup);
    frames.checkInvariants();
    cgroup.chargedFrames--;
    expect(() => frames.checkInvariants()).toThrow("charged 15 frames but 16 carry its id");
  });
});
