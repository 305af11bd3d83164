// userfaultfd: missing pages supplied by the program, the rules of each ioctl, and what a fork loses.
import { beforeEach, describe, expect, test } from "vitest";
import type { SystemError } from "../../../platform/kernel/abi/errors.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_DROPPABLE,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import type { MmapHook } from "../../../platform/kernel/extension.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { CleanPage } from "../../../platform/kernel/mm/frames.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import {
  installUserfaultfd,
  onUserfault,
  UFFD_API,
  UFFD_EVENT_PAGEFAULT,
  UFFD_FEATURE_EVENT_FORK,
  UFFDIO_API,
  UFFDIO_COPY,
  UFFDIO_REGISTER,
  UFFDIO_REGISTER_MODE_MISSING,
  UFFDIO_UNREGISTER,
  UFFDIO_ZEROPAGE,
} from "../../../platform/kernel/userfaultfd.ts";

const PAGE = 4096;
let kernel: Kernel;
let process: Process;
let fd: number;
/** Structures of ioctls, messages, and the source page, which is filled with 0xab. */
let scratch: number;
let source: number;
/** Eight pages that tests register. */
let area: number;
let faults: number[];

beforeEach(() => {
  kernel = new Kernel({ memoryBytes: 2 ** 24 });
  installUserfaultfd(kernel);
  process = kernel.createProcess();
  scratch = map(1);
  source = map(1);
  process.memory.fill(source, 0xab, PAGE);
  area = map(8);
  fd = process.syscall("userfaultfd", 0);
  faults = [];
});

function map(pages: number): number {
  return process.mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

function ioctl(request: number, ...fields: number[]): number {
  for (const [index, field] of fields.entries()) process.memory.setBigUint64(scratch + index * 8, BigInt(field));
  return process.syscall("ioctl", fd, request, scratch);
}

function register(pages = 8): void {
  ioctl(UFFDIO_API, UFFD_API, 0);
  ioctl(UFFDIO_REGISTER, area, pages * PAGE, UFFDIO_REGISTER_MODE_MISSING);
}

/** The handler of the thread's use: reads the message, copies the pattern page in. */
function copyOnFault(): void {
  onUserfault(process, fd, () => {
    process.read(fd, scratch + 64, 32);
    expect(process.memory.getUint8(scratch + 64)).toBe(UFFD_EVENT_PAGEFAULT);
    const address = Number(process.memory.getBigUint64(scratch + 64 + 16));
    faults.push((address - area) / PAGE);
    ioctl(UFFDIO_COPY, address, source, PAGE, 0);
  });
}

function errorOf(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    return (error as SystemError).code;
  }
}

test("a missing page reads and is written as the handler's copy, one message a page", () => {
  register();
  copyOnFault();
  expect(process.memory.getUint8(area + 5 * PAGE + 7)).toBe(0xab);
  process.memory.setUint8(area + 2 * PAGE, 1);
  expect(process.memory.getUint8(area + 2 * PAGE + 1)).toBe(0xab);
  expect(faults).toEqual([5, 2]);
  kernel.checkInvariants();
});

test("the pages are resident, and what the handler copied is counted as copied", () => {
  register();
  copyOnFault();
  const before = kernel.counters.snapshot();
  const rss = process.rssBytes;
  for (let page = 0; page < 4; page++) process.memory.getUint8(area + page * PAGE);
  const counted = kernel.counters.since(before);
  expect(process.rssBytes - rss).toBe(4 * PAGE);
  expect(counted).toMatchObject({ bytesCopied: 4 * PAGE, bytesZeroed: 0, minorFaults: 4 });
  expect(counted.systemCalls).toEqual({ read: 4, ioctl: 4 });
});

test("after MADV_DONTNEED the handler is asked again", () => {
  register();
  copyOnFault();
  process.memory.setUint8(area, 1);
  process.madvise(area, PAGE, MADV_DONTNEED);
  expect(process.memory.getUint8(area)).toBe(0xab);
  expect(faults).toEqual([0, 0]);
});

