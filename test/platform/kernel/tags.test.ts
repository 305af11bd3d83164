// Allocation tags in the kernel, beyond the recorded cases: machines without MTE, zeroing, ptrace, dumps, signals, exhaustion.

import { beforeEach, describe, expect, test } from "vitest";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import { tagRange } from "../../../platform/hardware/tag-store.ts";
import { tagOf, withTag } from "../../../platform/hardware/tags.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_MTE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import { PR_GET_TAGGED_ADDR_CTRL, PR_SET_TAGGED_ADDR_CTRL } from "../../../platform/kernel/abi/prctl.ts";
import { dumpMemory } from "../../../platform/kernel/core-dump.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { PTRACE_PEEKMTETAGS, PTRACE_POKEMTETAGS } from "../../../platform/kernel/ptrace-tags.ts";
import { SIG_BLOCK, SIG_UNBLOCK, SIGKILL, SIGSEGV, SIGUSR1 } from "../../../platform/kernel/signals.ts";

const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;
const READ_WRITE = PROT_READ | PROT_WRITE;
const SYNC = 3 | (0xfffe << 3);
const ASYNC = 5 | (0xfffe << 3);

let kernel: Kernel;
let process: Process;

beforeEach(() => {
  kernel = new Kernel({ memoryBytes: 2 ** 24 });
  process = kernel.createProcess();
});

function map(pages: number, protection = READ_WRITE | PROT_MTE, who = process): number {
  return who.mmap(0, pages * PAGE_SIZE, protection, PRIVATE);
}

