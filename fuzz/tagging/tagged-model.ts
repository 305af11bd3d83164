// Random programs on tagged heaps against a plain model, a list of live chunks: bytes, bounds, stale pointers. Modes, tuning,
// forks, threads and releases come in between.
import fc from "fast-check";
import type { HeapOptions, Tagging } from "../../allocator/index.ts";
import { type Heap, M_MEMTAG_TUNING, M_THREAD_DISABLE_MEM_INIT } from "../../allocator/index.ts";
import { tagOf, withoutTag } from "../../platform/hardware/tags.ts";
import { RLIMIT_NOFILE } from "../../platform/kernel/abi/rlimit.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type Journal, show, silent } from "../harness/journal.ts";
import { isCaught, roundUp, tagged } from "./tagged-heap.ts";

const kinds = [
  "malloc",
  "calloc",
  "align",
  "realloc",
  "free",
  "release",
  "thread",
  "tuning",
  "mode",
  "memory-init",
] as const;
type Kind = (typeof kinds)[number] | "fork" | "stop";
export interface Step {
  readonly kind: Kind;
  readonly size: number;
  readonly pick: number;
}
const small = fc.integer({ min: 0, max: 9000 });
const large = fc.integer({ min: 60_000, max: 2 ** 20 });
const none = fc.constant(0);

function steps(kind: Kind, weight: number, size: fc.Arbitrary<number>) {
  return { weight, arbitrary: fc.record({ kind: fc.constant(kind), size, pick: fc.nat() }) };
}

export const step: fc.Arbitrary<Step> = fc.oneof(
  steps("malloc", 8, small),
  steps("malloc", 3, large),
  steps("calloc", 2, small),
  steps("calloc", 1, large),
  steps("align", 2, small),
  steps("align", 1, large),
  steps("realloc", 4, fc.integer({ min: 1, max: 400_000 })),
  steps("free", 10, none),
  steps("release", 2, none),
  steps("thread", 1, none),
  steps("tuning", 1, none),
  steps("mode", 1, none),
  steps("memory-init", 1, none),
  steps("fork", 1, none),
);
export const program: fc.Arbitrary<Program> = fc.tuple(
  fc.array(step, { minLength: 1, maxLength: 60 }),
  // Some programs switch tagging off, and go on.
  fc.option(fc.array(step, { maxLength: 15 }), { nil: [], freq: 3 }),
  fc.nat(0xffff),
);

type Program = readonly [tagging: readonly Step[], afterwards: readonly Step[], seed: number];

interface Live {
  readonly p: number;
  readonly size: number;
  readonly byte: number;
}

export class Model {
  readonly live: Live[] = [];
  private readonly heap: Heap;
  private byte = 1;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  /** Async reports come later, and a stray store would do its harm: only modes that stop a load immediately are tried. */
  expectCaught(address: number): void {
    const { tagging, memory } = this.heap;
    if (tagging === "sync" || tagging === "asymm") expect(isCaught(() => memory.getUint8(address))).toBe(true);
  }

  adopt(p: number, size: number): void {
    expect(p).not.toBe(0);
    if (this.heap.tagging !== "off") expect(tagOf(p)).toBeGreaterThan(0);
    this.byte = (this.byte % 250) + 1;
    this.heap.memory.fill(p, this.byte, size);
    this.expectCaught(p - 1);
    this.expectCaught(p + roundUp(size));
    expect(this.heap.malloc_usable_size(p)).toBe(size);
    this.live.push({ p, size, byte: this.byte });
  }

  check({ p, size, byte }: Live, { of = this.heap, length = size }: { of?: Heap; length?: number } = {}): void {
    const bytes = of.memory.read(p, Math.min(size, length));
    expect(bytes.every((one) => one === byte)).toBe(true);
  }

  take(pick: number): Live | undefined {
    const [chunk] = this.live.splice(pick % Math.max(1, this.live.length), 1);
    if (chunk !== undefined) this.check(chunk);
    return chunk;
  }

  /** The child frees and overwrites what it has; the parent does not see it. */
  fork(): void {
    const child = this.heap.fork();
    for (const [index, chunk] of this.live.entries()) {
      this.check(chunk, { of: child });
      child.memory.fill(chunk.p, 0xff, chunk.size);
      if (index % 2 === 0) child.free(chunk.p);
    }
    child.free(child.malloc(300_000));
    child.checkInvariants();
    for (const chunk of this.live) this.check(chunk);
    child[Symbol.dispose]();
  }

