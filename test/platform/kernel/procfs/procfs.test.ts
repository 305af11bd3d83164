// procfs text, line for line beside what Linux 6.18 on x86-64 showed of a program that did the same: an anonymous area, a
// heap, a memfd mapped twice, shared anonymous memory. Numbers differ; names, order, columns and widths may not.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";
import { SIG_BLOCK, SIGSEGV, SIGUSR1 } from "../../../../platform/kernel/signals.ts";
import { createKernel } from "../../../../refpage/kernel.ts";

const RECORDED_MAPS = `\
55637a2ac000-55637a43b000 rw-p 00000000 00:00 0                          [heap]
7f751688a000-7f7516891000 rw-p 00000000 00:00 0 
7f7516891000-7f7516897000 rw-s 00000000 00:01 28572                      /dev/zero (deleted)
7f75175ba000-7f75175bc000 rw-p 00000000 00:01 28573                      /memfd:hello (deleted)
7f75176e0000-7f75176e2000 rw-s 00000000 00:01 28573                      /memfd:hello (deleted)
`;
const RECORDED_SMAPS_AREA = `\
7f75175ba000-7f75175bc000 rw-p 00000000 00:01 28573                      /memfd:hello (deleted)
Size:                  8 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   4 kB
Pss:                   2 kB
Pss_Dirty:             2 kB
Shared_Clean:          0 kB
Shared_Dirty:          4 kB
Private_Clean:         0 kB
Private_Dirty:         0 kB
Referenced:            4 kB
Anonymous:             0 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac 
`;
const RECORDED_ROLLUP = `\
556364dfb000-7fffc4494000 ---p 00000000 00:00 0                          [rollup]
Rss:               13760 kB
Pss:               11934 kB
Pss_Dirty:          7076 kB
Pss_Anon:           7072 kB
Pss_File:           4858 kB
Pss_Shmem:             4 kB
Shared_Clean:       2020 kB
Shared_Dirty:          8 kB
Private_Clean:      4660 kB
Private_Dirty:      7072 kB
Referenced:        13760 kB
Anonymous:          7072 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
`;
const RECORDED_STATUS = `\
Name:\tpython3
Umask:\t0022
State:\tR (running)
Tgid:\t28866
Ngid:\t0
Pid:\t28866
PPid:\t28847
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
FDSize:\t256
Groups:\t 
NStgid:\t28866
NSpid:\t28866
NSpgid:\t28847
NSsid:\t25432
Kthread:\t0
VmPeak:\t   16832 kB
VmSize:\t   16832 kB
VmLck:\t       0 kB
VmPin:\t       0 kB
VmHWM:\t   13760 kB
VmRSS:\t   13760 kB
RssAnon:\t    7072 kB
RssFile:\t    6680 kB
RssShmem:\t       8 kB
VmData:\t    8148 kB
VmStk:\t     132 kB
VmExe:\t       4 kB
VmLib:\t    4684 kB
VmPTE:\t      72 kB
VmSwap:\t       0 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
THP_enabled:\t1
untag_mask:\t0xffffffffffffffff
Threads:\t1
SigQ:\t0/96365
SigPnd:\t0000000000000000
ShdPnd:\t0000000000000000
SigBlk:\t0000000000000000
SigIgn:\t0000000001001000
SigCgt:\t0000000000000002
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t000001fffeffffff
CapBnd:\t000001fffeffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
Seccomp_filters:\t0
Speculation_Store_Bypass:\tvulnerable
SpeculationIndirectBranch:\talways enabled
Cpus_allowed:\t3
Cpus_allowed_list:\t0-1
Mems_allowed:\t00000000,00000001
Mems_allowed_list:\t0
voluntary_ctxt_switches:\t71
nonvoluntary_ctxt_switches:\t65
`;
const RECORDED_STATM = "765 439 410 5 0 123 0\n";
/** Lines about what this kernel does not have; docs/divergences.md names them too. */
const NOT_SIMULATED = /^(SigQ|Speculation\w+|Cpus_allowed\w*|Mems_allowed\w*|(non)?voluntary_ctxt_switches):/;

