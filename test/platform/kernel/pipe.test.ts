// Pipes: bytes in order, 16 buffers of a page, small writes that share one, and what the ends see of one another.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { F_GETFL, F_SETFL, FIONREAD } from "../../../platform/kernel/abi/fcntl.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { O_APPEND, O_CLOEXEC, O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../../platform/kernel/mm/file.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const CAPACITY = 16 * PAGE_SIZE;
let process: Process;
let buffer: number;
let readEnd: number;
let writeEnd: number;

beforeEach(() => {
  process = new Kernel(machine).createProcess();
  buffer = process.mmap(0, 2 * CAPACITY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  [readEnd, writeEnd] = process.pipe2();
});

function errnoOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("bytes come out in the order in which they went in, however they are cut", () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3 * PAGE_SIZE })), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(sizes, sizes, (writes, reads) => {
      const [from, to] = process.pipe2();
      let written = 0;
      let read = 0;
      const readSome = (size: number) => {
        const got = errnoOf(() => process.read(from, buffer + CAPACITY, size));
        if (got === "EAGAIN") return expect(read).toBe(written);
        expect(got).toBe(Math.min(size, written - read));
        const bytes = process.memory.read(buffer + CAPACITY, got as number);
        expect(bytes.every((byte, i) => byte === (read + i) % 251)).toBe(true);
        read += got as number;
      };
      writes.forEach((size, index) => {
        const bytes = Math.min(size, CAPACITY);
        process.memory.write(
          buffer,
          Uint8Array.from({ length: bytes }, (_, i) => (written + i) % 251),
        );
        const put = errnoOf(() => process.write(to, buffer, bytes));
        if (put !== "EAGAIN") written += put as number;
        if (index % 2 === 0 && reads[index] !== undefined) readSome(Math.min(reads[index], CAPACITY));
      });
      while (read < written) readSome(CAPACITY);
      process.close(from);
      process.close(to);
    }),
    { numRuns: 40 },
  );
});

describe("capacity", () => {
  test("65,536 writes of one byte fit, and no more", () => {
    for (let i = 0; i < CAPACITY; i++) expect(process.write(writeEnd, buffer, 1)).toBe(1);
    expect(errnoOf(() => process.write(writeEnd, buffer, 1))).toBe("EAGAIN");
  });

  test("a write that does not fit into the last buffer's rest takes one of its own", () => {
    for (let i = 0; i < 16; i++) expect(process.write(writeEnd, buffer, 3000)).toBe(3000);
    expect(errnoOf(() => process.write(writeEnd, buffer, 3000))).toBe("EAGAIN");
    expect(process.write(writeEnd, buffer, PAGE_SIZE - 3000)).toBe(PAGE_SIZE - 3000);
  });

  test("a long write is cut at what fits", () => {
    expect(process.write(writeEnd, buffer, CAPACITY + 100)).toBe(CAPACITY);
  });

  test("a buffer is free for others only when it is read to its end", () => {
    process.write(writeEnd, buffer, CAPACITY);
    process.read(readEnd, buffer, PAGE_SIZE - 1);
    expect(errnoOf(() => process.write(writeEnd, buffer, 1))).toBe("EAGAIN");
    process.read(readEnd, buffer, 1);
    expect(process.write(writeEnd, buffer, PAGE_SIZE)).toBe(PAGE_SIZE);
  });
});

describe("the ends", () => {
  test("an empty pipe whose writers are gone is at its end", () => {
    process.write(writeEnd, buffer, 3);
    process.close(writeEnd);
    expect(process.read(readEnd, buffer, 10)).toBe(3);
    expect(process.read(readEnd, buffer, 10)).toBe(0);
  });

  test("an empty pipe that may still be written has nothing yet", () => {
    expect(errnoOf(() => process.read(readEnd, buffer, 10))).toBe("EAGAIN");
  });

  test("no reader is EPIPE, but for a write of nothing", () => {
    process.close(readEnd);
    expect(errnoOf(() => process.write(writeEnd, buffer, 1))).toBe("EPIPE");
    expect(process.write(writeEnd, buffer, 0)).toBe(0);
  });

  test("a child's copy of an end keeps it alive until the child ends", () => {
    const child = process.fork();
    process.close(writeEnd);
    expect(errnoOf(() => process.read(readEnd, buffer, 1))).toBe("EAGAIN");
    child.write(writeEnd, buffer, 1);
    child.exit(0);
    expect(process.read(readEnd, buffer, 10)).toBe(1);
    expect(process.read(readEnd, buffer, 10)).toBe(0);
  });

  test("each end does only what it is for", () => {
    expect(errnoOf(() => process.write(readEnd, buffer, 1))).toBe("EBADF");
    expect(errnoOf(() => process.read(writeEnd, buffer, 1))).toBe("EBADF");
  });
});

