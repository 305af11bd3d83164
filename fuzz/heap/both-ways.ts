// A heap whose calls are compiled does what one does that has no such ways: random programs of heap calls, misuse, damage, threads, forks
// and system calls run on two equal machines, one of them in a buffer of its own, out of such code's reach. All that can be seen must agree.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { packLow } from "../../allocator/combined/chunk-header.ts";
import { Heap, partsOf } from "../../allocator/heap/heap.ts";
import { M_DECAY_TIME, M_MEMTAG_TUNING, M_THREAD_DISABLE_MEM_INIT } from "../../allocator/heap/mallopt.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { withoutTag } from "../../platform/hardware/tags.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { createKernel } from "../../refpage/kernel.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type Journal, show } from "../harness/journal.ts";
import { type DrawnOptions, drawnOptions, heapOptions, shownOptions } from "./drawn-options.ts";

export const MEMORY_BYTES = 2 ** 26;
/** More would only be slow. */
const MOST_HEAPS = 4;
const MOST_THREADS = 4;
/** Sizes of new chunks stay below this while there are many. */
const MOST_CHUNKS = 2000;

/** Sizes that come again and again, since a class's first chunks are not got by compiled ways. */
const USUAL_SIZES = [0, 24, 40, 100, 500, 2000, 4080] as const;

/** What C could not pass, and what no chunk has. */
export const ODD_VALUES: readonly unknown[] = [
  ...[-0, 0.5, -1, -16, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 16, 2 ** 38 - 16, 2 ** 38, 2 ** 38 + 16, 2 ** 48],
  ...[2 ** 51, 2 ** 52, 2 ** 52 + 16, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, Number.NaN, Number.POSITIVE_INFINITY],
  ...[Number.NEGATIVE_INFINITY, Number.MIN_VALUE, Number.MAX_VALUE, "16", "", 16n, true, null, undefined],
  ...[{ valueOf: () => 16 }, [16], Symbol.iterator],
];

/** Added to a chunk's address. */
const ODD_DISTANCES = [1, 8, 15, 16, -16, 32, 4096, 0.5, 1 / 16, 2 ** 38, 2 ** 48, 5 * 2 ** 48, 2 ** 52, -(2 ** 38)];

const TAGGINGS = ["off", "sync", "async", "asymm"] as const;
const FILLS = ["none", "zero", "pattern"] as const;
const RELEASES = ["normal", "force", "force-all"] as const;
const PROTECTIONS = [0, 1, 3] as const;
/** MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_WILLNEED, MADV_COLD. */
const ADVICE = [4, 8, 14, 3, 20] as const;

const KINDS = [
  ...(["malloc", "malloc", "malloc", "malloc", "free", "free", "free", "realloc", "calloc", "memalign"] as const),
  ...(["new", "delete", "take", "give", "odd size", "odd pointer", "free twice", "store"] as const),
  ...([
    "fill",
    "mem init",
    "thread",
    "thread",
    "end thread",
    "disable",
    "enable",
    "stacks",
    "release",
    "decay",
  ] as const),
  ...([
    "fork",
    "protect",
    "advise",
    "unmap",
    "flip",
    "forge",
    "usable",
    "second",
    "dispose",
    "odd tags",
    "tagging",
  ] as const),
] as const;

export interface Step {
  readonly kind: (typeof KINDS)[number];
  /** Which heap. */
  readonly where: number;
  readonly pick: number;
  readonly size: number;
}

export const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  where: fc.nat(7),
  pick: fc.nat(0xffff),
  size: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...USUAL_SIZES) },
    { weight: 3, arbitrary: fc.nat(300) },
    { weight: 3, arbitrary: fc.nat(5000) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, 1, 15, 16, 17, 2016, 2032, 2048, 4080, 4081, 4096, 65_520, 65_536, 200_000),
    },
  ),
});

