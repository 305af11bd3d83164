// System calls by number as a C program makes them: strings and structures lie in the program's memory, and what the call
// answers is stored there. Each bad pointer is EFAULT, and leaves nothing behind.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { SIGSEGV, SIGUSR1 } from "../../../platform/kernel/signals.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const UNMAPPED = 0x1000;
const INFINITY = 2n ** 64n - 1n;
let kernel: Kernel;
let process: Process;
/** Two pages for arguments, and behind them nothing. */
let at: number;
let end: number;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
  at = process.mmap(0, 3 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
  end = at + 2 * PAGE_SIZE;
  process.munmap(end, PAGE_SIZE);
});

function fails(code: string, call: () => unknown): void {
  const before = [process.fds.numbers(), process.procfs("maps"), kernel.openFiles];
  expect(call).toThrow(expect.objectContaining({ code }));
  expect([process.fds.numbers(), process.procfs("maps"), kernel.openFiles]).toEqual(before);
  kernel.checkInvariants();
}

function words(address: number, ...values: (number | bigint)[]): number {
  values.forEach((value, i) => {
    process.memory.setBigUint64(address + 8 * i, BigInt(value));
  });
  return address;
}

describe("open and openat", () => {
  test("take the path out of memory", () => {
    const fd = process.memfd_create("x");
    process.memory.writeString(at, `/proc/self/fd/${fd}`);
    const again = process.syscall(2, at, 0, 0);
    const third = process.syscall(257, -100, at, 2, 0);
    expect([again, third].map((one) => process.fstat(one).inode)).toEqual(Array(2).fill(process.fstat(fd).inode));
    expect(() => process.write(again, at, 1)).toThrow(expect.objectContaining({ code: "EBADF" }));
    expect(process.write(third, at, 1)).toBe(1);
  });

  test("refuse a path that is missing, empty, longer than 4095 bytes, or not the program's", () => {
    process.memory.writeString(at, "/nowhere");
    fails("ENOENT", () => process.syscall("open", at, 0));
    fails("ENOENT", () => process.syscall("open", at + 100, 0));
    process.memory.fill(at, 0x61, 2 * PAGE_SIZE);
    fails("ENAMETOOLONG", () => process.syscall("open", at, 0));
    fails("EFAULT", () => process.syscall("open", end - 10, 0));
    fails("EFAULT", () => process.syscall("openat", -100, UNMAPPED, 0));
  });
});

