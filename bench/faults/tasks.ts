// The faults that `bench -- faults` times, each as a batch of one kind over the same number of pages: preparation and
// clean-up are outside the timed part. How they are timed and printed is in ../faults.ts.
import {
  createKernel,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  type Process,
  refpage_create2,
} from "../../refpage/index.ts";
import { type BatchTask, keep } from "../harness/sample.ts";
import type { InitialisationPolicy } from "../microbench/rows.ts";

/** Pages of one batch: the 4096000 bytes of the thread's mapping. */
export const PAGES = 1000;
const LENGTH = PAGES * PAGE_SIZE;
const PATTERN_BYTE = 0xaa;

/** What a fault is held against: the fill of as many bytes in a plain array. */
export function plainFill(): BatchTask {
  const array = new Uint8Array(LENGTH);
  return {
    name: "4 KiB fill of a Uint8Array",
    batch() {
      for (let from = 0; from < LENGTH; from += PAGE_SIZE) array.fill(PATTERN_BYTE, from, from + PAGE_SIZE);
      return PAGES;
    },
  };
}

/** Where a batch's mapping comes from. */
type Source = (process: Process) => () => number;

const anonymous: Source = (process) => () =>
  process.mmap(0, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

/** A reference page of a repeated byte, or of a whole page of mixed bytes that can only be copied. */
function refpage(content: "pattern" | "page"): Source {
  return (process) => {
    const page = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (let i = 0; i < PAGE_SIZE; i++) process.memory.setUint8(page + i, content === "page" ? i * 7 : PATTERN_BYTE);
    const fd = refpage_create2(process, page, content === "page" ? PAGE_SIZE : 1, 0);
    return () => process.mmap(0, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  };
}

function store(process: Process, base: number): number {
  const { memory } = process;
  for (let offset = 0; offset < LENGTH; offset += PAGE_SIZE) memory.setUint8(base + offset, 1);
  return PAGES;
}

function load(process: Process, base: number): number {
  const { memory } = process;
  let sum = 0;
  for (let offset = 0; offset < LENGTH; offset += PAGE_SIZE) sum += memory.getUint8(base + offset);
  keep(sum);
  return PAGES;
}

interface Steps {
  readonly name: string;
  readonly source: Source;
  readonly initialisation?: InitialisationPolicy;
  /** Not timed: brings the new mapping to where the fault happens. */
  readonly before?: (process: Process, base: number) => void;
  readonly timed: (process: Process, base: number) => number;
  readonly after?: (process: Process) => void;
}

function task({ name, source, initialisation = "plumbed", before, timed, after }: Steps): BatchTask {
  const process = createKernel({}, { initialisation }).createProcess({ name: "faults" });
  const map = source(process);
  let base = 0;
  return {
    name,
    prepare() {
      base = map();
      before?.(process, base);
    },
    batch: () => timed(process, base),
    restore() {
      after?.(process);
      process.munmap(base, LENGTH);
    },
  };
}

/** A child that has everything of its parent; `after` ends it. */
function forkSteps(): Pick<Steps, "before" | "after"> {
  let child: Process | undefined;
  return {
    before(process, base) {
      store(process, base);
      child = process.fork();
    },
    after(process) {
      child?.exit(0);
      if (child !== undefined) process.wait4(child.pid);
      child = undefined;
    },
  };
}

export const WRITE_ANONYMOUS = "store to an untouched anonymous page";
export const WRITE_REFPAGE = "store to a clean refpage page, plumbed";
export const READ_ANONYMOUS = "load of an untouched anonymous page";
export const READ_REFPAGE = "load of a clean refpage page";

export function faultTasks(): BatchTask[] {
  return [
    task({ name: WRITE_ANONYMOUS, source: anonymous, timed: store }),
    task({ name: WRITE_REFPAGE, source: refpage("pattern"), timed: store }),
    task({
      name: "store to a clean refpage page, nozero",
      source: refpage("pattern"),
      initialisation: "nozero",
      timed: store,
    }),
    task({
      name: "store to a clean refpage page, double",
      source: refpage("pattern"),
      initialisation: "double",
      timed: store,
    }),
    task({ name: "store to a clean refpage page, copied", source: refpage("page"), timed: store }),
    task({ name: READ_ANONYMOUS, source: anonymous, timed: load }),
    task({ name: READ_REFPAGE, source: refpage("pattern"), timed: load }),
    task({ name: "store after a load of the zero page", source: anonymous, before: load, timed: store }),
    task({ name: "store after a load of a refpage page", source: refpage("pattern"), before: load, timed: store }),
    task({ name: "store after fork (copy-on-write)", source: anonymous, ...forkSteps(), timed: store }),
    task({
      name: "store after the child ended (reuse)",
      source: anonymous,
      before(process, base) {
        store(process, base);
        const child = process.fork();
        child.exit(0);
        process.wait4(child.pid);
      },
      timed: store,
    }),
    task({
      name: "MADV_DONTNEED, a touched page",
      source: anonymous,
      before: store,
      timed(process, base) {
        process.madvise(base, LENGTH, MADV_DONTNEED);
        return PAGES;
      },
    }),
  ];
}
