// Extending a kernel from outside: what is refused before anything changes, what hooks may do, and what becomes of their mistakes.
// A whole interface built this way is examples/own-interface, in test/bench/lab/cli/own-interface.test.ts.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import { RLIMIT_AS } from "../../../platform/kernel/abi/rlimit.ts";
import type { AdviceHook, KernelExtension, MmapHook } from "../../../platform/kernel/extension.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { O_RDONLY, type OpenFile } from "../../../platform/kernel/mm/file.ts";
import { type CleanPage, zeroPage } from "../../../platform/kernel/mm/frames.ts";
import { VM_DONTCOPY, VM_WRITE } from "../../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { installUserfaultfd } from "../../../platform/kernel/userfaultfd.ts";
import { installRefpage } from "../../../refpage/install.ts";

const RW = PROT_READ | PROT_WRITE;
const ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS;
const FLAG = 0x200000;
const ADVICE = 300;

let kernel: Kernel;
let process: Process;
beforeEach(() => {
  kernel = new Kernel({ memoryBytes: 2 ** 24 });
  process = kernel.createProcess();
});

/** A clean page of one byte, and the file that keeps it. */
function bytePage(byte: number): { page: CleanPage; file: OpenFile; released: () => boolean } {
  let isReleased = false;
  const initialise: CleanPage["initialise"] = (ram, _counters, frame) => ram.fillFrame(frame, byte);
  const page = { frame: kernel.frames.allocate({ frame: 0, initialise }, null), initialise };
  const release = (): void => {
    isReleased = true;
    kernel.frames.put(page.frame);
  };
  const file = kernel.openFile({ path: "[byte]", seekable: false, release }, null, O_RDONLY);
  kernel.frameHolders.push(() => (isReleased ? [] : [page.frame]));
  return { page, file, released: () => isReleased };
}

function withFlag(mmap: MmapHook): void {
  kernel.extend({ name: "flagged", mmapFlags: [{ name: "MAP_BYTE", bit: FLAG, mmap }] });
}

function withAdvice(madvise: AdviceHook): void {
  kernel.extend({ name: "advised", advice: [{ name: "MADV_BYTE", number: ADVICE, madvise }] });
}

const map = (pages: number, flags = ANONYMOUS | FLAG, address = 0): number =>
  process.mmap(address, pages * PAGE_SIZE, RW, flags);
const maps = (): string => process.procfs("maps");