const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const SHARED = 1;
const SHARED_ANONYMOUS = 0x21;
const PRIVATE = 2;

/** A line with its numbers taken out: right-aligned ones by their width, the others of any length. */
function shape(line: string): string {
  return line
    .replace(/[0-9a-f]{16}$/, "mask")
    .replace(/( *\d+)( kB)?$/, (_, number: string, unit = "") =>
      number.length >= 8 ? "#".repeat(number.length) + unit : `${/^ */.exec(number)}#${unit}`,
    )
    .replace(/\b\d+\b/g, "#");
}

function shapes(text: string): string[] {
  expect(text.endsWith("\n")).toBe(true);
  return text.slice(0, -1).split("\n").map(shape);
}

/** The fields of a header line, and the column where its name begins. */
function header(line: string) {
  const match = /^([0-9a-f]{8,})-([0-9a-f]{8,}) ([r-][w-][x-][ps]) ([0-9a-f]{8,}) (\S+) (\d+) ( *)(.*)$/.exec(line);
  if (match === null) throw new Error(`no header line: ${line}`);
  const [, , , permissions, offset, device, inode, , name] = match;
  return { permissions, offset, device, hasInode: inode !== "0", name, column: name === "" ? "" : line.indexOf(name) };
}

function field(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text);
  if (match === null) throw new Error(`no line ${name}`);
  return Number(match[1]);
}

let kernel: Kernel;
let process: Process;
let memfd: number;
let shared: number;

