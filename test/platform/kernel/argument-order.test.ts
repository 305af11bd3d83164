// Which check of a system call comes first, as a real kernel answered calls that are wrong in two ways.
// One wrong argument at a time is in bad-arguments.test.ts.
import { expect, test } from "vitest";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import { RLIMIT_NOFILE } from "../../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";

const NO_SUCH_PROCESS = 4_000_000;
const PAGE = 4096;
/** 2^64 − 4096: a length that wraps once an address is added. */
const HUGE = 2 ** 64 - PAGE;

function processWithPage() {
  const process = new Kernel().createProcess();
  const page = process.mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  return { process, page };
}

test("a transfer without remote bytes is 0 before the process is looked for", () => {
  const { process, page } = processWithPage();
  expect(process.process_vm_readv(NO_SUCH_PROCESS, [[page, 8]], [])).toBe(0);
  expect(process.process_vm_writev(NO_SUCH_PROCESS, [[page, 8]], [[page, 0]])).toBe(0);
});

test("a local vector outside user space is EFAULT before a missing process is ESRCH", () => {
  const { process, page } = processWithPage();
  const call = () => process.process_vm_readv(NO_SUCH_PROCESS, [[2 ** 63, 8]], [[page, 8]]);
  expect(call).toThrow(expect.objectContaining({ code: "EFAULT" }));
});

test("an open needs a free descriptor before it looks at the path", () => {
  const { process } = processWithPage();
  process.setrlimit(RLIMIT_NOFILE, 0);
  expect(() => process.open("/proc/self/fd/77", 0)).toThrow(expect.objectContaining({ code: "EMFILE" }));
});

test("a mapping longer than the address space is ENOMEM at any offset, for a file too", () => {
  const { process } = processWithPage();
  const fd = process.memfd_create("file");
  const call = () => process.mmap(0, HUGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
  expect(call).toThrow(expect.objectContaining({ code: "ENOMEM" }));
});

test("munlock of a length that wraps to nothing unlocks nothing and is no error", () => {
  const { process, page } = processWithPage();
  process.mlock(page, PAGE);
  expect(process.munlock(page + 1, HUGE)).toBe(0);
  expect(process.procfs("status")).toMatch(/^VmLck:\s+4 kB$/m);
});

test("an old range of mremap whose end wraps overlaps nothing: where no page is it is EFAULT, not EINVAL", () => {
  const { process, page } = processWithPage();
  const hole = page - 16 * PAGE;
  const call = () => process.mremap(hole, HUGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole + PAGE);
  expect(call).toThrow(expect.objectContaining({ code: "EFAULT" }));
});
