// Snapshots of machines without a heap: processes, descriptors, areas, tags and files come back as they were, and go on as they would have.
// Heaps in snapshots are test/allocator/heap/snapshot.test.ts.
import { describe, expect, test } from "vitest";
import { nextRandom } from "../../../allocator/common/random.ts";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_MTE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import type { MmapHook } from "../../../platform/kernel/extension.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { CleanPage } from "../../../platform/kernel/mm/frames.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import {
  installUserfaultfd,
  UFFD_API,
  UFFDIO_API,
  UFFDIO_REGISTER,
  UFFDIO_REGISTER_MODE_MISSING,
} from "../../../platform/kernel/userfaultfd.ts";
import { SnapshotError } from "../../../platform/state/error.ts";
import { hashBytes } from "../../../platform/state/hash.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const RW = PROT_READ | PROT_WRITE;
const ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS;

/** A kernel with one of everything that a file must hold. */
function furnished(): { kernel: Kernel; process: Process; child: Process; at: Record<string, number> } {
  const kernel = createKernel({ memoryBytes: 2 ** 26 }, { clock: () => 5 });
  const process = kernel.createProcess({ name: "first" });
  const plain = process.mmap(0, 16 * PAGE_SIZE, RW, ANONYMOUS, -1, 0);
  const shared = process.mmap(0, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const tagged = process.mmap(0, PAGE_SIZE, RW | PROT_MTE, ANONYMOUS, -1, 0);
  process.memory.setUint32(plain, 0x1234);
  process.memory.setUint32(shared, 1);
  process.memory.setUint32(tagged, 2);
  const content = process.mmap(0, PAGE_SIZE, RW, ANONYMOUS, -1, 0);
  process.memory.fill(content, 0xab, PAGE_SIZE);
  const page = process.syscall("refpage_create", content, 0);
  const clean = process.mmap(0, 4 * PAGE_SIZE, RW, MAP_PRIVATE, page, 0);
  process.memory.setUint8(clean + 5, 1);
  const file = process.memfd_create("file", 0);
  process.write(file, plain, 100);
  const ends = plain + 64;
  process.syscall("pipe", ends);
  process.write(process.memory.getInt32(ends + 4), plain, 10);
  const child = process.fork();
  child.memory.setUint32(plain, 0x5678);
  process.mlock(plain, PAGE_SIZE);
  return { kernel, process, child, at: { plain, shared, tagged, clean, ends, file } };
}

describe("a machine that is restored", () => {
  test("has the same digest, and the invariants of its kernel hold", () => {
    const { kernel } = furnished();
    const machine = Machine.restore(kernel.machine.snapshot());
    expect(machine.digest()).toBe(kernel.machine.digest());
    expect(machine.snapshot()).toEqual(kernel.machine.snapshot());
    (Kernel.on(machine) as Kernel).checkInvariants();
  });

  test("has its processes, with their memory, files and pipes", () => {
    const { kernel, process, child, at } = furnished();
    const restored = Kernel.on(Machine.restore(kernel.machine.snapshot())) as Kernel;
    const [first, second] = [restored.processes.get(process.pid), restored.processes.get(child.pid)] as Process[];
    expect([first.name, second.parent]).toEqual(["first", first]);
    expect([first.memory.getUint32(at.plain), second.memory.getUint32(at.plain)]).toEqual([0x1234, 0x5678]);
    expect([first.memory.getUint8(at.clean), first.memory.getUint8(at.clean + 5)]).toEqual([0xab, 1]);
    // A store to shared memory is seen by the other process, a store to private memory is not.
    second.memory.setUint32(at.shared, 77);
    second.memory.setUint8(at.clean + 5, 9);
    expect([first.memory.getUint32(at.shared), first.memory.getUint8(at.clean + 5)]).toEqual([77, 1]);
    expect(first.read(first.memory.getInt32(at.ends), at.plain + 200, 100)).toBe(10);
    expect(first.pread64(at.file, at.plain + 300, 100, 0)).toBe(100);
    expect(first.memory.getUint32(at.plain + 300)).toBe(0x1234);
    restored.checkInvariants();
  });

  test("stands beside the first one: what happens to either leaves the other as it was", () => {
    const { kernel, process, at } = furnished();
    const before = kernel.machine.digest();
    const machine = Machine.restore(kernel.machine.snapshot());
    const twin = (Kernel.on(machine) as Kernel).processes.get(process.pid) as Process;
    twin.memory.setUint32(at.plain, 1);
    twin.exit(0);
    expect(kernel.machine.digest()).toBe(before);
    process.exit(0);
    expect(machine.digest()).not.toBe(before);
  });

  test("ends as the first one does: all frames are free once its processes have ended", () => {
    const { kernel } = furnished();
    const restored = Kernel.on(Machine.restore(kernel.machine.snapshot())) as Kernel;
    for (const each of [kernel, restored]) for (const process of [...each.processes.values()]) process.exit(0);
    expect(restored.frames.freeFrames).toBe(kernel.frames.freeFrames);
    expect(restored.openFiles).toBe(0);
  });

  test("runs out of frames where the first one does: at the n-th, and at its cgroup's limit", () => {
    for (let n = 1; n <= 6; n++) {
      const kernel = createKernel({ memoryBytes: 2 ** 24 });
      const cgroup = kernel.createCgroup({ name: "group", limitBytes: 4 * PAGE_SIZE });
      const process = kernel.createProcess({ cgroup });
      const at = process.mmap(0, 16 * PAGE_SIZE, RW, ANONYMOUS);
      kernel.frames.failAt(n);
      const restored = Kernel.on(Machine.restore(kernel.machine.snapshot())) as Kernel;
      const twin = restored.processes.get(process.pid) as Process;
      const stored = (one: Process): number => {
        for (let page = 0; page < 16; page++) {
          try {
            one.memory.setUint8(at + page * PAGE_SIZE, 1);
          } catch {
            return page;
          }
        }
        return 16;
      };
      const first = stored(process);
      expect(first).toBe(Math.min(n - 1, 4));
      expect(stored(twin)).toBe(first);
      expect(twin.exitStatus).toEqual(process.exitStatus);
      restored.checkInvariants();
      if (twin.exitStatus === null) twin.exit(0);
      expect(restored.frames.freeFrames).toBe(restored.machine.frameCount - 1);
    }
  });

  test("asks the clock that is given again, else the host's", () => {
    const { kernel } = furnished();
    const bytes = kernel.machine.snapshot();
    const own = Kernel.on(Machine.restore(bytes, { "kernel.clock": () => 42 })) as Kernel;
    expect(own.monotonicNanoseconds()).toBe(42);
    expect((Kernel.on(Machine.restore(bytes)) as Kernel).monotonicNanoseconds()).toBeGreaterThan(42);
    expect(() => Machine.restore(bytes, { "kernel.clok": () => 1 })).toThrow(RangeError);
    expect(() => Machine.restore(bytes, { "kernel.clock": 1 } as never)).toThrow(TypeError);
  });
});

describe("what no file can keep", () => {
  test("is refused with its place, and nothing has changed", () => {
    const { kernel, process } = furnished();
    process.sigaction(11, { flags: 0, handler: () => {} });
    const before = kernel.machine.digest();
    expect(() => kernel.machine.snapshot()).toThrow(/cannot keep the function handler .*signalActions/);
    expect(kernel.machine.digest()).toBe(before);
  });

  test("can be left out, and throws when it is called", () => {
    const { kernel, process, at } = furnished();
    process.sigaction(11, { flags: 0, handler: () => {} });
    const restored = Kernel.on(Machine.restore(kernel.machine.snapshot({ lossy: true }))) as Kernel;
    const twin = restored.processes.get(process.pid) as Process;
    expect(twin.memory.getUint32(at.plain)).toBe(0x1234);
    expect(() => twin.memory.getUint8(8)).toThrow(SnapshotError);
  });
});

describe("a kernel that was extended from outside", () => {
  /** One with a call, a flag whose mappings read as 0x5a, and two pages mapped so. */
  function extended(): { kernel: Kernel; process: Process; at: number } {
    const kernel = createKernel({ memoryBytes: 2 ** 24 });
    const process = kernel.createProcess();
    const initialise: CleanPage["initialise"] = (ram, _counters, frame) => ram.fillFrame(frame, 0x5a);
    const frame = kernel.frames.allocate({ frame: 0, initialise }, null);
    const bit = 0x200000;
    const mmap: MmapHook = (request) => {
      request.cleanPage = { frame, initialise };
    };
    kernel.extend({
      name: "mine",
      systemCalls: [{ number: 700, name: "seven", call: () => 7 }],
      mmapFlags: [{ name: "MAP_5A", bit, mmap }],
      heldFrames: () => [frame],
    });
    return { kernel, process, at: process.mmap(0, 2 * PAGE_SIZE, RW, ANONYMOUS | bit) };
  }

  test("is refused, with the extension's function and its place, and goes on", () => {
    const { kernel, process, at } = extended();
    expect(() => kernel.machine.snapshot()).toThrow(SnapshotError);
    expect(() => kernel.machine.snapshot()).toThrow(/cannot keep the function call \(.*systemCalls.*700/);
    expect(process.syscall("seven")).toBe(7);
    expect(process.memory.getUint8(at)).toBe(0x5a);
    kernel.checkInvariants();
  });

  test("loses the extension where that is asked for: its calls and clean pages are refused by SnapshotError, all else works", () => {
    const { kernel, process, at } = extended();
    process.memory.setUint8(at, 1);
    const restored = Kernel.on(Machine.restore(kernel.machine.snapshot({ lossy: true }))) as Kernel;
    const twin = restored.processes.get(process.pid) as Process;
    expect(twin.memory.getUint16(at)).toBe(0x5a01);
    expect(twin.memory.getUint8(at + PAGE_SIZE)).toBe(0x5a);
    expect(() => twin.syscall("seven")).toThrow(SnapshotError);
    expect(() => twin.memory.setUint8(at + PAGE_SIZE, 1)).toThrow(SnapshotError);
    const plain = twin.mmap(0, PAGE_SIZE, RW, ANONYMOUS);
    twin.memory.setUint8(plain, 3);
    expect(twin.memory.getUint8(plain)).toBe(3);
  });

  test("by reference pages and userfaultfd, which are the library's own, is kept", () => {
    const kernel = createKernel({ memoryBytes: 2 ** 24 });
    installUserfaultfd(kernel);
    const process = kernel.createProcess();
    const fd = process.syscall("userfaultfd", 0);
    const at = process.mmap(0, 2 * PAGE_SIZE, RW, ANONYMOUS);
    for (const [index, field] of [UFFD_API, 0].entries()) process.memory.setBigUint64(at + index * 8, BigInt(field));
    process.syscall("ioctl", fd, UFFDIO_API, at);
    for (const [index, field] of [at + PAGE_SIZE, PAGE_SIZE, UFFDIO_REGISTER_MODE_MISSING].entries())
      process.memory.setBigUint64(at + index * 8, BigInt(field));
    process.syscall("ioctl", fd, UFFDIO_REGISTER, at);
    const restored = Kernel.on(Machine.restore(kernel.machine.snapshot())) as Kernel;
    restored.checkInvariants();
    const twin = restored.processes.get(process.pid) as Process;
    expect(() => twin.memory.getUint8(at + PAGE_SIZE)).toThrow("no handler supplies the page");
    expect(twin.memory.getUint8(at)).toBe((at + PAGE_SIZE) & 255);
  });
});

describe("bytes that are no snapshot", () => {
  test("of another kind or version are refused", () => {
    expect(() => Machine.restore(new Uint8Array(0))).toThrow(SnapshotError);
    expect(() => Machine.restore(new TextEncoder().encode("refheap\n"))).toThrow(SnapshotError);
    expect(() => Machine.restore("refheap" as never)).toThrow(TypeError);
    const bytes = furnished().kernel.machine.snapshot();
    bytes[8] = 99;
    expect(() => Machine.restore(bytes)).toThrow(/version 99/);
  });

  test("cut short anywhere are refused", () => {
    const bytes = furnished().kernel.machine.snapshot();
    for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 500))
      expect(() => Machine.restore(bytes.slice(0, length)), `${length} bytes`).toThrow(SnapshotError);
  });

  test("with one byte changed are refused", () => {
    const bytes = furnished().kernel.machine.snapshot();
    for (let at = 0; at < bytes.length; at += 1 + Math.floor(bytes.length / 500)) {
      const damaged = bytes.slice();
      damaged[at] ^= 0x10;
      expect(() => Machine.restore(damaged), `byte ${at}`).toThrow(SnapshotError);
    }
  });

  test("whose hash was made to fit are refused, or are a machine whose invariants hold", () => {
    const bytes = furnished().kernel.machine.snapshot();
    let state = 1;
    const random = (): number => {
      state = nextRandom(state);
      return (state >>> 0) / 2 ** 32;
    };
    let refused = 0;
    for (let round = 0; round < 300; round++) {
      const forged = bytes.slice();
      forged[9 + Math.floor(random() * (bytes.length - 25))] = Math.floor(random() * 256);
      forged.set(new TextEncoder().encode(hashBytes(forged, forged.length - 16)), forged.length - 16);
      try {
        const machine = Machine.restore(forged);
        Kernel.on(machine)?.checkInvariants();
      } catch (error) {
        if (!(error instanceof SnapshotError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});