test("a zero page is not resident until a store", () => {
  register();
  onUserfault(process, fd, () => {
    process.read(fd, scratch + 64, 32);
    ioctl(UFFDIO_ZEROPAGE, Number(process.memory.getBigUint64(scratch + 64 + 16)), PAGE, 0);
  });
  const rss = process.rssBytes;
  expect(process.memory.getUint8(area)).toBe(0);
  expect(process.rssBytes).toBe(rss);
  process.memory.setUint8(area, 3);
  process.memory.setUint8(area + PAGE, 4);
  expect(process.rssBytes).toBe(rss + 2 * PAGE);
  kernel.checkInvariants();
});

test("pages beside the registered range, and after unregistering, are ordinary", () => {
  register(4);
  copyOnFault();
  expect(process.memory.getUint8(area + 4 * PAGE)).toBe(0);
  ioctl(UFFDIO_UNREGISTER, area, 2 * PAGE);
  expect(process.memory.getUint8(area)).toBe(0);
  expect(process.memory.getUint8(area + 2 * PAGE)).toBe(0xab);
  kernel.checkInvariants();
});

test("memory that an extension gave another clean page than zeroes is not registered", () => {
  const initialise: CleanPage["initialise"] = (ram, _counters, frame) => ram.fillFrame(frame, 0x55);
  const clean = { frame: kernel.frames.allocate({ frame: 0, initialise }, null), initialise };
  kernel.frameHolders.push(() => [clean.frame]);
  const mmap: MmapHook = (request) => void Object.assign(request, { cleanPage: clean });
  kernel.extend({ name: "bytes", mmapFlags: [{ name: "MAP_BYTES", bit: 0x200000, mmap }] });
  area = process.mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x200000);
  expect(process.memory.getUint8(area)).toBe(0x55);
  expect(() => register()).toThrow("EINVAL");
  kernel.checkInvariants();
});

test("registering and unregistering what already is so changes nothing", () => {
  register();
  const areas = process.addressSpace.vmas.count;
  ioctl(UFFDIO_REGISTER, area + PAGE, PAGE, UFFDIO_REGISTER_MODE_MISSING);
  expect(process.addressSpace.vmas.count).toBe(areas);
  ioctl(UFFDIO_UNREGISTER, area, 8 * PAGE);
  ioctl(UFFDIO_UNREGISTER, area + PAGE, PAGE);
  kernel.checkInvariants();
});

test("closing the descriptor gives the areas back", () => {
  register();
  copyOnFault();
  process.close(fd);
  expect(process.memory.getUint8(area)).toBe(0);
  expect(faults).toEqual([]);
  kernel.checkInvariants();
});

test("a child reads zeroes where its parent's handler would have copied: following forks takes a capability", () => {
  expect(errorOf(() => ioctl(UFFDIO_API, UFFD_API, UFFD_FEATURE_EVENT_FORK))).toBe("EPERM");
  register();
  copyOnFault();
  process.memory.getUint8(area);
  const child = process.fork();
  expect(child.memory.getUint8(area)).toBe(0xab);
  expect(child.memory.getUint8(area + PAGE)).toBe(0);
  expect(process.memory.getUint8(area + PAGE)).toBe(0xab);
  kernel.checkInvariants();
});

test("a page that no handler supplies would make the thread sleep for ever, and is an error", () => {
  register();
  expect(() => process.memory.getUint8(area)).toThrow("no handler supplies the page");
});

