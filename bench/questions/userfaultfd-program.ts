// The thread's microbenchmark with a userfaultfd in the place of a reference page (R13): each mapping is registered, and a
// handler copies the pattern page in at each first touch. Nothing is measured here.
import {
  installUserfaultfd,
  onUserfault,
  UFFD_API,
  UFFD_MESSAGE_BYTES,
  UFFDIO_API,
  UFFDIO_COPY,
  UFFDIO_REGISTER,
  UFFDIO_REGISTER_MODE_MISSING,
} from "../../platform/kernel/userfaultfd.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, type Process } from "../../refpage/index.ts";

const PATTERN_BYTE = 0xaa;

export interface UserfaultfdArguments {
  readonly mmapSize: number;
  readonly touchSize: number;
  readonly iterations: number;
}

/** What a program keeps of its userfaultfd. */
export interface Watcher {
  readonly fd: number;
  register(address: number, length: number): void;
  /** Faults answered. */
  messages: number;
}

/** Opens a userfaultfd whose handler supplies pages of `byte`. Installs the module in the kernel when it lacks it. */
export function openWatcher(process: Process, byte = PATTERN_BYTE): Watcher {
  const { memory } = process;
  if (process.kernel.missingPage === null) installUserfaultfd(process.kernel);
  const scratch = process.mmap(0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  const source = scratch + PAGE_SIZE;
  memory.fill(source, byte, PAGE_SIZE);
  const fd = process.syscall("userfaultfd", 0);
  const ioctl = (request: number, ...fields: number[]): void => {
    for (const [index, field] of fields.entries()) memory.setBigUint64(scratch + index * 8, BigInt(field));
    process.syscall("ioctl", fd, request, scratch);
  };
  ioctl(UFFDIO_API, UFFD_API, 0);
  const watcher: Watcher = {
    fd,
    messages: 0,
    register: (address, length) => ioctl(UFFDIO_REGISTER, address, length, UFFDIO_REGISTER_MODE_MISSING),
  };
  onUserfault(process, fd, () => {
    const message = scratch + 256;
    process.read(fd, message, UFFD_MESSAGE_BYTES);
    ioctl(UFFDIO_COPY, Number(memory.getBigUint64(message + 16)), source, PAGE_SIZE, 0);
    watcher.messages++;
  });
  return watcher;
}

/** Maps, registers, touches and unmaps `iterations` times; answers the faults that the handler answered. Sizes in bytes. */
export function userfaultfdMain(process: Process, { mmapSize, touchSize, iterations }: UserfaultfdArguments): number {
  const watcher = openWatcher(process);
  for (let i = 0; i !== iterations; ++i) {
    const p = process.mmap(0, mmapSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    watcher.register(p, mmapSize);
    for (let j = 0; j < touchSize; j += PAGE_SIZE) process.memory.setUint8(p + j, 0);
    process.munmap(p, mmapSize);
  }
  process.close(watcher.fd);
  return watcher.messages;
}
