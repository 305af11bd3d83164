// Page release of the primary against what the real library printed after the same sequences of mallocs, frees and purges.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Heap, partsOf } from "../../../allocator/heap/heap.ts";
import { gatherStatistics } from "../../../allocator/inspection/gather-statistics.ts";
import { createKernel } from "../../../refpage/kernel.ts";

interface Figures {
  mapped_k: number;
  popped: number;
  pushed: number;
  inuse: number;
  total: number;
  releases: number;
  last_released_k: number;
  latest_pushed_k: number;
}
interface Line {
  options: string;
  size: number;
  class: number;
  block: number;
  count: number;
  freed: string;
  blocks_contiguous: boolean;
  stable: boolean;
  after_frees: Figures;
  after_purge: Figures;
  after_purge_all: Figures;
}

const lines: Line[] = readFileSync(new URL("../../golden/scudo/release.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

/** Gives the tests the allocator behind the heap. */
class OpenHeap extends Heap {
  figures(classId: number): Figures {
    const one = gatherStatistics(partsOf(this).allocator).primary.classes.find((row) => row.classId === classId);
    if (one === undefined) throw new Error(`class ${classId} has no memory`);
    return {
      mapped_k: Math.floor(one.mappedBytes / 1024),
      popped: one.poppedBlocks,
      pushed: one.pushedBlocks,
      inuse: one.inUseBlocks,
      total: one.totalBlocks,
      releases: one.releasedRanges,
      last_released_k: Math.floor(one.lastReleasedBytes / 1024),
      latest_pushed_k: Math.floor(one.latestPushedBytes / 1024),
    };
  }
}

const isFreed: Record<string, (index: number, count: number) => boolean> = {
  all: () => true,
  "the lower half": (index, count) => index < Math.floor(count / 2),
  "all but every 64th": (index) => index % 64 !== 0,
  "every second": (index) => index % 2 === 0,
};

/**
 * A heap with the recorded chunks, by address. Where blocks were carved that no call got, they lie at random places: seeds
 * are tried until the chunks are contiguous if the real ones were.
 */
function allocated(line: Line): { heap: OpenHeap; pointers: number[] } {
  for (let seed = 1; ; seed++) {
    const heap = new OpenHeap({ scudoOptions: line.options, kernel, seed });
    heap.malloc(72704);
    const pointers = Array.from({ length: line.count }, () => heap.malloc(line.size)).sort((a, b) => a - b);
    const span = pointers[line.count - 1] - pointers[0];
    if (!line.blocks_contiguous || span === (line.count - 1) * line.block) return { heap, pointers };
    heap[Symbol.dispose]();
  }
}

const kernel = createKernel({ memoryBytes: 2 ** 28 });

/** What holds when free blocks lie at random places. */
function blockCounts({ popped, pushed, inuse, total, mapped_k }: Figures) {
  return { popped, pushed, inuse, total, mapped_k };
}

describe.each(["release_to_os_interval_ms=-1", "release_to_os_interval_ms=0"])("with %s", (options) => {
  const own = lines.filter((line) => line.options === options);
  test.each(own.map((line) => [`${line.count} chunks of ${line.size}, ${line.freed} freed`, line] as const))(
    "%s",
    (_, line) => {
      const { heap, pointers } = allocated(line);
      const free = isFreed[line.freed];
      pointers.forEach((pointer, index) => {
        if (free(index, line.count)) heap.free(pointer);
      });
      const steps: [Figures, Figures][] = [[heap.figures(line.class), line.after_frees]];
      heap.releaseToOS("force");
      steps.push([heap.figures(line.class), line.after_purge]);
      heap.releaseToOS("force-all");
      steps.push([heap.figures(line.class), line.after_purge_all]);
      for (const [found, recorded] of steps) {
        if (line.stable) expect(found).toEqual(recorded);
        else expect(blockCounts(found)).toEqual(blockCounts(recorded));
      }
      heap[Symbol.dispose]();
    },
  );
});

test("only classes of blocks below 256 bytes wait until enough of them are free", () => {
  const { primary } = partsOf(new Heap({ memoryBytes: 2 ** 26, seed: 1 })).allocator;
  for (let classId = 1; classId < primary.classCount; classId++)
    expect(primary.regions.tryThreshold[classId] > 0).toBe(primary.blockSizes[classId] < 256);
});
