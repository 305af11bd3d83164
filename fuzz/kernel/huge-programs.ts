// Random programs on blocks of 2 MiB against the plain model, under all settings of huge pages, all policies of huge reference pages and of
// initialisation, with blocks of frames refused at random: what is huge must never show in what a program reads or is answered.
// Which pages become huge, and what that costs, is held against recordings (bench/conformance/thp) and R16's own programs.
import fc from "fast-check";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import * as mman from "../../platform/kernel/abi/mman.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { INITIALISATION_POLICIES, NO_FRAME } from "../../platform/kernel/mm/frames.ts";
import type { PinnedPages } from "../../platform/kernel/mm/gup.ts";
import { HUGE_REFERENCE_PAGES } from "../../refpage/huge.ts";
import { createKernel, refpage_create2 } from "../../refpage/kernel.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { outcome, type Pair, Pairs } from "./pairs.ts";
import { PlainObject, type PlainProcess } from "./plain-model.ts";

const BASE = 0x10_0000_0000;
const BASE_PAGE = BASE / PAGE_SIZE;
/** Pages of a block, and of all that programs look at. */
const H = 512;
const BLOCKS = 3;
const PAGES = BLOCKS * H;
const FILE_PAGES = 2 * H;
const AWAY_PAGE = BASE_PAGE + 2 * PAGES;
const MOST_PROCESSES = 3;
const PR_SET_THP_DISABLE = 41;
const PATTERNS = [[0xaa], [1, 2], [1, 2, 3, 4, 5, 6, 7, 8]];

/** What mappings of a reference page read: the pattern in every page. */
class PatternObject extends PlainObject {
  private readonly content: Uint8Array;

  constructor(pattern: readonly number[]) {
    super();
    this.content = Uint8Array.from({ length: PAGE_SIZE }, (_, at) => pattern[at % pattern.length]);
  }

  override page(): Uint8Array {
    return this.content;
  }
}

/** Pages that somebody outside holds. */
interface Pin {
  readonly pages: PinnedPages;
  readonly views: readonly Uint8Array[];
  readonly pair: Pair;
  readonly page: number;
  readonly write: boolean;
  /** Whether they are still what the process has there: until something takes pages away. */
  isCurrent: boolean;
}

interface World {
  readonly kernel: Kernel;
  readonly pairs: Pairs;
  readonly pins: Pin[];
  readonly file: PlainObject;
  readonly fd: number;
  readonly patterns: readonly { readonly fd: number; readonly object: PlainObject }[];
}

const settings = fc.record({
  enabled: fc.constantFrom("always" as const, "madvise" as const, "never" as const),
  useZeroPage: fc.boolean(),
  sizes: fc.constantFrom([2048], [2048], [64, 2048], [64], [16, 64, 1024]),
  shmem: fc.constantFrom("never" as const, "advise" as const),
  policy: fc.constantFrom(...HUGE_REFERENCE_PAGES),
  initialisation: fc.constantFrom(...INITIALISATION_POLICIES),
  /** Bit n: the n-th block of frames of every 16 is refused. */
  refused: fc.oneof(fc.constant(0), fc.nat(0xffff), fc.constant(0xffff)),
});

const op = fc.constantFrom(
  ...(["anonymous", "anonymous", "reference", "reference", "file", "unmap", "protect", "drop", "drop"] as const),
  ...([
    "move",
    "move",
    "lock",
    "unlock",
    "fork",
    "fork",
    "exit",
    "advise",
    "collapse",
    "collapse",
    "collapse",
  ] as const),
  ...(["khugepaged", "cold", "free", "populate", "pin", "pin", "device", "unpin", "transfer", "disable"] as const),
  ...(["punch", "guard"] as const),
  ...(["store", "store", "store", "store", "load", "load", "load"] as const),
);
const pageInBlock = fc.oneof(fc.constantFrom(0, 0, 0, 1, 2, 255, 256, 510, 511), fc.nat(H - 1));

