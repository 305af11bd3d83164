// What compiled code must leave to the heap: misuse, damage, forged headers, pages that do not permit what it does. Each call is made on a heap
// on an equal machine, too, which has no compiled ways. What usual calls do is code.test.ts.
import { describe, expect, test } from "vitest";
import { packLow, STATE_ALLOCATED } from "../../../allocator/combined/chunk-header.ts";
import { defaultSizeClassMap } from "../../../allocator/options/size-class-map.ts";
import { ODD_VALUES } from "../../../fuzz/heap/both-ways.ts";
import { PTE_FRAME_SHIFT } from "../../../platform/hardware/layout.ts";
import { tagRange } from "../../../platform/hardware/tag-store.ts";
import { withTag } from "../../../platform/hardware/tags.ts";
import { PR_MTE_TCF_SYNC, PR_SET_TAGGED_ADDR_CTRL } from "../../../platform/kernel/abi/prctl.ts";
import { type OpenHeap, openHeap } from "../open-heap.ts";
import { outcomeOf, sameBothWays } from "./same-both-ways.ts";

const PROT_READ = 1;
const PROT_MTE = 0x20;
const MADV_DONTNEED = 4;

const classOf = (size: number): number => defaultSizeClassMap.classOf(16 + Math.ceil(size / 16) * 16);
const pageOf = (address: number): number => Math.floor(address / 4096) * 4096;

/** Gives a chunk another header, with a right checksum. */
const forge =
  (low: number, offset = 0) =>
  (heap: OpenHeap, p: number): number => {
    heap.parts.headers.store(heap.parts.program.memory, p, low, offset);
    return p;
  };

describe("the compiled free gives up, and the heap judges", () => {
  /** Frees of chunks that were made so that compiled code must refuse them. */
  const refuse = (prepare: readonly ((heap: OpenHeap, p: number) => number)[]): void => {
    for (const deallocTypeMismatch of [false, true]) {
      sameBothWays({ deallocTypeMismatch }, 100, (heap, soFar) => {
        // All of them first: what is freed all the same may be handed out again.
        const pointers = prepare.map((make) => make(heap, heap.malloc(100)));
        return pointers.map((pointer, index) => {
          const before = soFar();
          const outcome = outcomeOf(() => heap.free(pointer));
          expect(soFar(), `case ${index}`).toBe(before);
          return outcome;
        });
      });
    }
  };

  const SIZES = [100, 4080, 4081, 5000] as const;
  const pairs = <A, B>(as: readonly A[], bs: readonly B[]): [A, B][] =>
    as.flatMap((a) => bs.map((b): [A, B] => [a, b]));

  test("where any bit of the header has changed", () => {
    refuse(
      Array.from({ length: 64 }, (_, bit) => (heap, p) => {
        const place = p - 16 + (bit >> 3);
        heap.memory.setUint8(place, heap.memory.getUint8(place) ^ (1 << (bit & 7)));
        return p;
      }),
    );
  });

  test("where state or origin are others, with a right checksum", () => {
    const others = pairs([0, 1, 2, 3], [0, 1, 2, 3]).filter(([state, origin]) => state !== 1 || origin !== 0);
    refuse(pairs(others, SIZES).map(([[state, origin], size]) => forge(packLow(classOf(size), state, origin, size))));
  });

  test("where the header names class 0, or one that there is not, with a right checksum", () => {
    const classes = [0, 45, 46, 100, 128, 200, 255];
    refuse(pairs(classes, SIZES).map(([classId, size]) => forge(packLow(classId, STATE_ALLOCATED, 0, size))));
  });

  test("where the header names an offset, with a right checksum", () => {
    const offsets = [1, 2, 255, 0xffff];
    refuse(
      pairs(offsets, SIZES).map(([offset, size]) => forge(packLow(classOf(size), STATE_ALLOCATED, 0, size), offset)),
    );
  });

  test("for every value that is not a pointer", () => {
    refuse(ODD_VALUES.map((odd) => () => odd as number));
  });

  test("for a pointer with a fraction, a tag, a sign, or beside the chunk", () => {
    const distances = [0.5, 1 / 16, 1, 8, 16, -16, 2 ** 32, 2 ** 38, 2 ** 48, 5 * 2 ** 48, 2 ** 52, -(2 ** 38)];
    refuse(distances.map((distance) => (_, p) => p + distance));
    refuse([(_, p) => -p]);
  });

  test("for a chunk that was freed before", () => {
    const count = sameBothWays({}, 100, (heap) => {
      const p = heap.malloc(100);
      heap.free(p);
      const outcome = outcomeOf(() => heap.free(p));
      expect(outcome).toContain("double free");
      return outcome;
    });
    expect(count).toBe(2);
  });

  test("for a pointer that is aligned to 8, with a header that would be right there", () => {
    sameBothWays({}, 100, (heap) => {
      const p = heap.malloc(100) + 8;
      heap.parts.headers.store(heap.parts.program.memory, p, packLow(4, STATE_ALLOCATED, 0, 100), 0);
      const outcome = outcomeOf(() => heap.free(p));
      expect(outcome).toContain("misaligned");
      return outcome;
    });
  });
});