describe("fstat", () => {
  test.each([
    ["x86-64", 5, { mode: 24, bytes: 144 }],
    ["arm64", 80, { mode: 16, bytes: 128 }],
  ] as const)("stores struct stat as %s has it", (syscalls, number, { mode, bytes }) => {
    const of = new Kernel(machine, { syscalls }).createProcess();
    const buffer = of.mmap(0, 2 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    const fd = of.memfd_create("x");
    of.ftruncate(fd, 3 * PAGE_SIZE + 5);
    of.write(fd, buffer, 10);
    of.memory.fill(buffer, 0xee, 200);
    expect(of.syscall(number, fd, buffer)).toBe(0);
    const { memory } = of;
    expect(memory.getBigUint64(buffer)).toBe(1n);
    expect(Number(memory.getBigUint64(buffer + 8))).toBe(of.fstat(fd).inode);
    expect(memory.getUint32(buffer + mode)).toBe(0o100777);
    expect(memory.getBigUint64(buffer + 48)).toBe(BigInt(3 * PAGE_SIZE + 5));
    expect(memory.getUint32(buffer + 56)).toBe(PAGE_SIZE);
    expect(memory.getBigUint64(buffer + 64)).toBe(8n);
    expect([memory.getUint8(buffer + bytes - 1), memory.getUint8(buffer + bytes)]).toEqual([0, 0xee]);
  });

  test("refuses a bad descriptor before a bad buffer", () => {
    fails("EBADF", () => process.syscall("fstat", 99, UNMAPPED));
    fails("EFAULT", () => process.syscall("fstat", 0, UNMAPPED));
    fails("EFAULT", () => process.syscall("fstat", 0, end - 100));
  });
});

describe("pipe2 and pipe", () => {
  test("store both descriptors as ints", () => {
    expect(process.syscall(293, at, 0o4000)).toBe(0);
    expect(process.syscall(22, at + 8)).toBe(0);
    const ends = [0, 4, 8, 12].map((offset) => process.memory.getInt32(at + offset));
    expect(ends).toEqual([3, 4, 5, 6]);
    expect(process.write(ends[1], at, 5)).toBe(5);
    expect(process.read(ends[0], at + 100, 9)).toBe(5);
  });

  test("leave no descriptor open if they cannot be stored", () => {
    fails("EFAULT", () => process.syscall("pipe2", UNMAPPED, 0));
    fails("EFAULT", () => process.syscall("pipe2", end - 4, 0));
    fails("EINVAL", () => process.syscall("pipe2", at, 1));
  });
});

describe("mincore", () => {
  test("stores one byte a page", () => {
    process.memory.setUint8(at, 1);
    expect(process.syscall(27, at, 2 * PAGE_SIZE, at + 100)).toBe(0);
    expect([...process.memory.read(at + 100, 3)]).toEqual([1, 0, 0]);
  });

  test("refuses an unaligned address, a hole, and a vector that is not the program's", () => {
    fails("EINVAL", () => process.syscall("mincore", at + 1, PAGE_SIZE, UNMAPPED));
    fails("ENOMEM", () => process.syscall("mincore", at, 3 * PAGE_SIZE, at));
    fails("EFAULT", () => process.syscall("mincore", at, 2 * PAGE_SIZE, UNMAPPED));
    fails("EFAULT", () => process.syscall("mincore", at, 3 * PAGE_SIZE, 2 ** 38));
  });
});

describe("rt_sigaction", () => {
  const handler = () => {};

  test("gives a handler an address, under which it can be put back", () => {
    process.sigaction(SIGSEGV, { flags: 4, handler });
    words(at, 0, 0, 0, 0);
    expect(process.syscall(13, SIGSEGV, at, at + 64, 8)).toBe(0);
    expect(process.signalActions.get(SIGSEGV)).toBe("default");
    expect(process.memory.getBigUint64(at + 72)).toBe(4n);
    expect(process.syscall(13, SIGSEGV, at + 64, 0, 8)).toBe(0);
    expect(process.signalActions.get(SIGSEGV)).toEqual({ flags: 4, handler });
    expect(process.fork().syscall(13, SIGUSR1, at + 64, 0, 8)).toBe(0);
  });

  test("sets SIG_IGN and SIG_DFL, and only asks with a null pointer", () => {
    words(at, 1, 0, 0, 0);
    process.syscall(13, SIGUSR1, at, 0, 8);
    expect(process.syscall(13, SIGUSR1, 0, at + 64, 8)).toBe(0);
    expect([process.memory.getBigUint64(at + 64), process.signalActions.get(SIGUSR1)]).toEqual([1n, "ignore"]);
  });

  test("refuses a set of another size, SIGKILL, a bad signal, bad pointers, and an address without a host function", () => {
    words(at, 1, 0, 0, 0);
    fails("EINVAL", () => process.syscall("rt_sigaction", SIGUSR1, at, 0, 4));
    fails("EINVAL", () => process.syscall("rt_sigaction", 9, at, 0, 8));
    fails("EINVAL", () => process.syscall("rt_sigaction", 65, 0, 0, 8));
    fails("EFAULT", () => process.syscall("rt_sigaction", SIGUSR1, UNMAPPED, 0, 8));
    fails("EFAULT", () => process.syscall("rt_sigaction", SIGUSR1, 0, UNMAPPED, 8));
    words(at, 0x1234, 0, 0, 0);
    fails("ENOSYS", () => process.syscall("rt_sigaction", SIGUSR1, at, 0, 8));
    expect(process.signalActions.get(SIGUSR1)).toBe("default");
  });
});

describe("execve", () => {
  test("takes the name and walks both lists; the old memory is gone", () => {
    process.memory.writeString(at, "/bin/true");
    words(at + 64, at, 0);
    expect(process.syscall(59, at, at + 64, 0)).toBe(0);
    expect(process.procfs("maps")).toBe("");
  });

  test("refuses pointers that cannot be read, and nothing is unmapped", () => {
    process.memory.writeString(at, "/bin/true");
    fails("EFAULT", () => process.syscall("execve", UNMAPPED, 0, 0));
    fails("EFAULT", () => process.syscall("execve", at, UNMAPPED, 0));
    words(at + 64, UNMAPPED, 0);
    fails("EFAULT", () => process.syscall("execve", at, 0, at + 64));
    fails("ENOENT", () => process.syscall("execve", at + 32, 0, 0));
  });
});

describe("wait4, kill and exit_group", () => {
  test("the status word tells how a child ended, the usage what it touched", () => {
    const exits = process.fork();
    exits.memory.setUint8(at, 1);
    expect(exits.syscall(231, 0x1ff)).toBe(0);
    expect(process.syscall(61, -1, at, 0, at + 64)).toBe(exits.pid);
    expect(process.memory.getInt32(at)).toBe(0xff00);
    expect(process.memory.getBigUint64(at + 64 + 64)).toBe(1n);
    expect(process.memory.getBigUint64(at + 64 + 32)).toBe(4n);
    const killed = process.fork();
    expect(process.syscall(62, killed.pid, 9)).toBe(0);
    expect(process.syscall(61, killed.pid, at, 1, 0)).toBe(killed.pid);
    expect(process.memory.getInt32(at)).toBe(9);
    fails("ECHILD", () => process.syscall(61, -1, at, 0, 0));
  });

  test("a child that runs is 0 with WNOHANG, and EAGAIN where a real program would sleep", () => {
    const child = process.fork();
    expect(process.syscall("wait4", child.pid, at, 1, 0)).toBe(0);
    expect(process.syscall("wait4", 0, 0, 1, 0)).toBe(0);
    expect(process.syscall("wait4", -process.pid, 0, 1, 0)).toBe(0);
    fails("EAGAIN", () => process.syscall("wait4", -1, 0, 0, 0));
    fails("ECHILD", () => process.syscall("wait4", -999, 0, 1, 0));
    fails("EINVAL", () => process.syscall("wait4", -1, 0, 16, 0));
    fails("ESRCH", () => process.syscall("kill", 999, 0));
  });

  test("a child is gone even if its status cannot be stored", () => {
    process.fork().exit(1);
    fails("EFAULT", () => process.syscall("wait4", -1, UNMAPPED, 0, 0));
    fails("ECHILD", () => process.syscall("wait4", -1, 0, 0, 0));
  });
});

describe("limits", () => {
  test("are two words, infinity all ones", () => {
    expect(process.syscall(97, 9, at)).toBe(0);
    expect([process.memory.getBigUint64(at), process.memory.getBigUint64(at + 8)]).toEqual([INFINITY, INFINITY]);
    expect(process.syscall(160, 9, words(at, 2 ** 30, INFINITY))).toBe(0);
    expect(process.getrlimit(9)).toEqual({ soft: 2 ** 30, hard: Number.POSITIVE_INFINITY });
    expect(process.syscall(302, 0, 9, words(at, 2 ** 20, 2 ** 21), at + 64)).toBe(0);
    expect([process.memory.getBigUint64(at + 64), process.memory.getBigUint64(at + 72)]).toEqual([2n ** 30n, INFINITY]);
    expect(process.getrlimit(9)).toEqual({ soft: 2 ** 20, hard: 2 ** 21 });
  });

  test("of another process by prlimit64", () => {
    const child = process.fork();
    process.syscall(302, child.pid, 7, words(at, 10, 20), at + 64);
    expect([child.getrlimit(7), process.memory.getBigUint64(at + 64)]).toEqual([{ soft: 10, hard: 20 }, 1024n]);
    expect(process.getrlimit(7).soft).toBe(1024);
  });

  test("refuse bad pointers, unknown resources, soft above hard, and no such process", () => {
    fails("EFAULT", () => process.syscall("getrlimit", 9, UNMAPPED));
    fails("EFAULT", () => process.syscall("setrlimit", 99, UNMAPPED));
    fails("EINVAL", () => process.syscall("getrlimit", 99, UNMAPPED));
    fails("EINVAL", () => process.syscall("setrlimit", 9, words(at, 2, 1)));
    fails("ESRCH", () => process.syscall("prlimit64", 999, 99, 0, 0));
    expect(process.getrlimit(9).soft).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("process_vm_readv and process_vm_writev", () => {
  test("take both lists of struct iovec out of memory", () => {
    const other = kernel.createProcess();
    const there = other.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    other.memory.writeString(there, "from there");
    const local = words(at, at + 512, 4, at + 600, 7);
    const remote = words(at + 64, there, 11);
    expect(process.syscall(310, other.pid, local, 2, remote, 1, 0)).toBe(11);
    expect([process.memory.readString(at + 512), process.memory.readString(at + 600)]).toEqual(["from", " there"]);
    process.memory.writeString(at + 512, "FROM");
    expect(process.syscall(311, other.pid, local, 1, remote, 1, 0)).toBe(4);
    expect(other.memory.readString(there)).toBe("FROM there");
  });

  test("refuse flags, too many or too long vectors, bad lists and memory of no process", () => {
    const vector = words(at, at, 8);
    fails("EINVAL", () => process.syscall("process_vm_readv", process.pid, UNMAPPED, 1, vector, 1, 1));
    fails("EINVAL", () => process.syscall("process_vm_readv", process.pid, vector, 1025, vector, 1, 0));
    fails("EINVAL", () =>
      process.syscall("process_vm_readv", process.pid, words(at + 64, at, 2n ** 63n), 1, vector, 1, 0),
    );
    fails("EFAULT", () => process.syscall("process_vm_readv", process.pid, UNMAPPED, 1, vector, 1, 0));
    fails("EFAULT", () => process.syscall("process_vm_writev", process.pid, vector, 1, UNMAPPED, 1, 0));
    fails("ESRCH", () => process.syscall("process_vm_writev", 999, vector, 1, vector, 1, 0));
    expect(process.syscall("process_vm_readv", 999, 0, 0, UNMAPPED, 1, 0)).toBe(0);
  });
});

describe("the table", () => {
  test("counts each call once, under its name", () => {
    const before = kernel.counters.snapshot();
    process.syscall(22, at);
    process.syscall(27, at, PAGE_SIZE, at + 64);
    process.syscall(13, SIGUSR1, 0, 0, 8);
    process.syscall(302, 0, 9, 0, at);
    expect(kernel.counters.since(before).systemCalls).toEqual({ pipe2: 1, mincore: 1, rt_sigaction: 1, prlimit64: 1 });
  });

  test("has arm64's numbers instead if asked to, without the calls that arm64 leaves to newer ones", () => {
    const of = new Kernel(machine, { syscalls: "arm64" }).createProcess();
    const there = of.syscall(222, 0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS, -1, 0);
    expect(of.syscall(172)).toBe(of.pid);
    expect(of.syscall(59, there, 0)).toBe(0);
    expect(of.syscall(215, there, PAGE_SIZE)).toBe(0);
    expect(of.procfs("maps")).toBe("");
    for (const missing of ["open", "fork", "pipe", 9, 2]) {
      expect(() => of.syscall(missing)).toThrow(expect.objectContaining({ code: "ENOSYS" }));
    }
  });

  test("is for one of two machines", () => {
    expect(() => new Kernel(machine, { syscalls: "riscv" as "arm64" })).toThrow(/"riscv" is not one of x86-64, arm64/);
  });
});