describe("an extension is refused, and nothing of it is there, if", () => {
  const call = { number: 700, name: "seven", call: () => 7 };
  const flag = { name: "MAP_X", bit: FLAG, mmap: () => {} };
  const advice = { name: "MADV_X", number: ADVICE, madvise: () => {} };
  const cases: [string, unknown, "taken" | "malformed", RegExp][] = [
    ["it is no object", null, "malformed", /an object is needed/],
    ["it has no name", { systemCalls: [call] }, "malformed", /name is a text/],
    ["its calls are no array", { name: "x", systemCalls: call }, "malformed", /systemCalls is an array/],
    [
      "a call's number is Linux's",
      { name: "x", systemCalls: [call, { ...call, number: 9, name: "nine" }] },
      "taken",
      /number 9 of nine is mmap's/,
    ],
    [
      "a call's name is Linux's",
      { name: "x", systemCalls: [call, { ...call, number: 701, name: "mmap" }] },
      "taken",
      /a system call mmap already/,
    ],
    [
      "it has a number twice",
      { name: "x", systemCalls: [call, { ...call, name: "other" }] },
      "taken",
      /number 700 of other is seven's/,
    ],
    [
      "it has a call's name twice",
      { name: "x", systemCalls: [call, { ...call, number: 701 }] },
      "taken",
      /system call seven already/,
    ],
    ["a call's number is negative", { name: "x", systemCalls: [{ ...call, number: -1 }] }, "malformed", /whole number/],
    ["a call is no function", { name: "x", systemCalls: [{ ...call, call: 7 }] }, "malformed", /function call/],
    [
      "a flag is Linux's",
      { name: "x", systemCalls: [call], mmapFlags: [{ ...flag, bit: 0x10 }] },
      "taken",
      /Linux has bit 0x10 of MAP_X; 0x200, 0x400, 0x200000/,
    ],
    [
      "a flag is part of a huge page's size",
      { name: "x", mmapFlags: [{ ...flag, bit: 2 ** 31 }] },
      "taken",
      /Linux has bit 0x80000000/,
    ],
    [
      "a flag has two bits",
      { name: "x", systemCalls: [call], mmapFlags: [{ ...flag, bit: 0x600000 }] },
      "malformed",
      /one bit of 32/,
    ],
    [
      "it has a bit twice",
      { name: "x", mmapFlags: [flag, { ...flag, name: "MAP_Y" }] },
      "taken",
      /0x200000 of MAP_Y is that of MAP_X/,
    ],
    ["a flag has no hook", { name: "x", mmapFlags: [{ name: "MAP_X", bit: FLAG }] }, "malformed", /function mmap/],
    [
      "an advice is Linux's",
      { name: "x", systemCalls: [call], advice: [{ ...advice, number: MADV_DONTNEED }] },
      "taken",
      /number 4 of MADV_X is Linux's/,
    ],
    [
      "an advice is Linux's, though not simulated",
      { name: "x", advice: [{ ...advice, number: 12 }] },
      "taken",
      /Linux's/,
    ],
    [
      "it has an advice twice",
      { name: "x", advice: [advice, { ...advice, name: "MADV_Y" }] },
      "taken",
      /that of MADV_X/,
    ],
    ["an advice is no number", { name: "x", advice: [{ ...advice, number: "4" }] }, "malformed", /number/],
    [
      "heldFrames is no function",
      { name: "x", systemCalls: [call], heldFrames: [1] },
      "malformed",
      /heldFrames is a function/,
    ],
  ];
  test.each(cases)("%s", (_, extension, code, message) => {
    expect(() => kernel.extend(extension as KernelExtension)).toThrow(
      expect.objectContaining({ name: "ExtensionError", code }),
    );
    expect(() => kernel.extend(extension as KernelExtension)).toThrow(message);
    expect(kernel.systemCalls.has("seven")).toBe(false);
    expect(kernel.extensions.mmapFlags).toBe(0);
    kernel.extend({ name: "x", systemCalls: [call], mmapFlags: [flag], advice: [advice] });
  });

  test("another has its name, bit or number", () => {
    kernel.extend({ name: "first", mmapFlags: [flag], advice: [advice] });
    expect(() => kernel.extend({ name: "first" })).toThrow('extension "first": the kernel has it already');
    expect(() => kernel.extend({ name: "second", mmapFlags: [{ ...flag, name: "MAP_Y" }] })).toThrow(
      'bit 0x200000 of MAP_Y is that of MAP_X of extension "first"',
    );
    expect(() => kernel.extend({ name: "second", advice: [advice] })).toThrow("is that of MADV_X");
  });

  test("it is one of the kernel's own, again", () => {
    installRefpage(kernel);
    installUserfaultfd(kernel);
    expect(() => installRefpage(kernel)).toThrow(expect.objectContaining({ code: "taken", extension: "refpage" }));
    expect(() => installUserfaultfd(kernel)).toThrow(expect.objectContaining({ code: "taken" }));
  });
});