describe("the compiled malloc gives up, and the heap allocates or refuses", () => {
  test("for every value that is not a size", () => {
    sameBothWays({}, 0, (heap, soFar) => {
      return ODD_VALUES.map((odd, index) => {
        const before = soFar();
        const outcome = outcomeOf(() => heap.malloc(odd as number));
        // −0 is 0.
        if (!Object.is(odd, -0)) expect(soFar(), `value ${index}`).toBe(before);
        return outcome;
      });
    });
  });

  test("for sizes beyond the largest class, up to the largest there are", () => {
    const sizes = [65_521, 65_536, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 17, 2 ** 32 - 1, 2 ** 40, 2 ** 53];
    const count = sameBothWays({}, 100, (heap) => sizes.map((size) => outcomeOf(() => heap.malloc(size))));
    expect(count).toBe(0);
  });

  /** The class whose region is the last one in the address space, or the first one. */
  const classAt = ({ parts: { primary } }: OpenHeap, isLast: boolean): number => {
    const classes = Array.from({ length: primary.classCount - 1 }, (_, index) => index + 1);
    classes.sort((a, b) => primary.regions.begin[a] - primary.regions.begin[b]);
    return classes[isLast ? classes.length - 1 : 0];
  };

  /** Frees what was never allocated, then allocates of that class. */
  const outside = (heap: OpenHeap, classId: number, pointer: number): string[] => {
    const { primary, headers, program } = heap.parts;
    const size = primary.blockSizes[classId] - 16;
    heap.free(heap.malloc(size));
    headers.store(program.memory, pointer, packLow(classId, STATE_ALLOCATED, 0, 10), 0);
    return [outcomeOf(() => heap.free(pointer)), ...[1, 2].map(() => outcomeOf(() => heap.malloc(size)))];
  };

  /** A seed that gives a heap's last region to a class of small blocks, which are filled by compiled code. */
  const seed = Array.from({ length: 100 }, (_, index) => index + 1).find((one) => {
    const heap = openHeap({ seed: one, memoryBytes: 2 ** 26 });
    const blockSize = heap.parts.primary.blockSizes[classAt(heap, true)];
    return blockSize > 64 && blockSize <= 1024;
  });

  /** MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, with its pages there, and as the heap's own are. */
  const map = (heap: OpenHeap, page: number, length: number): void => {
    heap.process.mmap(page, length, 3 | (heap.tagging === "off" ? 0 : PROT_MTE), 0x32, -1, 0);
    heap.memory.fill(page, 0x11, length);
  };

  test("where a forged header has brought a block into the cache that lies outside its region", () => {
    for (const options of [{}, { fill: "zero" }, { tagging: "sync" }] as const) {
      for (const isLast of [false, true]) {
        for (const distance of [2 ** 20, 2 ** 30, 2 ** 34, 2 ** 35, 2 ** 35 + 2 ** 20, 2 ** 36 - 2 ** 32]) {
          sameBothWays({ ...options, seed }, 100, (heap) => {
            const classId = classAt(heap, isLast);
            const base = pageOf(heap.parts.primary.regions.begin[classId] - distance);
            if (base < 65_536) return [];
            map(heap, base, 8192);
            // Where a number of granules without its sign would lead to.
            if (base + 2 ** 36 < 2 ** 38) map(heap, base + 2 ** 36, 8192);
            return outside(heap, classId, base + 64);
          });
        }
      }
    }
  });

  test("where the page behind the last one of all would be needed", () => {
    sameBothWays({ fill: "zero", seed }, 100, (heap) => {
      const page = 2 ** 38 - 4096;
      map(heap, page, 4096);
      const entry = heap.process.addressSpace.pageTable.entries[page / 4096];
      // Behind the entries of all pages lies RAM, in which a program could have written the one that it would like there.
      const ram = heap.kernel.machine.ram.bankOf(0);
      new Int32Array(ram.buffer, ram.byteOffset, 1)[0] = entry + (1 << PTE_FRAME_SHIFT);
      return outside(heap, classAt(heap, true), 2 ** 38 - 48);
    });
  });
});

