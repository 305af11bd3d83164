// The replayer on a heap of plain mappings: what each event does, touches, and events that no sound trace has.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { EventBatch } from "../../../../allocator/record/events.ts";
import { Replayer } from "../../../../bench/lab/replay/replayer.ts";
import { parseTouchModel, Toucher } from "../../../../bench/lab/replay/touch-model.ts";
import { VerificationError, Verifier } from "../../../../bench/lab/replay/verifier.ts";
import { traceOf } from "../traces/events-of.ts";
import { MappedSubject } from "./mapped-subject.ts";

const PAGE = 4096;
let subject: MappedSubject;
let replayer: Replayer;

beforeEach(() => {
  subject = new MappedSubject();
  replayer = replayerFor(subject, "none");
});

function replayerFor(on: MappedSubject, touches: string): Replayer {
  const toucher = new Toucher(parseTouchModel(touches), 1);
  return new Replayer({ subject: on, toucher, sample: () => Number.POSITIVE_INFINITY, mark: () => {} });
}

async function replay(events: string, on = replayer): Promise<void> {
  const trace = await traceOf(`refheap-trace 1\n${events}\n`);
  for await (const batch of trace.batches) on.replay(batch);
}

const rssPages = (on = subject): number => on.process.rssBytes / PAGE;

test("allocations and frees reach the heap, one tick an event", async () => {
  await replay("0 malloc 0 100\n0 calloc 1 10 10\n0 aligned 2 64 5000\n0 free 1");
  expect([...subject.pages.values()]).toEqual([1, 2]);
  expect(subject.ticks).toBe(4);
  expect(replayer.blocks).toMatchObject({ liveCount: 2, liveBytes: 5100 });
});

test("a realloc keeps the block's id", async () => {
  await replay("0 malloc 0 100\n0 realloc 0 9000\n0 free 0");
  expect(subject.pages.size).toBe(0);
  expect(replayer.blocks).toMatchObject({ liveCount: 0, liveBytes: 0 });
});

test("touches of the trace fault in the pages they lie on, reads none that stay", async () => {
  await replay(`0 malloc 0 ${8 * PAGE}\n0 write 0 ${PAGE - 1} 2\n0 write 0 ${5 * PAGE} 1\n0 read 0 0 ${8 * PAGE}`);
  expect(rssPages()).toBe(3);
  expect(replayer.tally.touchedPages).toBe(3 + 8);
});

test.each([
  ["none", 0],
  ["first-page", 1],
  ["all", 10],
  ["fraction=1", 10],
  ["fraction=0", 0],
])("the model %s touches %i of a block's 10 pages", async (model, pages) => {
  await replay(`0 malloc 0 ${10 * PAGE}`, replayerFor(subject, model));
  expect(rssPages()).toBe(pages);
});

test("what a realloc adds to a block is touched by the model too, the first page only once", async () => {
  await replay(`0 malloc 0 ${PAGE}\n0 realloc 0 ${4 * PAGE}`, replayerFor(subject, "all"));
  expect(rssPages()).toBe(4);
  const other = new MappedSubject();
  await replay(`0 malloc 0 ${PAGE}\n0 realloc 0 ${4 * PAGE}`, replayerFor(other, "first-page"));
  expect(rssPages(other)).toBe(1);
});