describe("a flag of mmap", () => {
  test("of no extension's is passed over, as Linux does, but with MAP_SHARED_VALIDATE", () => {
    expect(() => map(1)).not.toThrow();
    const fd = process.memfd_create("f", 0);
    expect(() => process.mmap(0, PAGE_SIZE, RW, MAP_SHARED_VALIDATE | FLAG, fd)).toThrow("EOPNOTSUPP");
    withFlag(() => {});
    expect(() => process.mmap(0, PAGE_SIZE, RW, MAP_SHARED_VALIDATE | FLAG, fd)).not.toThrow();
  });

  test("sees the call, and gives the mapping another clean page", () => {
    const { page, file, released } = bytePage(0x5a);
    const calls: unknown[] = [];
    withFlag((request, { thread, ...call }) => {
      expect(thread.process).toBe(process);
      calls.push(call);
      file.get();
      request.cleanPage = page;
      request.file = file;
    });
    const p = process.mmap(0, 2 * PAGE_SIZE - 5, RW, ANONYMOUS | FLAG, -1, 7 * PAGE_SIZE);
    file.put();
    expect(calls).toEqual([
      { start: p, length: 2 * PAGE_SIZE, prot: RW, flags: ANONYMOUS | FLAG, offset: 7 * PAGE_SIZE },
    ]);
    expect(process.memory.getUint8(p + 5000)).toBe(0x5a);
    process.memory.setUint8(p, 1);
    expect(process.memory.getUint16(p)).toBe(0x5a01);
    expect(maps()).toContain("[byte]");
    kernel.checkInvariants();
    process.munmap(p, PAGE_SIZE);
    expect(released()).toBe(false);
    process.munmap(p + PAGE_SIZE, PAGE_SIZE);
    expect(released()).toBe(true);
    kernel.checkInvariants();
  });

  test("neighbours of one clean page and file are one area", () => {
    const { page, file } = bytePage(1);
    withFlag((request) => {
      file.get();
      request.cleanPage = page;
      request.file = file;
    });
    const p = map(1);
    map(1, ANONYMOUS | FLAG | MAP_FIXED, p + PAGE_SIZE);
    expect(maps().match(/\[byte\]/g)).toHaveLength(1);
    file.put();
    expect(file.references).toBe(1);
    kernel.checkInvariants();
  });

  test("that refuses changes nothing, not even what MAP_FIXED would have replaced", () => {
    withFlag(() => {
      throw new SystemError("EPERM", "mmap");
    });
    const p = map(3, ANONYMOUS);
    process.memory.setUint8(p + PAGE_SIZE, 9);
    const before = maps();
    expect(() => map(1, ANONYMOUS | FLAG | MAP_FIXED, p + PAGE_SIZE)).toThrow("EPERM");
    expect(maps()).toBe(before);
    expect(process.memory.getUint8(p + PAGE_SIZE)).toBe(9);
  });

  test("whose mapping then fails gives its file back", () => {
    const { page, file, released } = bytePage(1);
    withFlag((request) => {
      request.cleanPage = page;
      request.file = file;
    });
    process.setrlimit(RLIMIT_AS, 0);
    expect(() => map(1)).toThrow("ENOMEM");
    expect(released()).toBe(true);
    kernel.checkInvariants();
  });

  const nonsense: [string, (request: Parameters<MmapHook>[0]) => void, RegExp][] = [
    ["no clean page", (request) => Object.assign(request, { cleanPage: undefined }), /cleanPage.frame is undefined/],
    [
      "a frame beyond the machine",
      (request) => Object.assign(request, { cleanPage: { ...zeroPage, frame: 2 ** 20 } }),
      /frame is 1048576/,
    ],
    ["a free frame", (request) => Object.assign(request, { cleanPage: { ...zeroPage, frame: 4000 } }), /4000 is free/],
    ["no initialise", (request) => Object.assign(request, { cleanPage: { frame: 0 } }), /initialise/],
    ["flags that are no number", (request) => Object.assign(request, { flags: Number.NaN }), /flags are NaN/],
    ["other permissions", (request) => Object.assign(request, { flags: request.flags & ~VM_WRITE }), /cannot change/],
    [
      "another kind of memory",
      (request) => Object.assign(request, { anonymous: false }),
      /anonymous cannot be changed/,
    ],
    ["a file that is no file", (request) => Object.assign(request, { file: {} }), /no OpenFile/],
  ];
  test.each(nonsense)("whose hook leaves %s is an error, and nothing has changed", (_, change, message) => {
    withFlag(change);
    const p = map(3, ANONYMOUS);
    const before = maps();
    expect(() => map(1, ANONYMOUS | FLAG | MAP_FIXED, p + PAGE_SIZE)).toThrow(message);
    expect(() => map(1)).toThrow(
      expect.objectContaining({ name: "ExtensionError", code: "hook", extension: "flagged" }),
    );
    expect(maps()).toBe(before);
    kernel.checkInvariants();
  });

  test("cannot give shared memory or a file's mapping another clean page", () => {
    const { page } = bytePage(1);
    withFlag((request) => {
      request.cleanPage = page;
    });
    expect(() => map(1, MAP_SHARED | MAP_ANONYMOUS | FLAG)).toThrow("private anonymous");
    const fd = process.memfd_create("f", 0);
    expect(() => process.mmap(0, PAGE_SIZE, RW, MAP_PRIVATE | FLAG, fd)).toThrow("private anonymous");
  });

  test("whose hook throws anything else throws just that", () => {
    const mistake = new TypeError("mine");
    withFlag(() => {
      throw mistake;
    });
    const before = maps();
    expect(() => map(1)).toThrow(mistake);
    expect(maps()).toBe(before);
  });
});