/** The heap's thread checks tags, and a page has others than its pointers. */
function tagPage(heap: OpenHeap, page: number): void {
  const { process } = heap;
  process.prctl(PR_SET_TAGGED_ADDR_CTRL, 1 | PR_MTE_TCF_SYNC);
  process.mprotect(page, 4096, 3 | PROT_MTE);
  tagRange(process.mainThread.memory, withTag(page, 5), 4096);
}

describe("what the page of a header permits is looked at by each call", () => {
  const pages: readonly (readonly [string, (heap: OpenHeap, p: number) => unknown])[] = [
    ["no store", (heap, p) => heap.process.mprotect(pageOf(p - 16), 4096, PROT_READ)],
    ["nothing", (heap, p) => heap.process.mprotect(pageOf(p - 16), 4096, 0)],
    ["stores alone", (heap, p) => heap.process.mprotect(pageOf(p - 16), 4096, 2)],
    ["stores by pointers with its tag", (heap, p) => tagPage(heap, pageOf(p - 16))],
    ["nothing, since it is gone", (heap, p) => heap.process.munmap(pageOf(p - 16), 4096)],
    ["a fault, since its frame was given back", (heap, p) => heap.process.madvise(pageOf(p - 16), 4096, MADV_DONTNEED)],
    ["a copy, since a child has it as well", (heap) => void heap.fork()],
  ];
  test.each(pages)("%s", (_what, change) => {
    for (const fill of ["none", "zero"] as const) {
      const count = sameBothWays({ fill }, 100, (heap) => {
        const [p, q] = [heap.malloc(100), heap.malloc(100)];
        heap.memory.setUint8(p, 1);
        heap.free(q);
        change(heap, p);
        if (pageOf(q - 16) !== pageOf(p - 16)) change(heap, q);
        return [outcomeOf(() => heap.malloc(100)), outcomeOf(() => heap.free(p)), outcomeOf(() => heap.malloc(100))];
      });
      expect(count).toBeGreaterThanOrEqual(3);
    }
  });

  const second: readonly (readonly [string, (heap: OpenHeap, page: number) => unknown])[] = [
    ["no access", (heap, page) => heap.process.mprotect(page, 4096, 0)],
    ["no store", (heap, page) => heap.process.mprotect(page, 4096, PROT_READ)],
    ["stores alone", (heap, page) => heap.process.mprotect(page, 4096, 2)],
    ["stores by pointers with its tag", tagPage],
    ["a fault", (heap, page) => heap.process.madvise(page, 4096, MADV_DONTNEED)],
  ];
  test.each(second)("also of the second page of a block that is filled: %s", (_what, change) => {
    let across = 0;
    sameBothWays({ fill: "pattern" }, 1600, (heap) => {
      const made = Array.from({ length: 12 }, () => heap.malloc(1600));
      // Frames that are neighbours, as pages that are stored to one after the other have them.
      const pages = made.map(pageOf).sort((a, b) => a - b);
      const [first, last] = [pages[0], pages[pages.length - 1] + 8192];
      heap.process.madvise(first, last - first, MADV_DONTNEED);
      // Takes the frames that were in use before, which come in any order.
      heap.memory.fill(heap.process.mmap(0, 2 ** 18, 3, 0x22, -1, 0), 1, 2 ** 18);
      heap.memory.fill(first, 0x11, last - first);
      const { entries } = heap.process.addressSpace.pageTable;
      const block = made.find((p) => {
        const page = pageOf(p - 16) / 4096;
        return pageOf(p + 1600) / 4096 > page && entries[page + 1] === entries[page] + (1 << PTE_FRAME_SHIFT);
      });
      if (block === undefined) return "";
      across++;
      // Its header went with the page; it is the next one to be allocated.
      forge(packLow(classOf(1600), STATE_ALLOCATED, 0, 1600))(heap, block);
      heap.free(block);
      change(heap, pageOf(block - 16) + 4096);
      return outcomeOf(() => heap.malloc(1600) === block);
    });
    expect(across).toBe(2);
  });
});
