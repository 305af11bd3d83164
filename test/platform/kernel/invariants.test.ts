// What checkInvariants says of a kernel whose tables were torn by hand: each rule is named, with the numbers.
// The rules of one table alone are beside it: page-table.test.ts, vma.test.ts, frames.test.ts.
import { describe, expect, test } from "vitest";
import {
  PAGE_SIZE,
  PTE_ANON,
  PTE_CHECKED,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_READ,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import { checkFolios } from "../../../platform/kernel/invariants-folios.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { VM_ACCOUNT, VM_WRITE } from "../../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const RW = PROT_READ | PROT_WRITE;
const ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS;
const H = 512;

/** A process with an area whose first page is its own and whose second is clean, a read-only one, and one of a file. */
class Torn {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly page: number;
  readonly readOnly: number;
  readonly ofFile: number;
  readonly fd: number;

  constructor() {
    this.kernel = new Kernel({ memoryBytes: 2 ** 24 });
    this.process = this.kernel.createProcess();
    const { process } = this;
    const own = process.mmap(0, 4 * PAGE_SIZE, RW, ANONYMOUS);
    process.memory.setUint8(own, 1);
    process.memory.getUint8(own + PAGE_SIZE);
    const readOnly = process.mmap(0, 2 * PAGE_SIZE, PROT_READ, ANONYMOUS);
    process.memory.getUint8(readOnly);
    this.fd = process.memfd_create("file");
    process.ftruncate(this.fd, 2 * PAGE_SIZE);
    const file = process.mmap(0, 2 * PAGE_SIZE, RW, MAP_SHARED, this.fd, 0);
    process.memory.setUint8(file, 2);
    [this.page, this.readOnly, this.ofFile] = [own, readOnly, file].map((address) => address / PAGE_SIZE);
    this.kernel.checkInvariants();
  }

  get space() {
    return this.process.addressSpace;
  }

  get frames() {
    return this.kernel.frames;
  }

  frameAt(page: number): number {
    return this.entryAt(page) >>> PTE_FRAME_SHIFT;
  }

  entryAt(page: number): number {
    return this.space.pageTable.entryOf(page);
  }

  areaAt(page: number): number {
    return this.space.vmas.lookup(page);
  }

  setEntry(page: number, change: (entry: number) => number): void {
    this.space.pageTable.set(page, change(this.entryAt(page)));
  }
}

describe("checkInvariants names", () => {
  const cases: [string, (torn: Torn) => void, (torn: Torn) => string][] = [
    [
      "pages that are promised and not counted",
      ({ kernel }) => {
        kernel.committedPages += 3;
      },
      ({ kernel }) => `promise ${kernel.committedPages - 3} pages but ${kernel.committedPages} are committed`,
    ],
    [
      "an area that promises its pages uncounted",
      (torn) => {
        torn.space.vmas.flags[torn.areaAt(torn.readOnly)] |= VM_ACCOUNT;
      },
      ({ kernel }) => `promise ${kernel.committedPages + 2} pages but ${kernel.committedPages} are committed`,
    ],
    [
      "a frame that is mapped less often than counted",
      (torn) => void torn.frames.mapCounts[torn.frameAt(torn.page)]++,
      (torn) => `frame ${torn.frameAt(torn.page)} is mapped 1 times but has map count 2`,
    ],
    [
      "a frame with a reference too many",
      (torn) => void torn.frames.references[torn.frameAt(torn.page)]++,
      (torn) => `frame ${torn.frameAt(torn.page)} is mapped, cached, pinned or held 1 times but has reference count 2`,
    ],
    [
      "a pin that is no reference",
      (torn) => void torn.frames.pins[torn.frameAt(torn.page)]++,
      (torn) => `frame ${torn.frameAt(torn.page)} is mapped, cached, pinned or held 2 times but has reference count 1`,
    ],
    [
      "an exclusive frame that two processes map",
      (torn) => {
        torn.process.fork();
        torn.frames.exclusive[torn.frameAt(torn.page)] = 1;
      },
      (torn) => `frame ${torn.frameAt(torn.page)} is exclusive but mapped 2 times`,
    ],
    [
      "total pages that are counted wrongly",
      ({ space }) => void space.totalPages++,
      ({ space }) => `total pages is ${space.totalPages - 1} but counted as ${space.totalPages}`,
    ],
    [
      "data pages that are counted wrongly",
      ({ space }) => void space.dataPages--,
      ({ space }) => `data pages is ${space.dataPages + 1} but counted as ${space.dataPages}`,
    ],
    [
      "private pages that are counted wrongly",
      ({ space }) => void space.rssAnonymous++,
      () => "anonymous RSS is 1 but counted as 2",
    ],
    [
      "pages of files that are counted wrongly",
      ({ space }) => void space.rssFile--,
      () => "file RSS is 1 but counted as 0",
    ],
    [
      "an entry outside every area",
      (torn) => torn.space.pageTable.set(5, PTE_PRESENT | PTE_SPECIAL),
      () => "5 page-table entries but 4 lie inside areas",
    ],
    [
      "a guard marker with a frame",
      (torn) => torn.setEntry(torn.page + 2, () => PTE_GUARD | PTE_READ),
      (torn) => `page ${torn.page + 2} has a guard marker with other bits: ${PTE_GUARD | PTE_READ}`,
    ],
    [
      "an entry that is neither present nor a guard",
      (torn) => torn.setEntry(torn.page + 2, () => PTE_READ),
      (torn) => `page ${torn.page + 2} has an entry ${PTE_READ} that is neither present nor a guard`,
    ],
    [
      "a writable page of an area that is not",
      (torn) => {
        torn.space.vmas.flags[torn.areaAt(torn.page)] &= ~VM_WRITE;
      },
      (torn) => `page ${torn.page} is writable but its area is not`,
    ],
    [
      "a private page that a fork would forget",
      (torn) => {
        torn.space.vmas.anonVma[torn.areaAt(torn.page)] = 0;
      },
      (torn) => `page ${torn.page} is private but its area ${torn.areaAt(torn.page)} has no anon_vma`,
    ],
    [
      "a clean page that would take a store",
      (torn) => torn.setEntry(torn.page + 1, (entry) => entry | PTE_DBM | PTE_NOT_DIRTY),
      (torn) => `page ${torn.page + 1} waits for a store to make it dirty, but is no clean page of its own`,
    ],
    [
      "a dirty page that waits to become so",
      (torn) => torn.setEntry(torn.page, (entry) => (entry & ~PTE_WRITE) | PTE_DBM),
      (torn) => `page ${torn.page} waits for a store to make it dirty, but is no clean page of its own`,
    ],
    [
      "a page that waits for a store that needs no wait",
      (torn) => torn.setEntry(torn.page, (entry) => entry | PTE_DBM | PTE_NOT_DIRTY),
      (torn) => `page ${torn.page} waits for a store to make it dirty, but is no clean page of its own`,
    ],
    [
      "a page of a file that would take a private store",
      (torn) => torn.setEntry(torn.page, (entry) => (entry & ~(PTE_WRITE | PTE_ANON)) | PTE_DBM | PTE_NOT_DIRTY),
      (torn) => `page ${torn.page} of a file would take a store of a private mapping`,
    ],
    [
      "a page that would take a store that its area would not",
      (torn) => {
        torn.setEntry(torn.page, (entry) => (entry & ~PTE_WRITE) | PTE_DBM | PTE_NOT_DIRTY);
        torn.space.vmas.flags[torn.areaAt(torn.page)] &= ~VM_WRITE;
      },
      (torn) => `page ${torn.page} would take a store but its area would not`,
    ],
    [
      "a special page that is not its area's clean page",
      (torn) => torn.setEntry(torn.readOnly, (entry) => entry + (7 << PTE_FRAME_SHIFT)),
      (torn) => `page ${torn.readOnly} is special with frame 7, but the clean page is 0`,
    ],
    [
      "a clean page that is writable",
      (torn) => torn.setEntry(torn.page + 1, (entry) => entry | PTE_WRITE),
      (torn) => `clean page ${torn.page + 1} is writable`,
    ],
    [
      "a writable page whose frame others may have",
      (torn) => {
        torn.frames.exclusive[torn.frameAt(torn.page)] = 0;
      },
      (torn) => `page ${torn.page} is writable but frame ${torn.frameAt(torn.page)} is not exclusive`,
    ],
    [
      "a page that waits for a store to a frame that others may have",
      (torn) => {
        torn.setEntry(torn.page, (entry) => (entry & ~PTE_WRITE) | PTE_DBM | PTE_NOT_DIRTY);
        torn.frames.exclusive[torn.frameAt(torn.page)] = 0;
      },
      (torn) => `page ${torn.page} is writable but frame ${torn.frameAt(torn.page)} is not exclusive`,
    ],
    [
      "an open file with a reference too many",
      (torn) => void torn.process.fds.raw(torn.fd, "test").references++,
      () => "has 2 descriptors and areas but 3 references",
    ],
    [
      "files that are open and not counted",
      ({ kernel }) => void kernel.openFiles++,
      () => "4 files are open but 5 are counted",
    ],
    [
      "an inode with a reference too many",
      ({ process, fd }) => void process.fds.raw(fd, "test").inode!.references++,
      () => "is open 1 times but has 2 references",
    ],
    [
      "an inode that does not know who maps it",
      ({ process, fd }) => process.fds.raw(fd, "test").inode!.mappers.clear(),
      () => "counts 0 address spaces that map it, and 1 do",
    ],
    [
      "an inode that knows a wrong number of areas",
      ({ process, fd, space }) => void process.fds.raw(fd, "test").inode!.mappers.set(space, 2),
      () => "counts 1 address spaces that map it, and 1 do",
    ],
    [
      "a page of a file's cache without a reference",
      ({ process, fd }) => void process.fds.raw(fd, "test").inode!.pages.set(1, 9),
      () => "frame 9 is mapped, cached, pinned or held 1 times but has reference count 0",
    ],
  ];

  test.each(cases)("%s", (_, tear, message) => {
    const torn = new Torn();
    tear(torn);
    expect(() => torn.kernel.checkInvariants()).toThrow(message(torn));
  });

  test("a page that escapes the validity checks", () => {
    const kernel = new Kernel({ memoryBytes: 2 ** 24, shadow: true });
    const process = kernel.createProcess();
    const page = process.mmap(0, PAGE_SIZE, RW, ANONYMOUS) / PAGE_SIZE;
    process.memory.setUint8(page * PAGE_SIZE, 1);
    const { pageTable } = process.addressSpace;
    kernel.checkInvariants();
    pageTable.set(page, pageTable.entryOf(page) & ~PTE_CHECKED);
    expect(() => kernel.checkInvariants()).toThrow(`page ${page} escapes the validity checks`);
  });
});

describe("checkInvariants names of a large folio", () => {
  const machine = new Machine({ memoryBytes: 2 ** 24 });

  /** A huge page, the first frame of its folio, and the process that has it. */
  function huge() {
    const kernel = new Kernel(machine, { hugePages: { enabled: "always" } });
    const process = kernel.createProcess();
    const page = process.mmap(2 ** 32, H * PAGE_SIZE, RW, ANONYMOUS) / PAGE_SIZE;
    process.memory.setUint8(page * PAGE_SIZE, 1);
    kernel.checkInvariants();
    const head = process.addressSpace.pageTable.entryOf(page) >>> PTE_FRAME_SHIFT;
    return { kernel, process, page, head, folios: kernel.frames.folios };
  }

  const cases: [string, (torn: ReturnType<typeof huge>) => void, (torn: ReturnType<typeof huge>) => string][] = [
    [
      "references too many",
      ({ folios, head }) => void folios.addReferences(head, 2),
      ({ head }) => `the folio of frame ${head} has 1 references but counts 3`,
    ],
    [
      "a huge entry that is not there",
      ({ folios, head, process }) => folios.addEntire(head, process.addressSpace.id),
      ({ head }) => `the folio of frame ${head} has 1 huge entries but counts 2`,
    ],
    [
      "an entry that is not there",
      ({ folios, head, process }) => folios.addMappings(head, process.addressSpace.id, 1),
      ({ head }) => `the folio of frame ${head} has 1 entries but counts 2`,
    ],
    [
      "a frame that lies in it as a part of nothing",
      ({ kernel, folios, head }) => {
        folios.order[head + 3] = 0;
        kernel.frames.exclusive[head + 3] = 1;
      },
      ({ head }) => `frame ${head + 3} lies in the folio of frame ${head} but is no part of it`,
    ],
    [
      "an exclusive frame of two processes",
      ({ kernel, process, head }) => {
        process.fork();
        kernel.frames.exclusive[head] = 1;
      },
      ({ head }) => `frame ${head} is exclusive but mapped 2 times`,
    ],
  ];

  test.each(cases)("%s", (_, tear, message) => {
    const torn = huge();
    tear(torn);
    expect(() => torn.kernel.checkInvariants()).toThrow(message(torn));
  });

  test("a frame that lies in it and counts for itself, which the frames' own check looks at first", () => {
    const { kernel, head } = huge();
    const { frames } = kernel;
    frames.references[head + 3] = 1;
    const none = new Int32Array(frames.frameCount);
    expect(() => checkFolios(frames, none, new Map(), none)).toThrow(
      `frame ${head + 3} lies in the folio of frame ${head} but is no part of it`,
    );
  });

  test("a huge entry of a frame that is no large folio", () => {
    const { kernel } = huge();
    const none = new Int32Array(kernel.frames.frameCount);
    expect(() => checkFolios(kernel.frames, none, new Map([[5, 1]]), none)).toThrow(
      "a huge entry maps frame 5, which is no large folio",
    );
  });
});