describe("an advice", () => {
  test("of no extension's is EINVAL", () => {
    expect(() => process.madvise(map(1), PAGE_SIZE, ADVICE)).toThrow("EINVAL");
  });

  test("sees each area in turn, in bytes", () => {
    const seen: [number, number][] = [];
    withAdvice((_, { start, length }) => void seen.push([start, length]));
    const p = map(4, ANONYMOUS);
    process.mprotect(p + PAGE_SIZE, PAGE_SIZE, PROT_READ);
    process.madvise(p, 3 * PAGE_SIZE, ADVICE);
    expect(seen).toEqual([
      [p, PAGE_SIZE],
      [p + PAGE_SIZE, PAGE_SIZE],
      [p + 2 * PAGE_SIZE, PAGE_SIZE],
    ]);
  });

  test("changes a range's clean page: its pages go, those beside it stay", () => {
    const { page, file, released } = bytePage(0x77);
    withAdvice((request) => {
      request.cleanPage = page;
      request.file = file;
    });
    const p = map(3, ANONYMOUS);
    process.memory.fill(p, 5, 3 * PAGE_SIZE);
    process.madvise(p + PAGE_SIZE, PAGE_SIZE, ADVICE);
    expect([0, 1, 2].map((i) => process.memory.getUint8(p + i * PAGE_SIZE))).toEqual([5, 0x77, 5]);
    expect(process.rssBytes).toBe(2 * PAGE_SIZE);
    kernel.checkInvariants();
    process.munmap(p, 3 * PAGE_SIZE);
    expect(released()).toBe(true);
    kernel.checkInvariants();
  });

  test("gives pages back on request, and sets flags that split and join areas", () => {
    withAdvice((request) => {
      request.drop = true;
      request.flags |= VM_DONTCOPY;
    });
    const p = map(3, ANONYMOUS);
    process.memory.fill(p, 5, 3 * PAGE_SIZE);
    process.madvise(p + PAGE_SIZE, PAGE_SIZE, ADVICE);
    expect(process.memory.getUint8(p + PAGE_SIZE)).toBe(0);
    const child = process.fork();
    expect(() => child.memory.getUint8(p + PAGE_SIZE)).toThrow("SEGV_MAPERR");
    expect(child.memory.getUint8(p)).toBe(5);
    kernel.checkInvariants();
  });

  test("is refused for locked memory, and where a split would pass the map count; files are given back", () => {
    kernel = new Kernel({ memoryBytes: 2 ** 24 }, { maxMapCount: 4, ipcLock: true });
    process = kernel.createProcess();
    const { page, file } = bytePage(1);
    withAdvice((request) => {
      file.get();
      request.cleanPage = page;
      request.file = file;
    });
    const p = map(3, ANONYMOUS);
    process.mlock(p, 3 * PAGE_SIZE);
    const before = maps();
    expect(() => process.madvise(p, PAGE_SIZE, ADVICE)).toThrow("EINVAL");
    process.munlock(p, 3 * PAGE_SIZE);
    process.mmap(0, PAGE_SIZE, PROT_READ, ANONYMOUS);
    process.mmap(0, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS);
    expect(() => process.madvise(p + PAGE_SIZE, PAGE_SIZE, ADVICE)).toThrow("EAGAIN");
    expect(file.references).toBe(1);
    file.put();
    expect(maps()).toContain(before.split("\n")[0]);
    kernel.checkInvariants();
  });

  test("whose hook leaves nonsense is an error", () => {
    withAdvice((request) => Object.assign(request, { drop: "yes" }));
    const p = map(1, ANONYMOUS);
    process.memory.setUint8(p, 1);
    expect(() => process.madvise(p, PAGE_SIZE, ADVICE)).toThrow("after MADV_BYTE: drop is yes");
    expect(process.memory.getUint8(p)).toBe(1);
  });
});

test("frames that an extension says it holds, and does not, break the invariants", () => {
  kernel.extend({ name: "holder", heldFrames: () => [17] });
  expect(() => kernel.checkInvariants()).toThrow();
  const other = new Kernel({ memoryBytes: 2 ** 24 });
  other.extend({ name: "holder", heldFrames: () => [2 ** 30] });
  expect(() => other.checkInvariants()).toThrow("heldFrames names frame 1073741824");
});