describe("events that no sound trace has", () => {
  test.each([
    ["a free of an unknown block", "0 free 7", { deadFrees: 1 }],
    ["a double free", "0 malloc 0 8\n0 free 0\n0 free 0", { deadFrees: 1 }],
    ["a realloc of an unknown block is a malloc", "0 realloc 3 8\n0 free 3", { deadReallocs: 1, deadFrees: 0 }],
    ["a touch of an unknown block", "0 write 0 0 8", { deadTouches: 1 }],
    ["a touch beyond the end", "0 malloc 0 8\n0 write 0 4 8\n0 write 0 100 8", { clippedTouches: 2 }],
    ["an id that lives already", "0 malloc 0 8\n0 malloc 0 9", { doubleAllocations: 1 }],
    ["ids as large as there are", "0 malloc 4294967294 8\n0 free 4294967294\n0 free 4294967294", { deadFrees: 1 }],
    ["a size of 0", "0 malloc 0 0\n0 write 0 0 1\n0 realloc 0 0\n0 free 0", { clippedTouches: 1, deadFrees: 0 }],
  ])("%s", async (_what, events, tally) => {
    await replay(events);
    expect(replayer.tally).toMatchObject(tally);
  });

  test("an allocation that fails is counted, and its free, touches and reallocs are no surprise", async () => {
    subject.limit = 1000;
    await replay(
      "0 malloc 0 2000\n0 write 0 0 8\n0 free 0\n0 calloc 1 9007199254740991 9007199254740991\n0 realloc 1 10",
    );
    expect(replayer.tally).toMatchObject({ failedAllocations: 2, deadFrees: 0, deadTouches: 0, deadReallocs: 0 });
    expect(replayer.blocks.liveCount).toBe(1);
  });

  test("a realloc that fails leaves the block as it was", async () => {
    subject.limit = 1000;
    await replay("0 malloc 0 100\n0 realloc 0 2000\n0 free 0");
    expect(replayer.tally).toMatchObject({ failedAllocations: 1, deadFrees: 0 });
    expect(subject.pages.size).toBe(0);
  });

  test("any sequence of events leaves the live blocks of a plain model, and verifies", async () => {
    const event = fc.record({ kind: fc.nat(9), id: fc.nat(5), size: fc.nat(9000), offset: fc.nat(64) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const heap = new MappedSubject();
        const checked = replayerFor(heap, "fraction=0.5");
        checked.verifier = new Verifier(checked.blocks);
        const model = new Map<number, number>();
        const batch = new EventBatch();
        for (const { kind, id, size, offset } of events) {
          if (kind === 9) batch.pushMark(0, "x");
          else batch.push(kind, 0, id, size, offset);
          if (kind === 0 || kind === 3) model.set(id, size);
          else if (kind === 1) model.set(id, size * offset);
          else if (kind === 2) model.set(id, model.has(id) ? Math.max(1, size) : size);
          else if (kind === 4) model.delete(id);
        }
        checked.replay(batch);
        expect(checked.blocks.liveCount).toBe(model.size);
        expect(checked.blocks.liveBytes).toBe([...model.values()].reduce((sum, size) => sum + size, 0));
        expect(heap.pages.size).toBe(model.size);
      }),
      { numRuns: 60 },
    );
  });
});

describe("a verifying replay", () => {
  beforeEach(() => {
    replayer.verifier = new Verifier(replayer.blocks);
  });

  test("passes on a sound heap, contents of reallocated blocks included", async () => {
    await replay("0 malloc 0 100\n0 malloc 1 5000\n0 realloc 0 9000\n0 realloc 1 3\n0 free 0\n0 free 1");
    expect(subject.pages.size).toBe(0);
  });

  test("finds overlapping blocks", async () => {
    const first = subject.malloc(100);
    subject.malloc = () => first;
    await expect(replay("0 malloc 0 100\n0 malloc 1 50")).rejects.toThrow(/overlaps the live block at \[0x/);
  });

  test("finds contents that did not survive", async () => {
    await replay("0 malloc 0 100");
    subject.memory.fill(replayer.blocks.address[0], 0, 100);
    await expect(replay("0 free 0")).rejects.toThrow(/the program stored/);
  });

  test("finds a calloc that is not zeroed", async () => {
    const dirty = subject.malloc(100);
    subject.memory.fill(dirty, 0xab, 100);
    subject.calloc = () => dirty;
    await expect(replay("0 calloc 0 1 100")).rejects.toThrow("byte 0 of a block from calloc");
  });

  test("finds a realloc that loses the block's beginning", async () => {
    subject.realloc = (address, size) => {
      subject.free(address);
      return subject.malloc(size);
    };
    await expect(replay("0 malloc 0 100\n0 realloc 0 200")).rejects.toThrow(VerificationError);
  });
});
