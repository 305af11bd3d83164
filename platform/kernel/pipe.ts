// Pipes: 16 buffers of one page, filled and drained by whole copies (fs/pipe.c). Their bytes are the host's, not frames.
// Nothing blocks: where a real program would sleep, a call fails with EAGAIN.

import type { Address, ByteCount } from "../hardware/integers.ts";
import { PAGE_SIZE } from "../hardware/layout.ts";
import { keepClass, keepMaker } from "../state/kept.ts";
import { SystemError } from "./abi/errors.ts";
import { FIONREAD, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "./abi/fcntl.ts";
import type { Caller, KernelServices } from "./mm/address-space.ts";
import { type FileOperations, O_DIRECT, O_RDONLY, O_WRONLY, type OpenFile } from "./mm/file.ts";
import { copyFromUser, copyToUser } from "./uaccess.ts";

/** PIPE_DEF_BUFFERS. */
const PIPE_BUFFERS = 16;

/** One page; [start, end) is still to be read, and what is behind that may be filled by a later write. */
interface PipeBuffer {
  readonly bytes: Uint8Array;
  /** Written with O_DIRECT: one read takes it whole, and nothing is written behind it (PIPE_BUF_FLAG_PACKET). */
  readonly isPacket: boolean;
  start: number;
  end: number;
}

class Pipe {
  readonly buffers: PipeBuffer[] = [];
  readers = 1;
  writers = 1;
}

/** Both ends of a new pipe; O_DIRECT is only the write end's. @throws SystemError ENFILE */
export function createPipe(kernel: KernelServices, flags: number): { reader: OpenFile; writer: OpenFile } {
  const pipe = new Pipe();
  const path = `pipe:[${kernel.nextInodeNumber()}]`;
  const reader = kernel.openFile(readEnd(pipe, path), null, O_RDONLY | (flags & ~O_DIRECT), "pipe2");
  try {
    return { reader, writer: kernel.openFile(writeEnd(pipe, path), null, O_WRONLY | flags, "pipe2") };
  } catch (error) {
    reader.put();
    throw error;
  }
}

const readEnd = keepMaker(
  "pipe.readEnd",
  (pipe: Pipe, path: string): FileOperations => ({
    path,
    seekable: false,
    poll: () => (pipe.buffers.length > 0 ? POLLIN | POLLRDNORM : 0) | (pipe.writers === 0 ? POLLHUP : 0),
    ioctl: (caller, _file, request, argument) => pipeIoctl(pipe, caller, request, argument),
    isPipe: true,
    read: (caller, _file, address, length) => readPipe(pipe, caller, address, length),
    release: () => {
      pipe.readers--;
    },
  }),
);

const writeEnd = keepMaker(
  "pipe.writeEnd",
  (pipe: Pipe, path: string): FileOperations => ({
    path,
    seekable: false,
    poll: () => (pipe.buffers.length < PIPE_BUFFERS ? POLLOUT | POLLWRNORM : 0) | (pipe.readers === 0 ? POLLERR : 0),
    ioctl: (caller, _file, request, argument) => pipeIoctl(pipe, caller, request, argument),
    isPipe: true,
    write: (caller, file, address, length) => writePipe(pipe, caller, file, address, length),
    release: () => {
      pipe.writers--;
    },
  }),
);

/** FIONREAD: the bytes that wait, as an int at `argument`. @throws SystemError ENOTTY, EFAULT */
function pipeIoctl({ buffers }: Pipe, caller: Caller, request: number, argument: number): number {
  if (request !== FIONREAD) throw new SystemError("ENOTTY", "ioctl", `request 0x${request.toString(16)}`);
  const waiting = buffers.reduce((sum, { start, end }) => sum + end - start, 0);
  if (copyToUser(caller, argument, new Uint8Array(Int32Array.of(waiting).buffer)) < 4)
    throw new SystemError("EFAULT", "ioctl");
  return 0;
}

/** Of a packet that is longer than the read, the rest is lost; a read never takes bytes from behind a packet. */
function readPipe(pipe: Pipe, caller: Caller, address: Address, length: ByteCount): number {
  let done = 0;
  while (done < length && pipe.buffers.length > 0) {
    const buffer = pipe.buffers[0];
    const bytes = Math.min(length - done, buffer.end - buffer.start);
    const copied = copyToUser(caller, address + done, buffer.bytes.subarray(buffer.start, buffer.start + bytes));
    if (copied < bytes) {
      if (done === 0) throw new SystemError("EFAULT", "read");
      return done;
    }
    buffer.start += bytes;
    done += bytes;
    if (buffer.isPacket || buffer.start === buffer.end) pipe.buffers.shift();
    if (buffer.isPacket) break;
  }
  if (done === 0 && length > 0 && pipe.writers > 0) throw new SystemError("EAGAIN", "read", "the pipe is empty");
  return done;
}

/** With O_DIRECT each page of a write is a packet (is_packetized). */
function writePipe(pipe: Pipe, caller: Caller, file: OpenFile, address: Address, length: ByteCount): number {
  if (length === 0) return 0;
  if (pipe.readers === 0) throw new SystemError("EPIPE", "write");
  let done = appendToLast(pipe, caller, address, length % PAGE_SIZE);
  while (done < length) {
    if (pipe.buffers.length === PIPE_BUFFERS) {
      if (done === 0) throw new SystemError("EAGAIN", "write", "the pipe is full");
      return done;
    }
    const end = Math.min(PAGE_SIZE, length - done);
    const bytes = new Uint8Array(PAGE_SIZE);
    if (copyFromUser(caller, address + done, bytes.subarray(0, end)) < end) {
      // A buffer that could not be filled is dropped whole.
      if (done === 0) throw new SystemError("EFAULT", "write");
      return done;
    }
    pipe.buffers.push({ bytes, isPacket: (file.flags & O_DIRECT) !== 0, start: 0, end });
    done += end;
  }
  return done;
}

/** What a write has beyond whole pages goes behind the last buffer's bytes if it fits there. @returns bytes written. */
function appendToLast(pipe: Pipe, caller: Caller, address: Address, length: ByteCount): number {
  const last = pipe.buffers.at(-1);
  if (last === undefined || last.isPacket || length === 0 || last.end + length > PAGE_SIZE) return 0;
  if (copyFromUser(caller, address, last.bytes.subarray(last.end, last.end + length)) < length) {
    throw new SystemError("EFAULT", "write");
  }
  last.end += length;
  return length;
}

keepClass("Pipe", Pipe);
