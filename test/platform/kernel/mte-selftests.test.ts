// What Linux's own MTE self-tests check (tools/testing/selftests/arm64/mte), as behaviours of this kernel.
// "Good": filling the buffer through its pointer raises nothing. "Caught": a byte beyond faults (sync) or is reported (async).

import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import { tagRange } from "../../../platform/hardware/tag-store.ts";
import { tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_MTE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import { PR_GET_TAGGED_ADDR_CTRL, PR_SET_TAGGED_ADDR_CTRL } from "../../../platform/kernel/abi/prctl.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { SIGSEGV, type SignalInfo } from "../../../platform/kernel/signals.ts";

const READ_WRITE = PROT_READ | PROT_WRITE;
const sizes = [1, 15, 16, 537, 555, 989, 1033, 1269, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1];
const modeBits = { none: 0, sync: 2, async: 4 } as const;
type Mode = keyof typeof modeBits;
type Kind = "anonymous private" | "anonymous shared" | "file private" | "file shared";
const kinds: readonly Kind[] = ["anonymous private", "anonymous shared", "file private", "file shared"];

let process: Process;
let signals: SignalInfo[];

beforeEach(() => {
  process = new Kernel({ memoryBytes: 2 ** 24 }).createProcess();
  signals = [];
  process.sigaction(SIGSEGV, { flags: 0, handler: (info) => signals.push(info) });
});

function setMode(mode: Mode, include = 0xfffe, who = process): void {
  who.prctl(PR_SET_TAGGED_ADDR_CTRL, 1 | modeBits[mode] | (include << 3));
}

/** Memory of a kind, PROT_MTE from the start or added later. */
function map(length: number, kind: Kind, how: "mmap" | "mprotect" = "mmap"): number {
  const sharing = kind.endsWith("shared") ? MAP_SHARED : MAP_PRIVATE;
  const protection = how === "mmap" ? READ_WRITE | PROT_MTE : READ_WRITE;
  let address: number;
  if (kind.startsWith("anonymous")) address = process.mmap(0, length, protection, sharing | MAP_ANONYMOUS);
  else {
    const fd = process.memfd_create("tmpfs");
    process.ftruncate(fd, length);
    address = process.mmap(0, length, protection, sharing, fd);
  }
  if (how === "mprotect") process.mprotect(address, length, READ_WRITE | PROT_MTE);
  return address;
}

/** A buffer of `size` bytes with a random tag, a page of untagged granules below and above. */
function buffer(size: number, kind: Kind = "anonymous private", how: "mmap" | "mprotect" = "mmap"): number {
  const rounded = Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
  const start = map(rounded + 2 * PAGE_SIZE, kind, how) + PAGE_SIZE;
  const pointer = mte.irg(process.memory, start);
  tagRange(process.memory, pointer, Math.ceil(size / 16) * 16);
  return pointer;
}

/** Stores a byte and makes a cheap call, so that an asynchronous report has arrived. @returns the codes that came */
function store(pointer: number, value = 1, who = process): string[] {
  signals = [];
  try {
    who.memory.setUint8(pointer, value);
  } catch {}
  who.prctl(PR_GET_TAGGED_ADDR_CTRL);
  return signals.map(({ code }) => code);
}

const caught = { none: [], sync: ["SEGV_MTESERR"], async: ["SEGV_MTEAERR"] } as const;
const roundUp = (size: number): number => Math.ceil(size / 16) * 16;

describe("filling buffers", () => {
  describe.each(["sync", "async"] as const)("%s", (mode) => {
    test.each(["mmap", "mprotect"] as const)("byte by byte through the right tag is good (%s)", (how) => {
      setMode(mode);
      for (const size of sizes) {
        const pointer = buffer(size, "anonymous private", how);
        for (let i = 0; i < size; i++) process.memory.setUint8(pointer + i, i & 255);
        process.prctl(PR_GET_TAGGED_ADDR_CTRL);
        for (let i = 0; i < size; i++)
          if (process.memory.getUint8(pointer + i) !== (i & 255)) throw new Error(`byte ${i}`);
      }
      expect(signals).toEqual([]);
    });
  });

  /** Stores from `first` in steps of `step` until a report arrives. @returns the index of the last store that was tried */
  function fillUntilReport(pointer: number, first: number, step: number, last: number): number {
    for (let i = first; i !== last; i += step) {
      if (store(pointer + i, 0xee).length > 0) return i;
    }
    return last;
  }

  test.each([16, PAGE_SIZE])(
    "underflow by %i bytes: sync stops at index −1 and leaves that byte alone",
    (underflow) => {
      setMode("sync");
      for (const size of sizes) {
        const pointer = buffer(size);
        expect(fillUntilReport(pointer, size - 1, -1, -underflow)).toBe(-1);
        expect(signals[0].address).toBe(withoutTag(pointer) - 1);
        expect(process.memory.getUint8(withoutTag(pointer) - 1)).toBe(0);
      }
    },
  );

  test("overflow: sync stops at the size rounded up to 16, not earlier, and changes nothing beyond", () => {
    setMode("sync");
    for (const size of sizes) {
      const pointer = buffer(size);
      expect(fillUntilReport(pointer, 0, 1, roundUp(size) + 16)).toBe(roundUp(size));
      expect(process.memory.getUint8(withoutTag(pointer) + roundUp(size))).toBe(0);
    }
  });

  test("underflow and overflow: async reports, and what was written until then is in memory", () => {
    setMode("async");
    for (const size of sizes) {
      const pointer = buffer(size);
      expect(fillUntilReport(pointer, size - 1, -1, -16)).toBe(-1);
      expect(fillUntilReport(pointer, 0, 1, roundUp(size) + 16)).toBe(roundUp(size));
      setMode("none");
      expect(process.memory.getUint8(pointer - 1)).toBe(0xee);
      expect(process.memory.getUint8(pointer + roundUp(size))).toBe(0xee);
      setMode("async");
    }
  });

  test("underflow and overflow: none raises nothing and writes everything", () => {
    setMode("none", 0xffff);
    for (const size of sizes) {
      const pointer = buffer(size);
      expect(fillUntilReport(pointer, -16, 1, roundUp(size) + 16)).toBe(roundUp(size) + 16);
      expect(new Set(process.memory.read(pointer - 16, roundUp(size) + 32))).toEqual(new Set([0xee]));
    }
  });

  test.each(["none", "sync", "async"] as const)(
    "block fill and copies between tagged and untagged memory are good: %s",
    (mode) => {
      setMode(mode);
      const { memory } = process;
      for (const size of sizes) {
        const [plain, first, second] = [map(2 * PAGE_SIZE, "anonymous private"), buffer(size), buffer(size)];
        memory.fill(first, 0x5a, size);
        memory.copy(plain, first, size);
        memory.copy(second, plain, size);
        memory.copy(first, second, size);
        expect(memory.compare(plain, first, size)).toBe(0);
        expect(memory.compare(first, second, size)).toBe(0);
        expect(new Set(memory.read(second, size))).toEqual(new Set([0x5a]));
      }
      process.prctl(PR_GET_TAGGED_ADDR_CTRL);
      expect(signals).toEqual([]);
    },
  );

  test.each(kinds)("tags of fresh memory are 0: %s", (kind) => {
    const start = map(3 * PAGE_SIZE, kind);
    for (let at = start; at < start + 3 * PAGE_SIZE; at += 16)
      if (mte.ldg(process.memory, at) !== at) throw new Error("tag");
  });
});

describe.each(["sync", "async"] as const)("a child, %s", (mode) => {
  test.each(kinds)("fills the buffer and is caught below and above: %s", (kind) => {
    setMode(mode);
    for (const size of [1, 555, PAGE_SIZE]) {
      const pointer = buffer(size, kind);
      const child = process.fork();
      for (let i = 0; i < size; i++) child.memory.setUint8(pointer + i, i & 255);
      for (let i = 0; i < roundUp(size); i += 16) {
        expect(tagOf(mte.ldg(child.memory, pointer + i))).toBe(tagOf(pointer));
        expect(tagOf(mte.ldg(process.memory, pointer + i))).toBe(tagOf(pointer));
      }
      expect(store(pointer - 1, 1, child)).toEqual(caught[mode]);
      expect(store(pointer + roundUp(size), 1, child)).toEqual(caught[mode]);
      child.exit();
    }
  });
});

describe("mappings", () => {
  describe.each(["sync", "async"] as const)("%s", (mode) => {
    test.each(kinds)("good inside, a granule below and above caught: %s", (kind) => {
      setMode(mode);
      for (const how of ["mmap", "mprotect"] as const) {
        for (const size of [1, 1033, PAGE_SIZE + 1]) {
          const pointer = buffer(size, kind, how);
          process.memory.fill(pointer, 1, size);
          expect(store(pointer + size - 1)).toEqual([]);
          expect(store(pointer - 16)).toEqual(caught[mode]);
          expect(store(pointer + roundUp(size))).toEqual(caught[mode]);
        }
      }
    });

    test.each(kinds)("with TCO nothing is raised: %s", (kind) => {
      setMode(mode);
      const pointer = buffer(100, kind);
      process.memory.tco = true;
      expect(store(pointer - 16)).toEqual([]);
      expect(store(pointer + 112)).toEqual([]);
    });

    test("mprotect without PROT_MTE succeeds and leaves checking on", () => {
      setMode(mode);
      const pointer = buffer(100);
      process.mprotect(withoutTag(pointer), PAGE_SIZE, READ_WRITE);
      expect(store(pointer)).toEqual([]);
      expect(store(pointer + 112)).toEqual(caught[mode]);
    });
  });

  test.each(kinds)("in mode none nothing is raised: %s", (kind) => {
    setMode("none");
    const pointer = buffer(100, kind);
    expect(store(pointer - 16)).toEqual([]);
    expect(store(pointer + 112)).toEqual([]);
  });
});

test("the control word can be read before anything was set, and reads back as set", () => {
  expect(process.prctl(PR_GET_TAGGED_ADDR_CTRL)).toBe(0);
  for (const word of [1, 3, 5, 7]) {
    process.prctl(PR_SET_TAGGED_ADDR_CTRL, word);
    expect(process.prctl(PR_GET_TAGGED_ADDR_CTRL)).toBe(word);
  }
});

describe("the include mask", () => {
  test("one tag excluded: IRG never gives it; its pointers are good and, unless 0, caught one byte beyond", () => {
    for (let excluded = 0; excluded < 16; excluded++) {
      setMode("sync", 0xffff & ~(1 << excluded));
      for (let round = 0; round < 20; round++) {
        const pointer = buffer(16);
        expect(tagOf(pointer)).not.toBe(excluded);
        expect(store(pointer + 15)).toEqual([]);
        if (tagOf(pointer) !== 0) expect(store(pointer + 16)).toEqual(caught.sync);
      }
    }
  });

  test("tags 0 to n excluded, n growing: none of them appears", () => {
    for (let n = 0; n < 15; n++) {
      setMode("sync", 0xffff & (-2 << n));
      for (let round = 0; round < 50; round++) expect(tagOf(mte.irg(process.memory, 0))).toBeGreaterThan(n);
    }
  });

  test("all included: any tag, always good; none included: always tag 0", () => {
    setMode("sync", 0xffff);
    const seen = new Set(Array.from({ length: 300 }, () => tagOf(mte.irg(process.memory, 0))));
    expect(seen.size).toBe(16);
    expect(store(buffer(16))).toEqual([]);
    setMode("sync", 0);
    expect(new Set(Array.from({ length: 50 }, () => tagOf(mte.irg(process.memory, 0))))).toEqual(new Set([0]));
  });
});

test("threads of many processes keep their own masks and modes", () => {
  const threads = Array.from({ length: 5 }, () => process.fork()).flatMap((child) => [
    { child, thread: child.mainThread },
    ...Array.from({ length: 3 }, () => ({ child, thread: child.createThread() })),
  ]);
  const words = new Map<object, number>();
  for (let round = 0; round < 200; round++) {
    const { child, thread } = threads[(round * 7) % threads.length];
    child.currentThread = thread;
    const word = 1 | ((round % 3) * 2) | ((((round * 2654435761) >>> 16) & 0xffff) << 3);
    child.prctl(PR_SET_TAGGED_ADDR_CTRL, word);
    words.set(thread, word);
    for (const other of threads) {
      other.child.currentThread = other.thread;
      expect(other.child.prctl(PR_GET_TAGGED_ADDR_CTRL)).toBe(words.get(other.thread) ?? 0);
    }
  }
});

describe("kernel copies", () => {
  const granulesOff = [PAGE_SIZE, PAGE_SIZE + 16];

  test.each(["sync", "async", "none"] as const)("read and write over a tag border, %s", (mode) => {
    setMode(mode);
    const fd = process.memfd_create("data");
    const plain = map(2 * PAGE_SIZE, "anonymous private");
    process.memory.fill(plain, 0x77, 2 * PAGE_SIZE);
    process.pwrite64(fd, plain, 2 * PAGE_SIZE, 0);
    for (const border of granulesOff) {
      for (const extent of [16, 2 * PAGE_SIZE - border]) {
        const pointer = buffer(2 * PAGE_SIZE);
        const other = withTag(pointer, (tagOf(pointer) % 15) + 1 === tagOf(pointer) ? 1 : (tagOf(pointer) % 15) + 1);
        tagRange(process.memory, other + border, extent);
        for (const offset of [0, 1, 7, 15]) {
          for (const length of [1, 2, 3, 8, 16, 32, 4096, 2 * PAGE_SIZE - 16]) {
            const end = offset + length;
            const expected = mode === "sync" && end > border ? Math.max(0, border - offset) : length;
            expect(process.pread64(fd, pointer + offset, length, 0)).toBe(expected);
            expect(process.pwrite64(fd, pointer + offset, length, 0)).toBe(expected);
          }
        }
      }
    }
    expect(signals).toEqual([]);
  });

  test("with right tags one read fills both pages", () => {
    setMode("sync");
    const fd = process.memfd_create("data");
    const source = buffer(2 * PAGE_SIZE);
    process.memory.fill(source, 0x3c, 2 * PAGE_SIZE);
    expect(process.pwrite64(fd, source, 2 * PAGE_SIZE, 0)).toBe(2 * PAGE_SIZE);
    const target = buffer(2 * PAGE_SIZE);
    expect(process.pread64(fd, target, 2 * PAGE_SIZE, 0)).toBe(2 * PAGE_SIZE);
    expect(process.memory.compare(source, target, 2 * PAGE_SIZE)).toBe(0);
  });
});

test.each(kinds)("pages with equal data and tags stay pages of their own: %s", (kind) => {
  setMode("sync");
  const [first, second] = [buffer(PAGE_SIZE, kind), buffer(PAGE_SIZE, kind)];
  process.memory.fill(first, 9, PAGE_SIZE);
  process.memory.fill(second, 9, PAGE_SIZE);
  process.memory.setUint8(first, 1);
  expect(process.memory.getUint8(second)).toBe(9);
});
