// What must not be seen: two machines, two processes and two heaps know nothing of each other; a frame that was freed shows none of its
// old bytes to whoever gets it next; no store reaches the frame of a reference page.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Heap } from "../../allocator/heap/heap.ts";
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { PAGE_SIZE as PAGE } from "../../platform/hardware/layout.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { SystemError } from "../../platform/kernel/abi/errors.ts";
import { createKernel, refpage_create2 } from "../../refpage/kernel.ts";

const RAM = { memoryBytes: 2 ** 24 };
const size = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 60_000, max: 300_000 }));
const step = fc.record({ first: fc.boolean(), frees: fc.boolean(), size, value: fc.integer({ min: 1, max: 255 }) });
const program = fc.array(step, { minLength: 1, maxLength: 40 });

/** What a heap answers to a program: pointers, and bytes that are read back. */
class Run {
  readonly seen: number[] = [];
  private readonly live: [pointer: number, value: number][] = [];
  readonly heap: Heap;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  take({ frees, size: bytes, value }: { frees: boolean; size: number; value: number }): void {
    const { heap, live } = this;
    if (frees && live.length > 0) {
      const [pointer, kept] = live.splice(value % live.length, 1)[0];
      this.seen.push(heap.memory.getUint8(pointer));
      expect(heap.memory.getUint8(pointer)).toBe(kept);
      heap.free(pointer);
      return;
    }
    const pointer = heap.malloc(bytes);
    heap.memory.fill(pointer, value, bytes);
    live.push([pointer, value]);
    this.seen.push(pointer);
  }
}

/** The same program alone, and with another one in between. */
function expectSame(makeAlone: () => Heap, makePair: () => readonly [Heap, Heap]): void {
  fc.assert(
    fc.property(program, (steps) => {
      const alone = new Run(makeAlone());
      for (const one of steps) if (one.first) alone.take(one);
      const [first, second] = makePair().map((heap) => new Run(heap));
      for (const one of steps) (one.first ? first : second).take(one);
      expect(first.seen).toEqual(alone.seen);
      for (const run of [alone, first, second]) run.heap.checkInvariants();
    }),
    { numRuns: 15 },
  );
}

describe("a program answers the same", () => {
  test("beside a heap on another machine", () => {
    const make = (): Heap => new Heap({ kernel: createKernel(RAM, { seed: 3 }), seed: 7 });
    expectSame(make, () => [make(), make()]);
  });

  test("beside a heap in another process", () => {
    const alone = (): Heap => new Heap({ process: createKernel(RAM, { seed: 3 }).createProcess(), seed: 7 });
    expectSame(alone, () => {
      const kernel = createKernel(RAM, { seed: 3 });
      return [7, 8].map((seed) => new Heap({ process: kernel.createProcess(), seed })) as [Heap, Heap];
    });
  });
});

test("two heaps of one process free only what is their own", () => {
  const process = createKernel(RAM).createProcess();
  const [first, second] = [1, 2].map((seed) => new Heap({ process, seed }));
  fc.assert(
    fc.property(size, (bytes) => {
      const pointer = first.malloc(bytes);
      first.memory.fill(pointer, 0x5a, bytes);
      expect(() => second.free(pointer)).toThrow();
      expect(() => second.realloc(pointer, bytes + 1)).toThrow();
      expect(first.memory.getUint8(pointer + bytes - 1)).toBe(0x5a);
      first.free(pointer);
      first.checkInvariants();
      second.checkInvariants();
    }),
    { numRuns: 40 },
  );
});