describe("errors", () => {
  test.each([
    ["unknown flags", "EINVAL", () => process.syscall("userfaultfd", 0x10000)],
    ["an ioctl on another file", "ENOTTY", () => process.syscall("ioctl", 0, UFFDIO_API, scratch)],
    ["registering before the handshake", "EINVAL", () => ioctl(UFFDIO_REGISTER, area, PAGE, 1)],
    ["a wrong API", "EINVAL", () => ioctl(UFFDIO_API, 0xab, 0)],
    ["a bad address for the structure", "EFAULT", () => process.syscall("ioctl", fd, UFFDIO_API, 8)],
  ])("%s: %s", (_what, code, call) => {
    expect(errorOf(call)).toBe(code);
  });

  test.each([
    ["an unaligned range", "EINVAL", () => ioctl(UFFDIO_REGISTER, area + 1, PAGE, 1)],
    ["an empty range", "EINVAL", () => ioctl(UFFDIO_REGISTER, area, 0, 1)],
    ["write-protect mode", "EINVAL", () => ioctl(UFFDIO_REGISTER, area, PAGE, 2)],
    ["nothing mapped", "EINVAL", () => ioctl(UFFDIO_REGISTER, 2 ** 30, PAGE, 1)],
    ["a second handshake", "EINVAL", () => ioctl(UFFDIO_API, UFFD_API, 0)],
    ["a copy to memory that is not registered", "ENOENT", () => ioctl(UFFDIO_COPY, source, source, PAGE, 0)],
    ["a copy from nowhere", "EFAULT", () => ioctl(UFFDIO_COPY, area, 8, PAGE, 0)],
    ["a copy over a page that is there", "EEXIST", () => [1, 2].map(() => ioctl(UFFDIO_COPY, area, source, PAGE, 0))],
    ["reading with no message", "EAGAIN", () => process.read(fd, scratch, 32)],
    ["reading less than a message", "EINVAL", () => process.read(fd, scratch, 31)],
    ["an unknown request", "EINVAL", () => ioctl(1)],
  ])("after the handshake, %s: %s", (_what, code, call) => {
    register();
    expect(errorOf(call)).toBe(code);
    kernel.checkInvariants();
  });

  test("areas that are no private anonymous memory are refused: files, shared memory, droppable memory", () => {
    const file = process.memfd_create("f", 0);
    process.ftruncate(file, PAGE);
    const rw = PROT_READ | PROT_WRITE;
    const areas = [
      process.mmap(0, PAGE, rw, MAP_PRIVATE, file, 0),
      process.mmap(0, PAGE, rw, MAP_SHARED, file, 0),
      process.mmap(0, PAGE, rw, MAP_SHARED | MAP_ANONYMOUS),
      process.mmap(0, PAGE, rw, MAP_DROPPABLE | MAP_ANONYMOUS),
    ];
    register();
    expect(areas.map((at) => errorOf(() => ioctl(UFFDIO_REGISTER, at, PAGE, UFFDIO_REGISTER_MODE_MISSING)))).toEqual([
      "EINVAL",
      "EINVAL",
      "EINVAL",
      "EINVAL",
    ]);
    expect(process.memory.getUint8(areas[3])).toBe(0);
  });

  test("a copy that finds its second page there says EAGAIN and how far it came", () => {
    register();
    ioctl(UFFDIO_COPY, area + PAGE, source, PAGE, 0);
    const two = map(2);
    process.memory.fill(two, 1, 2 * PAGE);
    expect(errorOf(() => ioctl(UFFDIO_COPY, area, two, 2 * PAGE, 0))).toBe("EAGAIN");
    expect(process.memory.getBigInt64(scratch + 32)).toBe(BigInt(PAGE));
  });

  test("no frame: ENOMEM, and the page stays missing", () => {
    register();
    kernel.frames.failAt(1);
    expect(errorOf(() => ioctl(UFFDIO_COPY, area, source, PAGE, 0))).toBe("ENOMEM");
    expect(process.memory.getBigInt64(scratch + 32)).toBe(-12n);
    kernel.checkInvariants();
  });

  test("a second userfaultfd cannot watch the same process", () => {
    register();
    fd = process.syscall("userfaultfd", 0);
    ioctl(UFFDIO_API, UFFD_API, 0);
    expect(errorOf(() => ioctl(UFFDIO_REGISTER, area, PAGE, 1))).toBe("EBUSY");
  });
});

