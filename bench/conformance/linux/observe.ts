// The `observe` step: what smaps, mincore, the page table and status say of the window, in the rows of the format.
// It reads procfs's own text, so that the text is held against the recordings too; nothing here changes anything.
import {
  PAGE_SIZE,
  PTE_ANON,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_PRESENT,
  PTE_SPECIAL,
} from "../../../platform/hardware/layout.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { encodeCharacters } from "../runs.ts";
import type { Answer, VmaRow } from "../script.ts";
import { type Participant, tableCount, WINDOW_BASE, type World } from "../world.ts";
import { foliosOf } from "./folios.ts";
import { residency, statusKib } from "./operations-mapping.ts";

const KIB_PER_PAGE = PAGE_SIZE / 1024;
/** pagemap, bit 56: the page is mapped exactly once. */
const PM_MMAP_EXCLUSIVE = 1n << 56n;

export function observe(world: World, participant: Participant): Answer {
  const { process } = participant;
  const areas = areasOf(process, world.windowBytes);
  const { counters } = world.kernel;
  return {
    vmas: areas.map((area) => rowOf(world, process, area)),
    pages: pictureOf(areas, (start, end) => pageKinds(process, start, end)),
    mincore: pictureOf(areas, (start, end) => residency(process.mincore(start, end - start))),
    folios: foliosOf(process, world.windowBytes),
    lck: statusKib(process, "VmLck") / KIB_PER_PAGE,
    pt: participant.number === 0 ? tableCount(process) - world.startingTables : -1,
    init: [
      counters.framesZeroed - world.startingCounters.framesZeroed,
      counters.framesFilled - world.startingCounters.framesFilled,
      counters.bytesFilled - world.startingCounters.bytesFilled,
    ],
  };
}

/** One area of smaps: its first line, and the numbers of the lines below it in KiB. */
interface Area {
  readonly start: number;
  readonly end: number;
  readonly perm: string;
  readonly offset: number;
  readonly kib: ReadonlyMap<string, number>;
  readonly vmFlags: string;
}

const headLine = /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][sp]) ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ \d+ /;

/** The areas of smaps inside the window. */
function areasOf(process: Process, windowBytes: number): Area[] {
  const areas: (Area & { kib: Map<string, number>; vmFlags: string })[] = [];
  for (const line of process.procfs("smaps").split("\n")) {
    const head = headLine.exec(line);
    if (head !== null) {
      const [, start, end, perm, offset] = head;
      areas.push({
        start: Number.parseInt(start, 16),
        end: Number.parseInt(end, 16),
        perm,
        offset: Number.parseInt(offset, 16),
        kib: new Map(),
        vmFlags: "",
      });
      continue;
    }
    const area = areas.at(-1);
    const [, name, kib] = /^(\w+): +(\d+)(?: kB)?$/.exec(line) ?? [];
    if (area === undefined) continue;
    if (name !== undefined) area.kib.set(name, Number(kib));
    else if (line.startsWith("VmFlags:")) area.vmFlags = line.slice("VmFlags:".length).trim();
  }
  return areas.filter(({ start }) => start >= WINDOW_BASE && start < WINDOW_BASE + windowBytes);
}

function rowOf(world: World, { addressSpace: { vmas } }: Process, area: Area): VmaRow {
  const kib = (name: string): number => {
    const value = area.kib.get(name);
    if (value === undefined) throw new Error(`smaps has no line ${name}`);
    return value;
  };
  const pages = (name: string): number => kib(name) / KIB_PER_PAGE;
  return [
    (area.start - WINDOW_BASE) / PAGE_SIZE,
    (area.end - WINDOW_BASE) / PAGE_SIZE,
    area.perm,
    world.objectName(vmas.files[vmas.lookup(area.start / PAGE_SIZE)]),
    area.offset / PAGE_SIZE,
    pages("Rss"),
    kib("Pss"),
    pages("Shared_Clean"),
    pages("Shared_Dirty"),
    pages("Private_Clean"),
    pages("Private_Dirty"),
    pages("Anonymous"),
    kib("Locked"),
    area.vmFlags,
    pages("AnonHugePages"),
    pages("ShmemPmdMapped"),
    kib("THPeligible"),
  ];
}

/** The window up to the end of the last area: `-` where nothing is mapped, and what `draw` says of each area. */
function pictureOf(areas: readonly Area[], draw: (start: number, end: number) => string): string {
  let picture = "";
  let drawn = WINDOW_BASE;
  for (const { start, end } of areas) {
    picture += "-".repeat((start - drawn) / PAGE_SIZE) + draw(start, end);
    drawn = end;
  }
  return encodeCharacters(picture);
}

/** A private page, and one of a file; small letters if it is mapped more than once. */
const letters = { small: ["A", "F"], folio: ["L", "M"], huge: ["H", "S"] } as const;

/** One character a page: what the page table holds there. */
function pageKinds(process: Process, start: number, end: number): string {
  const { pageTable, kernel } = process.addressSpace;
  const pagemap = process.pagemap(start, end - start);
  let kinds = "";
  for (const [index, word] of pagemap.entries()) {
    const entry = pageTable.entryOf(start / PAGE_SIZE + index);
    const once = (word & PM_MMAP_EXCLUSIVE) !== 0n;
    if ((entry & PTE_GUARD) !== 0) kinds += "G";
    else if ((entry & PTE_PRESENT) === 0) kinds += ".";
    else {
      const isHuge = pageTable.isHuge(start / PAGE_SIZE + index);
      const inFolio = kernel.frames.isInFolio(entry >>> PTE_FRAME_SHIFT);
      const size = isHuge ? "huge" : inFolio ? "folio" : "small";
      if ((entry & PTE_SPECIAL) !== 0) kinds += isHuge ? "Z" : "z";
      else {
        const letter = letters[size][(entry & PTE_ANON) !== 0 ? 0 : 1];
        kinds += once ? letter : letter.toLowerCase();
      }
    }
  }
  return kinds;
}
