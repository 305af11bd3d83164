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

describe("a block of order n", () => {
  test.each([0, 1, 5, 10])("%d is aligned to its size, zeroed, and of frames that nobody has", (order) => {
    const frames = create("plumbed", false);
    const used = [1, 2, 3].map(() => frames.allocate(pattern, null));
    const first = frames.allocateBlock(order, null);
    const block = Array.from({ length: 1 << order }, (_, i) => first + i);
    expect(first % (1 << order)).toBe(0);
    expect(block.some((frame) => used.includes(frame))).toBe(false);
    expect(block.every((frame) => frames.references[frame] === 1 && byteOf(frames, frame) === 0)).toBe(true);
    frames.checkInvariants();
    for (const frame of block) frames.put(frame);
    expect(frames.freeFrames).toBe(frames.frameCount - 1 - used.length);
    frames.checkInvariants();
  });

  test("is put together from frames that were used and freed", () => {
    const frames = create("plumbed", false);
    const had: number[] = [];
    for (let frame = frames.allocate(zeroPage, null); frame !== NO_FRAME; frame = frames.allocate(zeroPage, null))
      had.push(frame);
    for (const frame of had.filter((frame) => frame >= 64 && frame < 72).reverse()) frames.put(frame);
    expect(frames.allocateBlock(3, null)).toBe(64);
    expect(frames.freeFrames).toBe(0);
  });

  test("cannot be had from scattered frames", () => {
    const frames = create("plumbed", false);
    const had: number[] = [];
    for (let frame = frames.allocate(zeroPage, null); frame !== NO_FRAME; frame = frames.allocate(zeroPage, null))
      had.push(frame);
    for (const frame of had) if (frame % 2 === 0) frames.put(frame);
    expect(frames.allocateBlock(1, null)).toBe(NO_FRAME);
    expect(frames.allocateBlock(0, null)).not.toBe(NO_FRAME);
    frames.checkInvariants();
  });

  test.each([1, 2, 7, 8])("whose frame %d fails leaves nothing allocated or charged", (n) => {
    const frames = create();
    const cgroup = createCgroup(frames, 100);
    const free = frames.freeFrames;
    frames.failAt(n);
    expect(frames.allocateBlock(3, cgroup)).toBe(NO_FRAME);
    expect(frames.freeFrames).toBe(free);
    expect(cgroup.chargedFrames).toBe(0);
    frames.checkInvariants();
  });

  test("does not pass its cgroup's limit", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 7);
    expect(frames.allocateBlock(3, cgroup)).toBe(NO_FRAME);
    expect(cgroup).toMatchObject({ chargedFrames: 0, failures: 1 });
    expect(frames.allocateBlock(2, cgroup)).not.toBe(NO_FRAME);
    expect(cgroup.chargedFrames).toBe(4);
  });

  test.each([-1, 11, 1.5, NaN])("of order %d does not exist", (order) => {
    expect(() => create().allocateBlock(order, null)).toThrow(RangeError);
  });
});

test("after any order of allocations, copies, blocks, references and failures the counts agree with a plain model", () => {
  const operation = fc.record({
    kind: fc.constantFrom("allocate", "copy", "get", "put", "put", "block", "fail"),
    which: fc.nat(1000),
    order: fc.nat(3),
    charged: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const frames = create("plumbed", false);
      const cgroup = createCgroup(frames, 20);
      const references = new Map<number, number>();
      const owners = new Map<number, boolean>();
      const take = (frame: number, charged: boolean) => {
        if (frame === NO_FRAME) return;
        references.set(frame, 1);
        owners.set(frame, charged);
      };
      for (const { kind, which, order, charged } of operations) {
        const held = [...references.keys()];
        const frame = held[which % held.length];
        const group = charged ? cgroup : null;
        if (kind === "allocate") take(frames.allocate(zeroPage, group), charged);
        else if (kind === "fail") frames.failAt(1 + (which % 4));
        else if (kind === "block") {
          const first = frames.allocateBlock(order, group);
          if (first !== NO_FRAME) for (let i = 0; i < 1 << order; i++) take(first + i, charged);
        } else if (frame === undefined) continue;
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
        expect(frames.freeFrames).toBe(frames.frameCount - 1 - references.size);
        expect(cgroup.chargedFrames).toBe([...references.keys()].filter((held) => owners.get(held)).length);
      }
      for (const [frame, count] of references) expect(frames.references[frame]).toBe(count);
    }),
    { numRuns: 30 },
  );
});

describe("checkInvariants names", () => {
  test("a free frame that is referenced", () => {
    const frames = create();
    const frame = frames.allocate(zeroPage, null);
    frames.put(frame);
    frames.references[frame] = 1;
    expect(() => frames.checkInvariants()).toThrow(/frames are used|reference count 1/);
  });

  test("a charge that nobody pays", () => {
    const frames = create();
    const cgroup = createCgroup(frames, 9);
    frames.allocate(zeroPage, cgroup);
    cgroup.chargedFrames = 5;
    expect(() => frames.checkInvariants()).toThrow("charged 5 frames but 1 carry its id");
  });
});
