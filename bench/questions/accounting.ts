// Questions about what is counted and limited: sharing of equal pages, RSS and charges, MADV_DONTNEED, floods of pages.
import type { SystemError } from "../../platform/kernel/abi/errors.ts";
import { MADV_DONTNEED, MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import { RLIMIT_NOFILE } from "../../platform/kernel/abi/rlimit.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { createKernel, refpage_create2 } from "../../refpage/kernel.ts";
import { left, type Question, right, table, text } from "./question.ts";

const PAGE = 4096;
const READ_WRITE = PROT_READ | PROT_WRITE;
const AREA_PAGES = 1000;
/** A heap with one pattern and fifteen tags other than 0. */
const PAGES_PER_HEAP = 16;

function anonymous(process: Process, pages: number): number {
  return process.mmap(0, pages * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

function framesUsed(kernel: Kernel): number {
  return kernel.frames.frameCount - kernel.frames.freeFrames;
}

/** Descriptors of different reference pages; the scratch page goes before anything is counted. */
function createPages(process: Process, count: number): number[] {
  const page = anonymous(process, 1);
  const fds = Array.from({ length: count }, (_, index) => {
    process.memory.setUint32(page, index + 1);
    return refpage_create2(process, page, 4);
  });
  process.munmap(page, PAGE);
  return fds;
}

export const sharing: Question = {
  name: "sharing",
  asks: "what a table of equal contents saves against one page a descriptor",
  answer: () => {
    const rows = [1, 4, 16].flatMap((heaps) =>
      (["separate programs", "forked from one"] as const).map((how) => [
        String(heaps),
        how,
        ...[false, true].map((share) => String(framesOfHeaps(heaps, how, { share }))),
      ]),
    );
    const columns = [
      right("processes"),
      left("made"),
      right("frames, one a descriptor"),
      right("frames, shared table"),
    ];
    return text(
      table(`Frames of reference pages, ${PAGES_PER_HEAP} contents in each process`, columns, rows),
      table(
        "Who pays for a shared page, in frames charged",
        [left("moment"), right("cgroup A"), right("cgroup B")],
        payers(),
      ),
    );
  },
};

function framesOfHeaps(count: number, how: string, { share }: { readonly share: boolean }): number {
  const kernel = createKernel({ memoryBytes: 2 ** 24 }, { share });
  const first = kernel.createProcess();
  const before = framesUsed(kernel);
  createPages(first, PAGES_PER_HEAP);
  for (let index = 1; index < count; index++) {
    if (how === "forked from one") first.fork();
    else createPages(kernel.createProcess(), PAGES_PER_HEAP);
  }
  return framesUsed(kernel) - before;
}

function payers(): string[][] {
  const kernel = createKernel({ memoryBytes: 2 ** 24 }, { share: true });
  const groups = ["A", "B"].map((name) => kernel.createCgroup({ name }));
  const [a, b] = groups.map((cgroup) => kernel.createProcess({ cgroup }));
  const row = (moment: string): string[] => [moment, ...groups.map(({ chargedFrames }) => String(chargedFrames))];
  createPages(a, PAGES_PER_HEAP);
  const rows = [row("A made the pages")];
  createPages(b, PAGES_PER_HEAP);
  rows.push(row("B made the same"));
  a.exit(0);
  rows.push(row("A's process ended"));
  return rows;
}

export const rssAccounting: Question = {
  name: "rss-accounting",
  asks: "what RSS and the memory cgroup count of a reference page's mapping",
  answer: () => {
    const kernel = createKernel({ memoryBytes: 2 ** 26 });
    const cgroup = kernel.createCgroup({ name: "program" });
    const process = kernel.createProcess({ cgroup });
    const rows: string[][] = [];
    const baseRss = process.rssBytes;
    const baseFrames = cgroup.chargedFrames;
    const note = (what: string): void => {
      rows.push([what, String((process.rssBytes - baseRss) / PAGE), String(cgroup.chargedFrames - baseFrames)]);
    };
    const [fd] = createPages(process, 1);
    note("refpage_create");
    const area = process.mmap(0, AREA_PAGES * PAGE, READ_WRITE, MAP_PRIVATE, fd);
    note(`mmap of ${AREA_PAGES} pages`);
    for (let page = 0; page < AREA_PAGES; page++) process.memory.getUint8(area + page * PAGE);
    note("a load of each");
    for (let page = 0; page < 500; page++) process.memory.setUint8(area + page * PAGE, 9);
    note("a store to 500");
    process.madvise(area, 250 * PAGE, MADV_DONTNEED);
    note("MADV_DONTNEED of 250 of them");
    const again = process.memory.getUint32(area);
    note("a load of one of those");
    process.fork();
    note("fork");
    process.munmap(area, AREA_PAGES * PAGE);
    note("munmap in the parent");
    return text(
      table("Pages counted", [left("after"), right("RSS, pages"), right("cgroup, frames")], rows),
      `The page loaded after MADV_DONTNEED reads ${again}; the reference page holds 1.`,
    );
  },
};

export const limits: Question = {
  name: "limits",
  asks: "what stops a process that makes reference pages without end",
  answer: () => {
    const rows = [
      flood("descriptors kept", "RLIMIT_NOFILE 1024", "keep", { files: 1024 }),
      flood("descriptors kept", "file-max 4096", "keep", { files: 1_000_000, fileMax: 4096 }),
      flood("mapped, then closed", "RLIMIT_NOFILE 1024, file-max 4096", "map", { files: 1024, fileMax: 4096 }),
      flood("mapped, then closed", "max_map_count 2000", "map", { files: 1024, fileMax: 65536, maps: 2000 }),
      flood("mapped, then closed", "cgroup of 1 MiB", "map", { files: 1024, cgroupBytes: 2 ** 20 }),
    ];
    const columns = [
      left("a process makes pages"),
      left("limit"),
      right("pages"),
      left("error"),
      right("descriptors open"),
      right("frames left at exit"),
    ];
    return table("How many reference pages one process gets", columns, rows);
  },
};

interface FloodLimits {
  readonly files: number;
  readonly fileMax?: number;
  readonly maps?: number;
  readonly cgroupBytes?: number;
}

function flood(what: string, limit: string, how: "keep" | "map", options: FloodLimits): string[] {
  const { files, fileMax, maps, cgroupBytes = Number.POSITIVE_INFINITY } = options;
  const kernel = createKernel({ memoryBytes: 2 ** 26 }, { fileMax, maxMapCount: maps });
  const before = framesUsed(kernel);
  const cgroup = kernel.createCgroup({ name: "flood", limitBytes: cgroupBytes });
  const process = kernel.createProcess({ cgroup });
  process.setrlimit(RLIMIT_NOFILE, files, files);
  const page = anonymous(process, 1);
  let made = 0;
  let error = "";
  while (error === "") {
    try {
      process.memory.setUint32(page, made + 1);
      const fd = refpage_create2(process, page, 4);
      if (how === "map") {
        try {
          process.mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd);
        } finally {
          process.close(fd);
        }
      }
      made++;
    } catch (failure) {
      error = (failure as SystemError).code;
    }
  }
  const open = how === "keep" ? made : 0;
  process.exit(0);
  return [what, limit, String(made), error, String(open), String(framesUsed(kernel) - before)];
}