/** Options of heaps that have compiled ways. */
const usualOptions: fc.Arbitrary<DrawnOptions> = fc.record(
  {
    config: fc.constantFrom("default" as const, "android" as const, "fuchsia" as const),
    fill: fc.constantFrom(...FILLS),
    pattern: fc.nat(255).map((byte) => [byte]),
    releaseToOSIntervalMs: fc.constantFrom(-1, 0, 1, 5000),
    exactUsableSize: fc.boolean(),
  },
  { requiredKeys: [] },
);

export interface Program {
  readonly options: DrawnOptions;
  readonly tagging: (typeof TAGGINGS)[number];
  /** Whether a free that does not fit its allocation is a report. */
  readonly isStrict: boolean;
  readonly steps: readonly Step[];
  readonly seed: number;
}

const program: fc.Arbitrary<Program> = fc.record({
  options: fc.oneof({ weight: 8, arbitrary: usualOptions }, { weight: 1, arbitrary: drawnOptions }),
  tagging: fc.constantFrom("off", ...TAGGINGS),
  isStrict: fc.boolean(),
  steps: fc.array(step, { minLength: 1, maxLength: 80, size: "max" }),
  seed: fc.nat(0xffff),
});

/** A heap, and what the program knows of it. */
interface Player {
  readonly heap: Heap;
  readonly live: number[];
  readonly freed: number[];
  readonly threads: (Thread | null)[];
  thread: number;
}

/** One of the two machines with its heaps. */
export class World {
  readonly kernel: Kernel;
  readonly players: Player[] = [];
  private readonly options: HeapOptions;
  private time = 0;

  constructor(machine: Machine, options: HeapOptions, journal: Journal, text: string) {
    this.kernel = createKernel(machine, { clock: () => this.time });
    this.options = options;
    const process = this.kernel.createProcess({ name: "both" });
    const heap = journal.make("heap", text, () => new Heap({ ...options, process }));
    this.adopt(heap, process);
    for (let left = 2; left > 0; left--) heap.free(heap.malloc(USUAL_SIZES[2]));
  }

  private adopt(heap: Heap, process: Process, like?: Player): void {
    this.players.push({
      heap,
      live: [...(like?.live ?? [])],
      freed: [...(like?.freed ?? [])],
      threads: [process.mainThread],
      thread: 0,
    });
  }

  /** Does a step. @returns what the program sees of it */
  take(step: Step): string {
    this.time += 3_000_000;
    const { players } = this;
    if (players.length === 0) return "";
    const player = players[step.where % players.length];
    try {
      return String(this.perform(player, step));
    } catch (error) {
      return outcomeOf(error);
    }
  }

  private perform(player: Player, step: Step): unknown {
    const { kind, pick } = step;
    const { heap, threads } = player;
    if (kind === "thread") {
      player.thread = pick % MOST_THREADS;
      threads[player.thread] ??= heap.process.createThread();
      return threads[player.thread]?.tid;
    }
    if (kind === "end thread") {
      const thread = threads[player.thread] ?? heap.process.mainThread;
      if (player.thread === 0) return "";
      threads[player.thread] = null;
      player.thread = 0;
      return heap.endThread(thread);
    }
    if (kind === "dispose") {
      if (pick % 4 !== 0) return "";
      this.players.splice(this.players.indexOf(player), 1);
      return heap[Symbol.dispose]();
    }
    return heap.withThread(threads[player.thread] ?? heap.process.mainThread, () => this.call(player, step));
  }