beforeEach(() => {
  kernel = new Kernel(new Machine({ memoryBytes: 16 * 2 ** 20, mte: false }));
  process = kernel.createProcess({ name: "python3" });
  process.brk(process.brk(0) + 5 * PAGE_SIZE);
  memfd = process.memfd_create("hello");
  process.ftruncate(memfd, 2 * PAGE_SIZE);
  shared = process.mmap(0, 2 * PAGE_SIZE, RW, SHARED, memfd);
  process.mmap(0, 2 * PAGE_SIZE, RW, PRIVATE, memfd);
  process.mmap(0, 6 * PAGE_SIZE, RW, SHARED_ANONYMOUS);
  process.mmap(0, 7 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
});

describe("maps", () => {
  test("has Linux's fields for each kind of area: device 00:00 for anonymous memory, 00:01 for files in RAM", () => {
    const lines = process.procfs("maps").slice(0, -1).split("\n");
    expect(lines.map(header)).toEqual(RECORDED_MAPS.slice(0, -1).split("\n").map(header));
  });

  test("ends a line without a name after one blank", () => {
    expect(process.procfs("maps")).toMatch(/^[0-9a-f]+-[0-9a-f]+ rw-p 00000000 00:00 0 $/m);
  });

  test("shows a file's offset in bytes and its inode", () => {
    process.mmap(0, PAGE_SIZE, 1, SHARED, memfd, PAGE_SIZE);
    const { inode } = process.fstat(memfd);
    expect(process.procfs("maps")).toContain(` r--s 00001000 00:01 ${inode} `);
  });

  test("gives a reference page the device of anonymous inodes, neither of the other two", () => {
    const of = createKernel({ memoryBytes: 16 * 2 ** 20 }).createProcess();
    const content = of.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    of.mmap(0, PAGE_SIZE, RW, PRIVATE, of.syscall("refpage_create", content, 0));
    expect(of.procfs("maps")).toMatch(/ rw-p 00000000 00:10 0 +anon_inode:\[refpage\]\n/);
  });
});

describe("smaps", () => {
  test("has the recorded lines for every area", () => {
    const lines = process.procfs("smaps").slice(0, -1).split("\n");
    const recorded = RECORDED_SMAPS_AREA.slice(0, -1).split("\n");
    expect(lines).toHaveLength(5 * recorded.length);
    for (let first = 0; first < lines.length; first += recorded.length) {
      header(lines[first]);
      const body = lines.slice(first + 1, first + recorded.length - 1);
      expect(body.map(shape)).toEqual(recorded.slice(1, -1).map(shape));
      expect(lines[first + recorded.length - 1]).toMatch(/^VmFlags:( [a-z]{2})+ $/);
    }
  });

  test("equals the recording where the program did the same: a memfd page stored to through one of two mappings", () => {
    const privately = process
      .procfs("maps")
      .split("\n")
      .find((line) => /rw-p .*memfd/.test(line)) as string;
    process.memory.setUint8(shared, 1);
    process.memory.getUint8(Number.parseInt(privately, 16));
    const area = process
      .procfs("smaps")
      .split(privately)[1]
      .split(/^[0-9a-f]+-/m)[0];
    expect(area).toBe(RECORDED_SMAPS_AREA.slice(RECORDED_SMAPS_AREA.indexOf("\n")));
  });

  test("leaves clean pages out of Pss_Dirty: a copy that was made for a pin and never stored to", () => {
    const parent = kernel.createProcess();
    const at = parent.mmap(0, 2 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    parent.memory.fill(at, 1, 2 * PAGE_SIZE);
    const child = parent.fork();
    child.pin(at, PAGE_SIZE, { write: false }).release();
    const names = ["Rss", "Pss", "Pss_Dirty", "Private_Clean", "Shared_Dirty"];
    expect(names.map((name) => field(child.procfs("smaps"), name))).toEqual([8, 6, 2, 4, 4]);
    expect(names.map((name) => field(child.procfs("smaps_rollup"), name))).toEqual([8, 6, 2, 4, 4]);
    child.memory.setUint8(at, 2);
    expect(names.map((name) => field(child.procfs("smaps"), name))).toEqual([8, 6, 6, 0, 4]);
  });
});

describe("smaps_rollup", () => {
  test("has the recorded lines, Pss by kind of page among them", () => {
    const [first, ...lines] = process.procfs("smaps_rollup").slice(0, -1).split("\n");
    const [recordedFirst, ...recorded] = RECORDED_ROLLUP.slice(0, -1).split("\n");
    expect(header(first)).toEqual(header(recordedFirst));
    expect(lines.map(shape)).toEqual(recorded.map(shape));
  });

  test("splits Pss into anonymous and shared memory, by the pages and not by the areas", () => {
    process.memory.setUint8(shared, 1);
    const at = process.mmap(0, PAGE_SIZE, RW, PRIVATE, memfd);
    process.memory.setUint8(at, 2);
    const rollup = process.procfs("smaps_rollup");
    const kinds = ["Pss", "Pss_Anon", "Pss_File", "Pss_Shmem"].map((name) => field(rollup, name));
    expect(kinds).toEqual([8, 4, 0, 4]);
  });

  test("rounds after adding up: three areas that share a page with two others have its whole in sum", () => {
    const of = kernel.createProcess();
    const fd = of.memfd_create("thirds");
    of.ftruncate(fd, PAGE_SIZE);
    for (let i = 0; i < 3; i++) of.memory.setUint8(of.mmap(0, PAGE_SIZE, RW, SHARED, fd), 1);
    expect(of.procfs("smaps").match(/^Pss: +1 kB$/gm)).toHaveLength(3);
    expect(field(of.procfs("smaps_rollup"), "Pss")).toBe(3);
    const four = kernel.createProcess();
    const other = four.memfd_create("locked");
    four.ftruncate(other, PAGE_SIZE);
    for (let i = 0; i < 8; i++) four.mlock(four.mmap(0, PAGE_SIZE, RW, SHARED, other), PAGE_SIZE);
    expect(four.procfs("smaps").match(/^Locked: +0 kB$/gm)).toHaveLength(8);
    expect(field(four.procfs("smaps_rollup"), "Locked")).toBe(4);
  });

  test("of a process with nothing mapped is all zeroes", () => {
    const text = kernel.createProcess().procfs("smaps_rollup");
    expect(text).toMatch(/^00000000-00000000 ---p 00000000 00:00 0 {34}\[rollup\]\nRss: {19}0 kB\n/);
  });
});

describe("status", () => {
  test("has the recorded lines in their order, but for those that are not simulated", () => {
    const recorded = RECORDED_STATUS.split("\n").filter((line) => !NOT_SIMULATED.test(line));
    expect(shapes(process.procfs("status"))).toEqual(shapes(recorded.join("\n")));
  });

  test("names the process's own ids, its parent's while that lives, and its first ancestor's as group and session", () => {
    const child = process.fork();
    const grandchild = child.fork();
    const text = grandchild.procfs("status");
    expect(["Tgid", "Pid", "NStgid", "NSpid"].map((name) => field(text, name))).toEqual(Array(4).fill(grandchild.pid));
    expect(field(text, "PPid")).toBe(child.pid);
    expect([field(text, "NSpgid"), field(text, "NSsid")]).toEqual([process.pid, process.pid]);
    child.exit();
    expect(field(grandchild.procfs("status"), "PPid")).toBe(0);
  });

  test("shows what the process does with signals, as masks whose lowest bit is signal 1", () => {
    process.sigaction(SIGSEGV, { flags: 0, handler: () => {} });
    process.sigaction(13, "ignore");
    process.sigprocmask(SIG_BLOCK, [SIGUSR1]);
    process.kill(process.pid, SIGUSR1);
    const text = process.procfs("status");
    expect(text).toContain("SigPnd:\t0000000000000000\nShdPnd:\t0000000000000200\nSigBlk:\t0000000000000200\n");
    expect(text).toContain("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000400\n");
  });

  test("shows CAP_IPC_LOCK where processes have it", () => {
    expect(process.procfs("status")).toContain("CapEff:\t0000000000000000\n");
    const privileged = new Kernel(kernel.machine, { ipcLock: true }).createProcess();
    expect(privileged.procfs("status")).toContain("CapPrm:\t0000000000004000\nCapEff:\t0000000000004000\n");
  });

  test("shows room for descriptors: 64, and the next power of two above the highest", () => {
    expect(field(process.procfs("status"), "FDSize")).toBe(64);
    process.dup3(0, 63);
    expect(field(process.procfs("status"), "FDSize")).toBe(64);
    process.dup3(0, 200);
    expect(field(process.procfs("status"), "FDSize")).toBe(256);
  });

  test("of a process that has ended is a zombie's: nothing about memory", () => {
    process.exit(0);
    const text = process.procfs("status");
    expect(text).toContain("State:\tZ (zombie)\n");
    expect(text).not.toMatch(/^(Vm|Rss|untag_mask)/m);
    expect(text).toContain("FDSize:\t0\n");
  });
});

describe("statm", () => {
  test("is seven numbers, of which lib and dirty are always 0", () => {
    const text = process.procfs("statm");
    expect(text.replace(/\d+/g, "#")).toBe(RECORDED_STATM.replace(/\d+/g, "#"));
    process.memory.setUint8(shared, 1);
    // 22 pages mapped; of them private and writable 5 of the heap, 2 of the file, 7 anonymous.
    expect(process.procfs("statm")).toBe("22 1 1 0 0 14 0\n");
  });
});

describe("pagemap", () => {
  const END = 2 ** 38;

  test("ends with the user addresses, however much is asked for", () => {
    expect(process.pagemap(END - PAGE_SIZE, 2 ** 53)).toHaveLength(1);
    for (const address of [END, 2 ** 44, 2 ** 53]) expect(process.pagemap(address, PAGE_SIZE)).toHaveLength(0);
  });
});