  /** What this model's chunks are in the child: bytes, bounds, and the tags that frees of one of the two change for it alone. */
  checkChild(child: Heap): void {
    for (const [index, chunk] of this.live.entries()) {
      this.check(chunk, { of: child });
      if (index % 2 === 1) continue;
      child.free(chunk.p);
      if (chunk.size > 0 && this.retagsAtFree && child.tagging !== "async") {
        expect(isCaught(() => child.memory.getUint8(chunk.p))).toBe(true);
      }
      this.check(chunk);
    }
    child.checkInvariants();
    for (const chunk of this.live) this.check(chunk);
  }

  perform({ kind, size, pick }: Step): void {
    const { heap } = this;
    if (kind === "malloc") this.adopt(heap.malloc(size), size);
    else if (kind === "align") this.adopt(heap.memalign(2 ** (5 + (pick % 13)), size), size);
    else if (kind === "calloc") {
      const p = heap.calloc(1, size);
      expect(heap.memory.read(p, size).every((one) => one === 0)).toBe(true);
      this.adopt(p, size);
    } else if (kind === "free") this.free(pick);
    else if (kind === "realloc") this.realloc(size, pick);
    else if (kind === "release") heap.releaseToOS((["normal", "force", "force-all"] as const)[pick % 3]);
    else if (kind === "tuning") expect(heap.mallopt(M_MEMTAG_TUNING, pick % 2)).toBe(1);
    else if (kind === "memory-init") expect(heap.mallopt(M_THREAD_DISABLE_MEM_INIT, pick % 2)).toBe(1);
    else if (kind === "mode" && heap.tagging !== "off")
      heap.setTagging((["sync", "async", "asymm"] as const)[pick % 3]);
    else if (kind === "fork") this.fork();
  }

  private free(pick: number): void {
    const chunk = this.take(pick);
    if (chunk === undefined) return;
    this.heap.free(chunk.p);
    if (chunk.size > 0 && this.retagsAtFree) this.expectCaught(chunk.p);
  }

  private realloc(size: number, pick: number): void {
    const chunk = this.take(pick);
    if (chunk === undefined) return;
    const p = this.heap.realloc(chunk.p, size);
    this.check({ ...chunk, p }, { length: size });
    if (withoutTag(p) !== withoutTag(chunk.p) && chunk.size > 0 && this.retagsAtFree) this.expectCaught(chunk.p);
    this.adopt(p, size);
  }

  /** Threads without memory init leave a freed chunk its tag (S22.6). */
  retagsAtFree = true;
}

export interface Setting {
  readonly options: HeapOptions;
  /** No descriptor is left for reference pages. */
  readonly isExhausted?: boolean;
}
export const settings: Readonly<Record<string, Setting>> = {
  "no fill": { options: {} },
  zero: { options: { fill: "zero" } },
  pattern: { options: { fill: "pattern", fillOnFree: true } },
  quarantine: { options: { quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 } } },
  Android: { options: { config: "android" } },
  "large realloc copies": { options: { largeRealloc: "copy" } },
  "the program tags large chunks": { options: { onTagFailure: "user-tags", write: () => {} }, isExhausted: true },
};

/** Runs a program under one of `settings`. @returns how many calls were compared */
export function runTagged(
  { options, isExhausted = false }: Setting,
  [tagging, afterwards, seed]: Program,
  journal: Journal = silent,
): number {
  journal.note('import { Heap } from "refheap";');
  const shown = { memoryBytes: 2 ** 26, tagging: "sync", ...options, seed };
  const heap = journal.make("heap", `new Heap(${show(shown)})`, () => tagged({ ...options, seed }));
  if (isExhausted) heap.process.setrlimit(RLIMIT_NOFILE, heap.process.fds.count);
  const threads = [heap.process.mainThread, heap.process.createThread()];
  const model = new Model(heap);
  const run = (steps: readonly Step[]): void => {
    for (const one of steps) {
      if (one.kind === "memory-init") model.retagsAtFree &&= one.pick % 2 === 0;
      heap.withThread(threads[one.kind === "thread" ? 1 : 0], () => {
        model.perform(one.kind === "thread" ? { ...one, kind: one.pick % 2 === 0 ? "malloc" : "free", size: 99 } : one);
      });
    }
  };
  run(tagging);
  if (afterwards.length > 0) heap.setTagging("off" satisfies Tagging);
  run(afterwards);
  while (model.live.length > 0) heap.free(model.take(0)?.p ?? 0);
  // Each thread's quarantine is emptied by the thread alone.
  for (const thread of threads) heap.withThread(thread, () => heap.releaseToOS("force-all"));
  expect(heap.checkInvariants().allocatedChunks).toBe(0);
  heap.kernel.checkInvariants();
  return tagging.length + afterwards.length;
}

export const taggedHeaps: Fuzzer<{ readonly setting: string; readonly program: Program }> = {
  program: fc.record({ setting: fc.constantFrom(...Object.keys(settings)), program }),
  run: ({ setting, program: given }, journal) => runTagged(settings[setting], given, journal),
  inTests: 10,
};