  private call(player: Player, { kind, pick, size }: Step): unknown {
    const { heap, live, freed } = player;
    const at = live.length === 0 ? -1 : pick % live.length;
    const pointer = live[at] ?? 0;
    const remove = (): void => {
      if (at < 0) return;
      live.splice(at, 1);
      freed.push(pointer);
    };
    const add = (made: number): number => {
      if (made !== 0) live.push(made);
      return made;
    };
    switch (kind) {
      case "malloc":
        return add(heap.malloc(size));
      case "calloc":
        return add(heap.calloc(1 + (pick & 1), size));
      case "memalign":
        return add(heap.memalign(2 ** (pick % 13), size));
      case "new":
        return add(heap.operatorNew(size, (pick & 1) === 0 ? {} : { array: true }));
      case "take":
        return this.takeMany(player, size, pick % 100);
      case "give":
        for (let left = pick % 100; left > 0 && live.length > 0; left--) {
          const last = live.pop() ?? 0;
          freed.push(last);
          heap.free(last);
        }
        return "";
      case "free":
        heap.free(pointer);
        return remove();
      case "delete":
        heap.operatorDelete(pointer, (pick & 1) === 0 ? {} : { array: true });
        return remove();
      case "realloc": {
        const made = heap.realloc(pointer, size);
        if (made !== pointer) remove();
        return made === pointer ? made : add(made);
      }
      case "odd size":
        return add(heap.malloc(ODD_VALUES[pick % ODD_VALUES.length] as number));
      case "odd pointer":
        if ((pick & 1) === 0) return heap.free(ODD_VALUES[(pick >> 1) % ODD_VALUES.length] as number);
        return heap.free(pointer + ODD_DISTANCES[(pick >> 1) % ODD_DISTANCES.length]);
      case "free twice":
        return freed.length === 0 ? "" : heap.free(freed[pick % freed.length]);
      case "usable":
        return heap.malloc_usable_size(pointer);
      case "store":
        return heap.memory.setUint8(pointer + (size % 64), pick & 255);
      case "flip": {
        const { memory } = partsOf(heap).allocator.program;
        const place = withoutTag(pointer) - 16 + (size & 7);
        return memory.setUint8(place, memory.getUint8(place) ^ (1 << (pick & 7)));
      }
      case "forge":
        return this.forge(player, pointer, pick, size);
      default:
        return this.change(player, { kind, pick, size, where: 0 }, pointer);
    }
  }

  private takeMany({ heap, live }: Player, size: number, count: number): string {
    if (live.length > MOST_CHUNKS) return "";
    const made: number[] = [];
    for (let left = count; left > 0; left--) made.push(heap.malloc(size % 3000));
    live.push(...made.filter((one) => one !== 0));
    return made.join();
  }

  /** A header with a right checksum, as only who knows the cookie can make one. */
  private forge({ heap, live }: Player, pointer: number, pick: number, size: number): string {
    const { headers, primary, program } = partsOf(heap).allocator;
    const classId = pick % primary.shape.classCount;
    const low = packLow(classId, (pick >> 8) & 3, (pick >> 10) & 3, size & 0xfffff);
    const target = (pick & 0x1000) === 0 ? pointer : pointer + 16 * (size % 8);
    headers.store(program.memory, withoutTag(target), low, (pick & 0x2000) === 0 ? 0 : size & 3);
    if (target !== pointer) live.push(target);
    return String(classId);
  }

  /** What changes the ways of the heap, or its pages. */
  private change(player: Player, { kind, pick, size }: Step, pointer: number): unknown {
    const { heap } = player;
    const page = Math.floor(withoutTag(pointer) / 4096) * 4096;
    const length = 4096 * (1 + (size & 1));
    switch (kind) {
      case "fill":
        heap.fill = FILLS[pick % FILLS.length];
        return heap.fill;
      case "mem init":
        return heap.mallopt(M_THREAD_DISABLE_MEM_INIT, pick & 1);
      case "decay":
        return heap.mallopt(M_DECAY_TIME, [0, 1, -1][pick % 3]);
      case "disable":
        // Twice would be a deadlock.
        return (pick & 3) === 0 ? heap.malloc_disable() : "";
      case "enable":
        return heap.malloc_enable();
      case "odd tags":
        return heap.mallopt(M_MEMTAG_TUNING, pick & 1);
      case "tagging":
        // It is final, and so seldom.
        if ((pick & 7) === 0) return heap.malloc_disable_memory_tagging();
        if (heap.tagging !== "off") heap.setTagging(TAGGINGS[1 + (pick % 3)]);
        return heap.tagging;
      case "stacks":
        return heap.malloc_set_track_allocation_stacks((pick & 1) as 0 | 1);
      case "release":
        return heap.releaseToOS(RELEASES[pick % RELEASES.length]);
      case "protect":
        return heap.process.mprotect(page, length, PROTECTIONS[pick % PROTECTIONS.length]);
      case "advise":
        return heap.process.madvise(page, length, ADVICE[pick % ADVICE.length]);
      case "unmap":
        return (pick & 3) === 0 ? heap.process.munmap(page, length) : "";
      case "fork": {
        if (this.players.length >= MOST_HEAPS) return "";
        const child = heap.fork();
        this.adopt(child, child.process, player);
        return child.process.pid;
      }
      case "second": {
        if (this.players.length >= MOST_HEAPS) return "";
        const { process } = heap;
        this.adopt(new Heap({ ...this.options, seed: pick, process }), process);
        return "";
      }
      default:
        throw new Error(`no step is "${kind}"`);
    }
  }