describe.each(["double", "plumbed"] as const)("initialisation %s", (initialisation) => {
  test("a frame that one process freed shows none of its bytes to another", () => {
    const machine = new Machine(RAM);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("zero", "pattern", "file", "fork"), { minLength: 1, maxLength: 12 }),
        (uses) => {
          const kernel = createKernel(machine, { initialisation });
          const secret = kernel.createProcess();
          const frames = kernel.frames.freeFrames - 40;
          const at = secret.mmap(0, frames * PAGE, 3, 0x22);
          secret.memory.fill(at, 0xe5, frames * PAGE);
          secret.exit(0);
          const other = kernel.createProcess();
          const content = other.mmap(0, PAGE, 3, 0x22);
          other.memory.write(content, Uint8Array.of(1, 2, 3, 4));
          const pattern = refpage_create2(other, content, 4, 0);
          const file = other.memfd_create("file");
          other.ftruncate(file, 4 * PAGE);
          for (const use of uses) {
            const fd = use === "pattern" ? pattern : use === "file" ? file : -1;
            const flags = use === "file" ? 1 : fd < 0 ? 0x22 : 2;
            const mapped = other.mmap(0, 4 * PAGE, 3, flags, fd, 0);
            for (let page = 0; page < 4; page++) other.memory.setUint8(mapped + page * PAGE + 5, 0x11);
            const reader = use === "fork" ? other.fork() : other;
            const bytes = reader.memory.read(mapped, 4 * PAGE);
            expect(bytes.includes(0xe5)).toBe(false);
            if (use === "fork") reader.exit(0);
          }
          kernel.shutDown();
        },
      ),
      { numRuns: 25 },
    );
  });

  test("no path writes the frame of a reference page", () => {
    const machine = new Machine(RAM);
    const act = fc.constantFrom(
      ...([
        "store",
        "fill",
        "copy",
        "read(2)",
        "pread64",
        "writev",
        "pin",
        "fork",
        "populate",
        "lock",
        "protect",
        "move",
      ] as const),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(act, fc.nat(3)), { minLength: 1, maxLength: 30 }), (acts) => {
        const kernel = createKernel(machine, { initialisation });
        const process = kernel.createProcess();
        const content = process.mmap(0, PAGE, 3, 0x22);
        process.memory.write(content, Uint8Array.of(9, 8, 7, 6));
        const descriptor = refpage_create2(process, content, 4, 0);
        const AT = 0x20_0000_0000;
        const [reader, writer] = process.pipe2(0o4000);
        const file = process.memfd_create("file");
        process.ftruncate(file, PAGE);
        process.mmap(AT, 4 * PAGE, 3, 0x12, descriptor, 0);
        for (const [what, page] of acts) {
          const at = AT + page * PAGE;
          try {
            if (what === "store") process.memory.setUint8(at + 100, 1);
            else if (what === "fill") process.memory.fill(at, 2, PAGE);
            else if (what === "copy") process.memory.copy(at, content, 64);
            else if (what === "read(2)") {
              process.write(writer, content, 16);
              process.read(reader, at + 8, 16);
            } else if (what === "pread64") process.pread64(file, at, PAGE, 0);
            else if (what === "writev") process.process_vm_writev(process.pid, [[content, 32]], [[at, 32]]);
            else if (what === "pin") process.pin(at, PAGE, { write: true }).release();
            else if (what === "fork") {
              const child = process.fork();
              child.memory.setUint8(at, 0x44);
              child.exit(0);
            } else if (what === "populate") process.madvise(AT, 4 * PAGE, 22 + (page % 2));
            else if (what === "lock") process.mlock(at, PAGE);
            else if (what === "protect") process.mprotect(at, PAGE, page % 2 === 0 ? 1 : 3);
            else process.mremap(at, PAGE, PAGE, 3, AT + (4 + page) * PAGE);
          } catch (error) {
            if (!(error instanceof SystemError || error instanceof SegmentationFault)) throw error;
          }
          const fresh = process.mmap(0, PAGE, 1, 2, descriptor, 0);
          const bytes = process.memory.read(fresh, PAGE);
          expect(bytes.every((byte, index) => byte === 9 - (index % 4))).toBe(true);
          process.munmap(fresh, PAGE);
        }
        kernel.shutDown();
      }),
      { numRuns: 25 },
    );
  });
});
