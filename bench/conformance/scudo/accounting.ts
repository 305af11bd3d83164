// What the heap says of itself: mallinfo, resident pages, statistics texts, malloc_info.
import { compareAll, compareLines, compareRange, type Difference } from "./difference.ts";
import type { Observation } from "./record.ts";
import { createSubject, maskAddresses, type Subject } from "./subject.ts";

const M_PURGE = -101;
const M_PURGE_ALL = -104;
const M_LOG_STATS = -205;
const PAGE = 4096;

/** mallinfo2 after each step of one process. */
export function replayMallinfo(recorded: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded[0]!.options);
  const live = new Map<number, number[]>();
  for (const observation of recorded) {
    if (observation.mallinfo_hblkhd_int !== undefined) {
      const difference = compareAll(observation, { mallinfo_hblkhd_int: subject.heap.mallinfo().hblkhd }, ["options"]);
      if (difference !== undefined) return difference;
      continue;
    }
    const step = String(observation.after);
    takeStep(subject, live, step);
    const { hblkhd, usmblks, fsmblks, uordblks, fordblks, ...rest } = subject.heap.mallinfo2();
    const others = Object.values(rest).reduce((sum: number, value: number) => sum + value, 0);
    const got = { hblkhd, usmblks, fsmblks, uordblks, fordblks, others };
    const difference = compareAll(observation, got, ["after", "options"]);
    if (difference !== undefined) return { ...difference, field: `${difference.field} after ${step}` };
  }
  return undefined;
}

/** `malloc(100)`, `free(100)` (the last one of that size), `realloc(1->2)`, "first malloc(1) and free", "all freed", "purge all". */
function takeStep({ heap }: Subject, live: Map<number, number[]>, step: string): void {
  const keep = (size: number, pointer: number): void => {
    live.set(size, [...(live.get(size) ?? []), pointer]);
  };
  const take = (size: number): number => live.get(size)?.pop() ?? 0;
  const moved = /realloc\((\d+)->(\d+)\)/.exec(step);
  const called = /\b(malloc|free)\((\d+)\)/.exec(step);
  if (moved !== null) keep(Number(moved[2]), heap.realloc(take(Number(moved[1])), Number(moved[2])));
  else if (called?.[1] === "malloc" && step.includes("and free")) heap.free(heap.malloc(Number(called[2])));
  else if (called?.[1] === "malloc") keep(Number(called[2]), heap.malloc(Number(called[2])));
  else if (called?.[1] === "free") heap.free(take(Number(called[2])));
  else if (step.startsWith("all freed"))
    for (const pointers of live.values()) for (const one of pointers.splice(0)) heap.free(one);
  else if (step.startsWith("purge")) heap.mallopt(step.includes("all") ? M_PURGE_ALL : M_PURGE, 0);
  else throw new RangeError(`no such step: ${step}`);
}

/**
 * Resident pages. The recorded program's own pages are in the figures, up to about 40 (docs/divergences.md); the heap's records may
 * differ by a few more where their order is random. So ours may be this many less, and a few more, than recorded.
 */
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const OWN_PAGES = 48;
const MORE_PAGES = 16;