  /** All that can be seen but for RAM; `isDeep`: with a look at every chunk. */
  state(isDeep: boolean): unknown {
    return {
      counters: this.kernel.counters.snapshot(),
      heaps: this.players.map(({ heap }) => [
        attempt(() => heap.stats()),
        isDeep ? attempt(() => heap.checkInvariants()) : null,
        heap.errno,
        heap.process.rssBytes,
      ]),
    };
  }

  end(): string {
    const outcomes = this.players.map(({ heap, live }) => {
      const frees = live.map((pointer) => attempt(() => heap.free(pointer)));
      return [...frees, attempt(() => heap.releaseToOS("force-all")), attempt(() => heap[Symbol.dispose]())].map(
        String,
      );
    });
    return outcomes.join("\n");
  }
}

function attempt(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return outcomeOf(error);
  }
}

function outcomeOf(error: unknown): string {
  const { name, message, kind, code } = error as Error & { kind?: string; code?: string };
  return `${name} ${kind ?? ""} ${code ?? ""} ${message}`;
}

/** A machine that compiled ways reach, and one that they do not. */
export function bothMachines(memoryBytes = MEMORY_BYTES): readonly [compiled: Machine, plain: Machine] {
  return [new Machine({ memoryBytes }), new Machine({ memoryBytes, buffer: new ArrayBuffer(memoryBytes) })];
}

/** @throws at the first difference. @returns how many states were compared */
export function runBothWays({ options, tagging, isStrict, steps, seed }: Program, journal: Journal): number {
  // No configuration but Scudo's own promises whole words for tags.
  const isTaggable = typeof options.config !== "object" && options.config !== "fuchsia";
  const more: HeapOptions = { tagging: isTaggable ? tagging : "off", deallocTypeMismatch: isStrict, seed };
  const given = { ...heapOptions(options), ...more, write: () => {} };
  journal.note('import { Heap, SizeClassMap } from "refheap";');
  const text = `new Heap({ ...${shownOptions(options)}, ...${show(more)} })`;
  const [first, second] = bothMachines().map((machine) => new World(machine, given, journal, text));
  for (const [index, each] of steps.entries()) {
    journal.note(show(each));
    strictEqual(first.take(each), second.take(each));
    const isDeep = index % 8 === 7;
    deepStrictEqual(first.state(isDeep), second.state(isDeep));
  }
  requireSameMemory(first, second);
  deepStrictEqual(first.state(true), second.state(true));
  strictEqual(first.end(), second.end());
  deepStrictEqual(first.state(true), second.state(true));
  requireSameMemory(first, second);
  return 2 * steps.length;
}

function bankOf({ ram }: Machine): Buffer {
  const { buffer, byteOffset, length } = ram.bankOf(0);
  return Buffer.from(buffer, byteOffset, length);
}

function requireSameMemory(first: World, second: World): void {
  const [one, other] = [first, second].map(({ kernel }) => bankOf(kernel.machine));
  if (Buffer.compare(one, other) === 0) return;
  const at = one.findIndex((byte, index) => byte !== other[index]);
  throw new Error(`byte ${at} of RAM is ${one[at]} and ${other[at]}`);
}

export const bothWays: Fuzzer<Program> = { program, run: runBothWays, inTests: 60 };