describe("a buffer of the program that cannot be used", () => {
  test("a bad one moves nothing", () => {
    const hole = buffer + 4 * CAPACITY;
    expect(errnoOf(() => process.write(writeEnd, hole, 5))).toBe("EFAULT");
    process.write(writeEnd, buffer, 5);
    expect(errnoOf(() => process.write(writeEnd, hole, 5))).toBe("EFAULT");
    expect(errnoOf(() => process.read(readEnd, hole, 5))).toBe("EFAULT");
    expect(process.read(readEnd, buffer, 10)).toBe(5);
  });

  test("one that ends in the middle moves whole buffers only", () => {
    process.munmap(buffer + 2 * PAGE_SIZE, PAGE_SIZE);
    expect(process.write(writeEnd, buffer + 100, 3 * PAGE_SIZE)).toBe(PAGE_SIZE);
  });
});

describe("O_DIRECT makes packets", () => {
  const write = (length: number) => process.write(writeEnd, buffer, length);
  const read = (length: number) => errnoOf(() => process.read(readEnd, buffer, length));

  test("a write is a packet, and a read takes one and drops what it has no room for", () => {
    process.fcntl(writeEnd, F_SETFL, O_DIRECT);
    for (const length of [10, 20, 30]) write(length);
    expect([read(100), read(4), read(30), read(1)]).toEqual([10, 4, 30, "EAGAIN"]);
  });

  test("a longer write is a packet a page", () => {
    process.fcntl(writeEnd, F_SETFL, O_DIRECT);
    expect(write(2 * PAGE_SIZE + 5)).toBe(2 * PAGE_SIZE + 5);
    expect([read(CAPACITY), read(1), read(CAPACITY), read(1)]).toEqual([PAGE_SIZE, 1, 5, "EAGAIN"]);
  });

  test("bytes written without it are a stream up to the next packet, which nothing joins", () => {
    write(10);
    process.fcntl(writeEnd, F_SETFL, O_DIRECT);
    // The last buffer of a stream still has room, and takes the bytes (pipe_write looks at the buffer only).
    write(5);
    write(PAGE_SIZE);
    process.fcntl(writeEnd, F_SETFL, 0);
    write(7);
    process.ioctl(readEnd, FIONREAD, buffer);
    expect(process.memory.getInt32(buffer)).toBe(15 + PAGE_SIZE + 7);
    expect([read(3), read(CAPACITY), read(CAPACITY)]).toEqual([3, 12 + PAGE_SIZE, 7]);
  });

  test("16 packets fill the pipe, however small", () => {
    process.fcntl(writeEnd, F_SETFL, O_DIRECT);
    for (let i = 0; i < 16; i++) write(1);
    expect(errnoOf(() => write(1))).toBe("EAGAIN");
    expect(read(0)).toBe(0);
    expect(read(9)).toBe(1);
    expect(write(1)).toBe(1);
  });

  test("either end may have it, pipe2 gives it to the write end only, and F_SETFL takes it away", () => {
    const [from, to] = process.pipe2(O_DIRECT | O_NONBLOCK | O_CLOEXEC);
    expect([process.fcntl(from, F_GETFL), process.fcntl(to, F_GETFL)]).toEqual([
      O_RDONLY | O_NONBLOCK,
      O_WRONLY | O_NONBLOCK | O_DIRECT,
    ]);
    expect(process.fcntl(from, F_SETFL, O_DIRECT)).toBe(0);
    expect(process.fcntl(to, F_SETFL, O_APPEND)).toBe(0);
    expect([process.fcntl(from, F_GETFL), process.fcntl(to, F_GETFL)]).toEqual([
      O_RDONLY | O_DIRECT,
      O_WRONLY | O_APPEND,
    ]);
    process.write(to, buffer, 3);
    process.write(to, buffer, 4);
    expect(process.read(from, buffer, 9)).toBe(7);
  });
});