export function replayRss([recorded]: readonly Observation[]): Difference | undefined {
  const { heap, memory, process } = createSubject(recorded!.options);
  const chunk = Number(recorded!.chunk);
  const count = recorded!.total === undefined ? 1 : Math.floor(Number(recorded!.total) / chunk);
  const pages = (): number => Math.round(process.rssBytes / PAGE);
  const vmPages = (): number => Number(process.procfs("statm").split(" ")[0]);
  // The recorded program keeps its pointers in memory of its own, eight bytes each; its pages are in the figures.
  const list = process.mmap(0, Math.ceil((count * 8) / PAGE) * PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS);
  const base = pages();
  const vmBase = vmPages();
  const pointers = new Float64Array(count);
  const allocate = (): void => {
    for (let index = 0; index < count; index++) {
      pointers[index] = heap.malloc(chunk);
      memory.setFloat64(list + 8 * index, pointers[index]!);
    }
  };
  const got: Record<string, number> = {};
  allocate();
  got.pages_after_malloc = pages() - base;
  const vmGrowth = vmPages() - vmBase;
  const touched = recorded!.touched_pages === undefined ? Math.ceil(chunk / PAGE) : Number(recorded!.touched_pages);
  for (const pointer of pointers) for (let page = 0; page < touched; page++) memory.setUint8(pointer + page * PAGE, 1);
  got.pages_after_touch = pages() - base;
  if (recorded!.touched_pages === undefined) {
    for (const pointer of pointers) heap.free(pointer);
    got.pages_after_free = pages() - base;
    heap.mallopt(M_PURGE, 0);
    got.pages_after_purge = pages() - base;
    heap.mallopt(M_PURGE_ALL, 0);
    got.pages_after_purge_all = pages() - base;
    allocate();
    got.pages_after_malloc_again = pages() - base;
  }
  if (recorded!.vm_pages_after_malloc !== undefined && recorded!.vm_pages_after_malloc !== vmGrowth) {
    return { field: "vm_pages_after_malloc", expected: recorded!.vm_pages_after_malloc, got: vmGrowth };
  }
  for (const [field, value] of Object.entries(got)) {
    const expected = Number(recorded![field]);
    const difference = compareRange(field, value, expected - OWN_PAGES, expected + MORE_PAGES);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** Statistics after what the line's words say was allocated and freed. */
export function replayPrintStats([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const { heap } = subject;
  const what = String(recorded!.what);
  const blocks = /^(\d+) blocks of (\d+) allocated, then all freed/.exec(what);
  if (blocks !== null) {
    const pointers = Array.from({ length: Number(blocks[1]) }, () => heap.malloc(Number(blocks[2])));
    for (const pointer of pointers) heap.free(pointer);
  } else allocateAndFree(subject, what.includes("after malloc") ? what : COMMON_POINT);
  const before = subject.written().length;
  if (what.startsWith("M_LOG_STATS")) heap.mallopt(M_LOG_STATS, 0);
  else heap.print_stats();
  const lines = maskAddresses(subject.written().slice(before)).trimEnd().split("\n");
  const expected = recorded!.lines as string[];
  if (blocks === null) return compareLines("text", withoutLuck(expected, lines), lines);
  const entryLines = lines.filter((line) => line.startsWith("StartBlockAddress")).length;
  const cachePart = lines.filter((line) => /^Stats: (MapAllocator|CacheRetrieval)/.test(line));
  return (
    compareLines("text", expected, cachePart) ??
    compareAll({ entry_lines: recorded!.entry_lines }, { entry_lines: entryLines })
  );
}

/**
 * Pages in use of a class whose blocks are not whole pages, and not all in use, depend on which blocks the shuffle gave out:
 * between the fewest pages that so many blocks can lie in and the most. If both are within that, ours stands for the recorded.
 */
function withoutLuck(expected: readonly string[], got: readonly string[]): string[] {
  return expected.map((line, index) => {
    const mine = got[index] ?? "";
    const recorded = FRAGMENTATION.exec(line);
    const ours = FRAGMENTATION.exec(mine);
    if (recorded === null || ours === null || recorded[1] !== ours[1]) return line;
    const [size, inUse, total, pages] = [2, 3, 4, 6].map((group) => Number(recorded[group]));
    const least = Math.ceil((size! * inUse!) / PAGE);
    const most = Math.min(pages!, inUse! * (Math.ceil((size! - 1) / PAGE) + 1));
    const isLuck = size! % PAGE !== 0 && inUse! < total!;
    const isPossible = [recorded, ours].every((one) => Number(one[5]) >= least && Number(one[5]) <= most);
    const isSame = [2, 3, 4, 6].every((group) => recorded[group] === ours[group]);
    return isLuck && isPossible && isSame ? mine : line;
  });
}

/** Class, block size, blocks in use and in all, pages in use and in all. */
const FRAGMENTATION =
  /^ {2}(\d+) \( *(\d+)\): inuse\/total blocks: +(\d+)\/ *(\d+) inuse\/total pages: +(\d+)\/ *(\d+) inuse bytes:/;

/** What "at the same point" means. */
const COMMON_POINT = "print_stats after malloc 100, 100, 3000, 200000, 300000, free one 100 and the 200000";

/** "malloc A, B, C, free one A and the B". */
function allocateAndFree({ heap }: Subject, what: string): void {
  const [allocated, freed = ""] = what.split(/,?\s*free /);
  const live = numbersIn(allocated!).map((size) => ({ size, pointer: heap.malloc(size) }));
  for (const size of numbersIn(freed)) {
    const index = live.findIndex((one) => one.size === size);
    const [one] = live.splice(index, 1);
    heap.free(one!.pointer);
  }
}

function numbersIn(text: string): number[] {
  return [...text.matchAll(/\d+/g)].map(Number);
}

/** malloc_info after the mallocs that `calls` lists. */
export function replayMallocInfo([recorded]: readonly Observation[]): Difference | undefined {
  const subject = createSubject(recorded!.options);
  const [calls] = String(recorded!.calls).split(";");
  allocateAndFree(subject, calls!);
  let text = "";
  subject.heap.malloc_info(0, (part) => {
    text += part;
  });
  return compareLines("xml", recorded!.lines as string[], text.trimEnd().split("\n"));
}