const step = fc.record({
  op,
  who: fc.nat(MOST_PROCESSES - 1),
  page: fc.tuple(fc.nat(BLOCKS - 1), pageInBlock).map(([block, page]) => block * H + page),
  count: fc.constantFrom(1, 3, 16, 100, H - 1, H, H, H, H + 1, 2 * H),
  other: fc.tuple(fc.nat(BLOCKS - 1), pageInBlock).map(([block, page]) => block * H + page),
  value: fc.nat(255),
  options: fc.nat(7),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never;

interface Program {
  readonly settings: Settings;
  readonly steps: readonly Step[];
}

const machine = new Machine({ memoryBytes: 96 * 2 ** 20, mte: false });

function createWorld({ settings: given }: Program, journal: Journal): World {
  const { policy, initialisation, refused, ...hugePages } = given;
  const options = { hugePages, hugeReferencePages: policy, initialisation };
  journal.note('import { createKernel } from "refheap/kernel";');
  const kernel = journal.make(
    "kernel",
    `createKernel({ memoryBytes: 96 * 2 ** 20, mte: false }, ${JSON.stringify(options)})`,
    () => createKernel(machine, options),
  );
  refuseBlocks(kernel, refused);
  const process = kernel.createProcess({ name: "program" });
  const fd = process.memfd_create("file");
  process.ftruncate(fd, FILE_PAGES * PAGE_SIZE);
  const scratch = process.mmap(0, PAGE_SIZE, 3, 0x22);
  const patterns = PATTERNS.map((pattern) => {
    process.memory.write(scratch, Uint8Array.from(pattern));
    return { fd: refpage_create2(process, scratch, pattern.length), object: new PatternObject(pattern) };
  });
  process.munmap(scratch, PAGE_SIZE);
  const pairs = new Pairs(process, MOST_PROCESSES);
  return { kernel, pairs, pins: [], file: new PlainObject(), fd, patterns };
}

function refuseBlocks({ frames }: Kernel, refused: number): void {
  const real = frames.allocateFolio.bind(frames);
  let asked = 0;
  Object.defineProperty(frames, "allocateFolio", {
    configurable: true,
    value: (...given: Parameters<typeof real>) => ((refused >> (asked++ % 16)) & 1 ? NO_FRAME : real(...given)),
  });
}

/** Most of these are about whole blocks. */
const WHOLE = new Set(["anonymous", "reference", "file", "collapse"]);
/** After these a process may have other pages than those that were pinned. */
const TAKES_PAGES = new Set(["anonymous", "reference", "file", "unmap", "drop", "move", "exit", "punch", "guard"]);

function run(world: World, drawn: Step): void {
  const pair = world.pairs.living(drawn.who);
  if (pair === null) return;
  const { process, plain } = pair;
  const isWhole = WHOLE.has(drawn.op) && drawn.value < 192;
  const given = isWhole ? { ...drawn, page: drawn.page - (drawn.page % H), count: drawn.count > H ? 2 * H : H } : drawn;
  if (TAKES_PAGES.has(given.op)) for (const one of world.pins) one.isCurrent = false;
  const count = Math.min(given.count, PAGES - given.page);
  const page = BASE_PAGE + given.page;
  const address = page * PAGE_SIZE;
  const length = count * PAGE_SIZE;
  const write = (given.options & 2) !== 0 || (given.options & 4) !== 0;
  const shared = (given.options & 1) !== 0;
  const prot = write ? mman.PROT_READ | mman.PROT_WRITE : mman.PROT_READ;
  const advise = (advice: number) => outcome(() => process.madvise(address, length, advice));
  switch (given.op) {
    case "anonymous": {
      const flags = mman.MAP_FIXED | mman.MAP_ANONYMOUS | (shared ? mman.MAP_SHARED : mman.MAP_PRIVATE);
      process.mmap(address, length, prot, flags);
      plain.map(page, count, { write, shared }, shared ? new PlainObject() : null, 0);
      break;
    }
    case "reference": {
      const { fd, object } = world.patterns[given.value % PATTERNS.length];
      process.mmap(address, length, prot, mman.MAP_FIXED | mman.MAP_PRIVATE, fd, 0);
      plain.map(page, count, { write, shared: false }, object, 0);
      break;
    }
    case "file": {
      // As often as not at an offset that lets blocks of the file be huge.
      const index = given.value < 128 ? given.page % H : given.other % FILE_PAGES;
      const pages = Math.min(count, FILE_PAGES - index);
      const flags = mman.MAP_FIXED | (shared ? mman.MAP_SHARED : mman.MAP_PRIVATE);
      process.mmap(address, pages * PAGE_SIZE, prot, flags, world.fd, index * PAGE_SIZE);
      plain.map(page, pages, { write, shared }, world.file, index);
      break;
    }
    case "move": {
      // By whole blocks, or by any distance; away and, often, back.
      const distance = given.value < 128 ? 0 : given.value % 3;
      if (!plain.isWholeRange(page, count)) break;
      moveTo(pair, page, count, AWAY_PAGE + given.page + distance);
      if (given.options > 3) world.pairs.fork(pair);
      if (!shared) moveTo(pair, AWAY_PAGE + given.page + distance, count, page);
      else {
        const to = BASE_PAGE + Math.min(given.other, PAGES - count);
        moveTo(pair, AWAY_PAGE + given.page + distance, count, to);
      }
      break;
    }
    case "advise":
      advise(shared ? mman.MADV_NOHUGEPAGE : mman.MADV_HUGEPAGE);
      break;
    case "collapse":
      expect([0, "EINVAL", "EAGAIN", "ENOMEM", "EBUSY"]).toContain(advise(mman.MADV_COLLAPSE));
      break;
    case "khugepaged":
      world.kernel.khugepaged(process, { smallestPages: 1 + (given.value % 3), limit: 1 + given.options });
      break;
    case "cold":
      advise(mman.MADV_COLD);
      break;
    case "free":
      // Nothing is reclaimed here, so that the contents stay.
      advise(mman.MADV_FREE);
      break;
    case "populate":
      advise(write ? mman.MADV_POPULATE_WRITE : mman.MADV_POPULATE_READ);
      break;
    case "guard":
      // Guards that are taken away leave what DONTNEED leaves, in private memory.
      if (!isPrivate(plain, page, count)) break;
      if (advise(mman.MADV_GUARD_INSTALL) !== 0) break;
      advise(mman.MADV_GUARD_REMOVE);
      plain.dontNeed(page, count);
      break;
    case "pin":
      pin(world, pair, page, given);
      break;
    case "device":
      storeByDevice(world, given);
      break;
    case "unpin":
      world.pins.splice(given.value % 3, 1)[0]?.pages.release();
      break;
    case "transfer":
      transfer(world, pair, given);
      break;
    case "disable":
      process.prctl(PR_SET_THP_DISABLE, given.value % 2, given.value % 4 === 1 ? 2 : 0, 0, 0);
      break;
    case "punch": {
      const from = given.other % FILE_PAGES;
      const pages = Math.min(count, FILE_PAGES - from);
      outcome(() => process.fallocate(world.fd, 3, from * PAGE_SIZE, pages * PAGE_SIZE));
      for (let index = from; index < from + pages; index++) world.file.page(index).fill(0);
      break;
    }
    default:
      world.pairs.run(pair, { op: given.op, page, count, value: given.value, access: { read: shared, write } });
  }
}

function isPrivate(plain: PlainProcess, page: number, count: number): boolean {
  for (let at = page; at < page + count; at++) if (!plain.isAnonymous(at)) return false;
  return true;
}

function moveTo({ process, plain }: Pair, from: number, count: number, to: number): void {
  const length = count * PAGE_SIZE;
  const flags = mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED;
  expect(process.mremap(from * PAGE_SIZE, length, length, flags, to * PAGE_SIZE)).toBe(to * PAGE_SIZE);
  plain.move(from, count, to);
}

function pin({ pins }: World, pair: Pair, page: number, { options, value }: Step): void {
  if (pins.length === 3) return;
  const write = options > 1;
  outcome(() => {
    const pages = pair.process.pin(page * PAGE_SIZE, (1 + (value % 3)) * PAGE_SIZE, { write });
    pins.push({ pages, views: pages.views(), pair, page, write, isCurrent: true });
  });
}

/** A store by who holds a page: the process sees it, and no other that does not share it. */
function storeByDevice({ pins }: World, { value }: Step): void {
  const one = pins[value % 3];
  if (one === undefined || !one.write || !one.isCurrent) return;
  if (one.pair.plain.store(one.page * PAGE_SIZE + value, value) !== undefined) return;
  one.views[0][value] = value;
}

/** Who holds pages sees what the process has in them. */
function checkPins({ pins }: World): void {
  for (const { views, pair, page, isCurrent } of pins) {
    if (!isCurrent) continue;
    const bytes = Buffer.concat(views);
    for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
      const want = pair.plain.content(page + at / PAGE_SIZE);
      if (typeof want === "string") continue;
      expect(Buffer.compare(bytes.subarray(at, at + PAGE_SIZE), want), `pinned page ${page - BASE_PAGE}`).toBe(0);
    }
  }
}

/** A byte of one process becomes a byte of another, or of itself, by the kernel. */
function transfer(world: World, { process, plain }: Pair, { page, other, value }: Step): void {
  const target = world.pairs.living(value);
  if (target === null) return;
  const from = (BASE_PAGE + other) * PAGE_SIZE + value;
  const to = (BASE_PAGE + page) * PAGE_SIZE + value;
  const byte = plain.load(from);
  const got = outcome(() => process.process_vm_writev(target.process.pid, [[from, 1]], [[to, 1]]));
  if (typeof got === "string") return;
  expect(typeof byte).toBe("number");
  expect(target.plain.store(to, byte as number)).toBeUndefined();
}

const comparedPages = Array.from({ length: PAGES }, (_, index) => BASE_PAGE + index);

function runProgram(program: Program, journal: Journal): number {
  const world = createWorld(program, journal);
  const { kernel } = world;
  for (const given of program.steps) {
    run(world, given);
    kernel.checkInvariants();
    checkPins(world);
  }
  world.pairs.compare(comparedPages);
  world.pairs.end();
  for (const one of world.pins) one.pages.release();
  kernel.checkInvariants();
  Reflect.deleteProperty(kernel.frames, "allocateFolio");
  const zeroPages = [...kernel.hugeZeroPage.holder()].length * H;
  expect(kernel.frames.freeFrames + zeroPages, "free frames").toBe(kernel.frames.frameCount - 1);
  // So that the next kernel finds this one's tables.
  kernel.shutDown();
  return program.steps.length;
}

export const hugePrograms: Fuzzer<Program> = {
  program: fc.record({ settings, steps: fc.array(step, { minLength: 1, maxLength: 50 }) }),
  run: runProgram,
  inTests: 40,
};