describe("a machine without MTE", () => {
  test("ignores PROT_MTE in mmap, refuses it in mprotect, and knows no tag checks", () => {
    const plain = new Kernel({ memoryBytes: 2 ** 24, mte: false }).createProcess();
    const page = map(1, READ_WRITE | PROT_MTE, plain);
    expect(() => plain.mprotect(page, PAGE_SIZE, READ_WRITE | PROT_MTE)).toThrow(
      expect.objectContaining({ code: "EINVAL" }),
    );
    expect(() => plain.prctl(PR_SET_TAGGED_ADDR_CTRL, SYNC)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(plain.prctl(PR_SET_TAGGED_ADDR_CTRL, 1)).toBe(0);
    mte.stg(plain.memory, page, withTag(0, 5));
    expect(mte.ldg(plain.memory, withTag(page, 3))).toBe(page);
    expect(plain.procfs("smaps")).not.toContain(" mt");
  });
});

describe("fresh pages", () => {
  test("of PROT_MTE memory are zeroed and tagged in one pass of DC GZVA", () => {
    const [tagged, plain] = [map(2), map(2, READ_WRITE)];
    const before = kernel.counters.gzvaBlocks;
    process.memory.setUint8(plain, 1);
    expect(kernel.counters.gzvaBlocks).toBe(before);
    process.memory.setUint8(tagged, 1);
    process.memory.getUint8(tagged + PAGE_SIZE);
    process.memory.setUint8(tagged + PAGE_SIZE, 1);
    expect(kernel.counters.gzvaBlocks).toBe(before + (2 * PAGE_SIZE) / kernel.machine.gzvaBlockBytes);
  });

  test("get tag 0 even in a frame whose last owner had tagged it", () => {
    const first = map(64);
    tagRange(process.memory, withTag(first, 9), 64 * PAGE_SIZE);
    process.munmap(first, 64 * PAGE_SIZE);
    const second = map(64);
    for (let page = second; page < second + 64 * PAGE_SIZE; page += PAGE_SIZE) {
      process.memory.setUint8(page, 1);
      expect(mte.ldg(process.memory, page + 4080)).toBe(page + 4080);
    }
  });

  test("a load maps the zero page, whose tag is 0; a tag store makes it private", () => {
    const page = map(1);
    process.prctl(PR_SET_TAGGED_ADDR_CTRL, SYNC);
    expect(() => process.memory.getUint8(withTag(page, 1))).toThrow(SegmentationFault);
    expect(process.memory.getUint8(page)).toBe(0);
    expect(process.rssBytes).toBe(0);
    mte.stg(process.memory, page, withTag(0, 1));
    expect(process.rssBytes).toBe(PAGE_SIZE);
    expect(tagOf(mte.ldg(process.createThread().memory, page))).toBe(1);
  });
});

test("smaps shows mt for areas with PROT_MTE, also when mprotect added it", () => {
  const page = map(3, READ_WRITE);
  expect(process.procfs("smaps")).not.toMatch(/VmFlags:.* mt/);
  process.mprotect(page + PAGE_SIZE, PAGE_SIZE, READ_WRITE | PROT_MTE);
  expect(process.procfs("smaps").match(/VmFlags:.* mt/g)).toHaveLength(1);
});

describe("ptrace", () => {
  let child: Process;
  let page: number;
  let buffer: number;

  beforeEach(() => {
    page = map(2);
    buffer = map(1, READ_WRITE);
    for (let granule = 0; granule < 16; granule++) mte.stg(process.memory, page + granule * 16, withTag(0, granule));
    child = process.fork();
  });

  test("peeks one tag a byte, from the address aligned down, and pokes the low four bits", () => {
    expect(process.ptrace(PTRACE_PEEKMTETAGS, child.pid, withTag(page + 17, 5), { base: buffer, length: 4 })).toBe(4);
    expect([...process.memory.read(buffer, 5)]).toEqual([1, 2, 3, 4, 0]);
    process.memory.write(buffer, Uint8Array.of(0xff, 0x21));
    expect(process.ptrace(PTRACE_POKEMTETAGS, child.pid, page + 32, { base: buffer, length: 2 })).toBe(2);
    expect([2, 3].map((granule) => tagOf(mte.ldg(child.memory, page + granule * 16)))).toEqual([15, 1]);
    expect([2, 3].map((granule) => tagOf(mte.ldg(process.memory, page + granule * 16)))).toEqual([2, 3]);
  });

  test("reaches read-only pages and stops at the end of what has tags", () => {
    child.mprotect(page, PAGE_SIZE, PROT_NONE);
    const length = 600;
    expect(process.ptrace(PTRACE_PEEKMTETAGS, child.pid, page, { base: buffer, length })).toBe(512);
  });

  test("says why nothing was moved", () => {
    const whole = { base: buffer, length: 1 };
    const errorOf = (call: () => number): unknown => {
      try {
        return call();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(errorOf(() => process.ptrace(PTRACE_PEEKMTETAGS, child.pid, buffer, whole))).toBe("EIO");
    expect(errorOf(() => process.ptrace(PTRACE_PEEKMTETAGS, child.pid, 4096, whole))).toBe("EIO");
    expect(errorOf(() => process.ptrace(PTRACE_PEEKMTETAGS, child.pid, page, { base: 0, length: 1 }))).toBe("EFAULT");
    expect(errorOf(() => child.ptrace(PTRACE_PEEKMTETAGS, process.pid, page, whole))).toBe("EPERM");
    expect(errorOf(() => process.ptrace(PTRACE_PEEKMTETAGS, 999, page, whole))).toBe("ESRCH");
    expect(errorOf(() => process.ptrace(1, child.pid, page, whole))).toBe("EIO");
  });
});

test("a dump has the touched pages, with tags where there are any", () => {
  const [tagged, plain] = [map(3), map(2, READ_WRITE)];
  mte.stzg(process.memory, tagged + PAGE_SIZE + 16, withTag(0, 7));
  process.memory.setUint8(plain, 9);
  process.memory.getUint8(tagged);
  const pages = dumpMemory(process).flatMap((area) => area.pages);
  expect(pages.map(({ address }) => address).sort()).toEqual([plain, tagged + PAGE_SIZE].sort());
  expect(pages.find(({ address }) => address === plain)).toMatchObject({ tags: undefined });
  const dumped = pages.find(({ address }) => address === tagged + PAGE_SIZE);
  expect([...(dumped?.tags?.slice(0, 2) ?? [])]).toEqual([0x70, 0]);
});

describe("signals", () => {
  function tagged(): number {
    const page = map(1);
    mte.stg(process.memory, page, withTag(0, 5));
    return page;
  }

  test("without a handler an asynchronous report is thrown by the next call, which has not run", () => {
    const page = tagged();
    process.prctl(PR_SET_TAGGED_ADDR_CTRL, ASYNC);
    process.memory.setUint8(page, 1);
    expect(() => process.munmap(page, PAGE_SIZE)).toThrow(
      expect.objectContaining({ code: "SEGV_MTEAERR", address: 0 }),
    );
    expect(process.munmap(page, PAGE_SIZE)).toBe(0);
  });

  test("an ignored asynchronous report is dropped, a blocked one waits and is thrown when unblocked", () => {
    const page = tagged();
    process.prctl(PR_SET_TAGGED_ADDR_CTRL, ASYNC);
    process.sigaction(SIGSEGV, "ignore");
    process.memory.setUint8(page, 1);
    expect(process.prctl(PR_GET_TAGGED_ADDR_CTRL)).toBe(ASYNC);
    process.sigaction(SIGSEGV, "default");
    process.sigprocmask(SIG_BLOCK, [SIGSEGV]);
    process.memory.setUint8(page, 1);
    process.prctl(PR_GET_TAGGED_ADDR_CTRL);
    expect(process.mainThread.signalMask.pending).toEqual([SIGSEGV]);
    expect(() => process.sigprocmask(SIG_UNBLOCK, [SIGSEGV])).toThrow(
      expect.objectContaining({ code: "SEGV_MTEAERR" }),
    );
  });

  test("a handler's own error takes the place of the fault, and the state is as before", () => {
    const page = tagged();
    process.prctl(PR_SET_TAGGED_ADDR_CTRL, SYNC);
    process.sigaction(SIGSEGV, {
      flags: 0,
      handler: ({ code, address }) => {
        throw new RangeError(`${code} at ${address - page}`);
      },
    });
    expect(() => process.memory.getUint8(page + 3)).toThrow(new RangeError("SEGV_MTESERR at 3"));
    expect(process.mainThread.signalMask.isBlocked(SIGSEGV)).toBe(false);
    expect(process.memory.getUint8(withTag(page + 3, 5))).toBe(0);
  });

  test("kill ends a process that has no handler, and tells its parent", () => {
    const child = process.fork();
    process.kill(child.pid, 0);
    process.kill(child.pid, SIGUSR1);
    expect(process.wait4(child.pid)).toMatchObject({ pid: child.pid, status: 0, signal: SIGUSR1 });
    expect(() => process.kill(child.pid, 0)).toThrow(expect.objectContaining({ code: "ESRCH" }));
  });

  test("there is no handler for SIGKILL, and no signal 65", () => {
    const action = { flags: 0, handler: () => {} };
    expect(() => process.sigaction(SIGKILL, action)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(() => process.sigaction(65, action)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(() => process.sigprocmask(9, [])).toThrow(expect.objectContaining({ code: "EINVAL" }));
  });
});

test("a control word with bits that no CPU has changes nothing", () => {
  process.prctl(PR_SET_TAGGED_ADDR_CTRL, SYNC);
  for (const word of [2 ** 19, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64, -1])
    expect(() => process.prctl(PR_SET_TAGGED_ADDR_CTRL, word)).toThrow(expect.objectContaining({ code: "EINVAL" }));
  for (const word of [2 ** 65, 1.5, Number.NaN])
    expect(() => process.prctl(PR_SET_TAGGED_ADDR_CTRL, word)).toThrow(RangeError);
  expect(process.prctl(PR_GET_TAGGED_ADDR_CTRL)).toBe(SYNC);
});

test("execve leaves nothing mapped, no handlers, no tag checks", () => {
  const page = map(1);
  process.prctl(PR_SET_TAGGED_ADDR_CTRL, SYNC);
  process.sigaction(SIGSEGV, { flags: 0, handler: () => {} });
  const cloexec = process.memfd_create("closed", 1);
  const kept = process.memfd_create("kept");
  process.execve("image");
  expect(() => process.memory.getUint8(page)).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
  expect(process.sigaction(SIGSEGV, "default")).toBe("default");
  expect(() => process.fstat(cloexec)).toThrow(expect.objectContaining({ code: "EBADF" }));
  expect(process.fstat(kept).size).toBe(0);
  kernel.checkInvariants();
});