describe("registered over several areas", () => {
  beforeEach(() => {
    // Three areas, since they differ in permission.
    process.mprotect(area + 3 * PAGE, 2 * PAGE, PROT_READ);
    register();
    copyOnFault();
  });

  test("each of them asks the handler, with any permission", () => {
    for (const index of [0, 3, 4, 7]) expect(process.memory.getUint8(area + index * PAGE)).toBe(0xab);
    expect(faults).toEqual([0, 3, 4, 7]);
    process.mprotect(area, 8 * PAGE, PROT_READ | PROT_WRITE);
    process.memory.setUint8(area + 5 * PAGE, 1);
    expect(faults).toEqual([0, 3, 4, 7, 5]);
    kernel.checkInvariants();
  });

  test("unregistering a part in the middle leaves both ends", () => {
    ioctl(UFFDIO_UNREGISTER, area + 2 * PAGE, 2 * PAGE);
    for (let index = 0; index < 8; index++) process.memory.getUint8(area + index * PAGE);
    expect(faults).toEqual([0, 1, 4, 5, 6, 7]);
    kernel.checkInvariants();
  });

  test("a range of which one area cannot be watched is refused as a whole, and one with a hole is not", () => {
    const other = map(8);
    process.munmap(other + 2 * PAGE, PAGE);
    ioctl(UFFDIO_REGISTER, other, 8 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
    area = other;
    process.memory.getUint8(other + PAGE);
    process.memory.getUint8(other + 7 * PAGE);
    expect(faults).toEqual([1, 7]);
    const file = process.memfd_create("f", 0);
    process.ftruncate(file, PAGE);
    const mixed = map(3);
    process.mmap(mixed + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0);
    expect(errorOf(() => ioctl(UFFDIO_REGISTER, mixed, 3 * PAGE, UFFDIO_REGISTER_MODE_MISSING))).toBe("EINVAL");
    expect([process.memory.getUint8(mixed), process.memory.getUint8(mixed + 2 * PAGE)]).toEqual([0, 0]);
  });
});

describe("moved by mremap", () => {
  test("an area leaves its handler behind as a whole: no page there is asked for, and what came stays", () => {
    register();
    copyOnFault();
    process.memory.getUint8(area + PAGE);
    const moved = process.mremap(area, 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20_0000_0000);
    const bytes = Array.from({ length: 12 }, (_, index) => process.memory.getUint8(moved + index * PAGE));
    expect(bytes).toEqual([0, 0xab, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(faults).toEqual([1]);
    expect(process.procfs("smaps")).not.toContain(" um");
    kernel.checkInvariants();
  });

  test("of a part of an area the rest keeps its handler; one that grows or shrinks in place keeps it, too", () => {
    register();
    copyOnFault();
    const moved = process.mremap(area + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20_0000_0000);
    process.mremap(area + 4 * PAGE, 4 * PAGE, 2 * PAGE, 0);
    for (const index of [0, 5]) expect(process.memory.getUint8(area + index * PAGE)).toBe(0xab);
    expect(process.memory.getUint8(moved)).toBe(0);
    expect(faults).toEqual([0, 5]);
    process.mremap(area + 4 * PAGE, 2 * PAGE, 3 * PAGE, 0);
    expect(process.memory.getUint8(area + 6 * PAGE)).toBe(0xab);
    kernel.checkInvariants();
  });

  test("it can be registered anew where it is", () => {
    register();
    copyOnFault();
    area = process.mremap(area, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20_0000_0000);
    ioctl(UFFDIO_REGISTER, area, 8 * PAGE, UFFDIO_REGISTER_MODE_MISSING);
    expect(process.memory.getUint8(area + 3 * PAGE)).toBe(0xab);
    expect(faults).toEqual([3]);
  });
});
