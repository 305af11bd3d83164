// Structures of system calls as they lie in user memory: struct stat, rlimit, sigaction, iovec, rusage, and strings.
// Layouts are those of x86-64 and arm64 (both little-endian, LP64); what the calls do with them is user-calls.ts.
import type { Address, ByteCount } from "../hardware/integers.ts";
import { SystemError } from "./abi/errors.ts";
import type { Limit } from "./abi/rlimit.ts";
import type { IoVector } from "./process-vm.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser, copyToUser } from "./uaccess.ts";
import { reportForbiddenOutput, reportUndefinedInput } from "./user-validity.ts";

/** Which machine's numbers and layouts programs use: Linux has one table for each. */
export type Architecture = "x86-64" | "arm64";

const PATH_MAX = 4096;
const UIO_MAXIOV = 1024;
const IOVEC_BYTES = 16;
const RLIM_INFINITY = 2n ** 64n - 1n;
/** Bytes that st_blocks counts in. */
const STAT_BLOCK = 512;

/** `length` bytes of the program's memory. @throws SystemError EFAULT */
export function readUser(thread: Thread, address: Address, length: ByteCount, syscall: string): DataView {
  reportUndefinedInput(thread, address, length);
  const bytes = new Uint8Array(length);
  if (copyFromUser(thread, address, bytes) < length) throw new SystemError("EFAULT", syscall);
  return new DataView(bytes.buffer);
}

/** @throws SystemError EFAULT: what could be stored, was. */
export function writeUser(thread: Thread, address: Address, bytes: Uint8Array, syscall: string): void {
  reportForbiddenOutput(thread, address, bytes.length);
  if (copyToUser(thread, address, bytes) < bytes.length) throw new SystemError("EFAULT", syscall);
}

/** A path, up to its NUL (getname). @throws SystemError EFAULT, ENAMETOOLONG, ENOENT: it is empty */
export function readPath(thread: Thread, address: Address, syscall: string): string {
  const bytes = new Uint8Array(PATH_MAX);
  const copied = copyFromUser(thread, address, bytes);
  const end = bytes.subarray(0, copied).indexOf(0);
  if (end === -1) throw new SystemError(copied < PATH_MAX ? "EFAULT" : "ENAMETOOLONG", syscall, "path");
  if (end === 0) throw new SystemError("ENOENT", syscall, "empty path");
  reportUndefinedInput(thread, address, end + 1);
  return new TextDecoder().decode(bytes.subarray(0, end));
}

/** A 64-bit word as a number: beyond 2^53 rounded down, which only sizes that no machine has can show. */
export function wordAt(view: DataView, offset: number): number {
  const word = view.getBigUint64(offset, true);
  const value = Number(word);
  return value >= 2 ** 64 ? 2 ** 64 - 2 ** 11 : value;
}

/** An array of struct iovec (import_iovec). @throws SystemError EINVAL: too many, or one too long. EFAULT */
export function readVectors(thread: Thread, address: Address, count: number, syscall: string): IoVector[] {
  if (count > UIO_MAXIOV) throw new SystemError("EINVAL", syscall, `${count} vectors`);
  if (count === 0) return [];
  const view = readUser(thread, address, count * IOVEC_BYTES, syscall);
  const vectors: IoVector[] = [];
  for (let at = 0; at < view.byteLength; at += IOVEC_BYTES) {
    const length = wordAt(view, at + 8);
    if (length >= 2 ** 63) throw new SystemError("EINVAL", syscall, `length ${length}`);
    vectors.push([wordAt(view, at), length]);
  }
  return vectors;
}

/** struct rlimit, or rlimit64. @throws SystemError EFAULT */
export function readLimit(thread: Thread, address: Address, syscall: string): Limit {
  const view = readUser(thread, address, 16, syscall);
  const value = (offset: number) => {
    const word = view.getBigUint64(offset, true);
    return word > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(word);
  };
  return { soft: value(0), hard: value(8) };
}

/** @throws SystemError EFAULT */
export function writeLimit(thread: Thread, address: Address, { soft, hard }: Limit, syscall: string): void {
  const word = (limit: number) => (limit === Number.POSITIVE_INFINITY ? RLIM_INFINITY : BigInt(limit));
  writeUser(thread, address, new Uint8Array(BigUint64Array.of(word(soft), word(hard)).buffer), syscall);
}

/** What struct stat tells, in bytes. */
export interface StatFields {
  readonly inode: number;
  readonly mode: number;
  readonly size: number;
  /** Device number; 1 for files in RAM. */
  readonly device: number;
  /** Bytes that the file's pages take. */
  readonly allocated: number;
  readonly blockSize: number;
}

/** struct stat: 144 bytes on x86-64, 128 in the layout that arm64 shares with newer machines. Times are 0. @throws SystemError EFAULT */
export function writeStat(
  thread: Thread,
  architecture: Architecture,
  address: Address,
  { inode, mode, size, device, allocated, blockSize }: StatFields,
  syscall: string,
): void {
  const isX86 = architecture === "x86-64";
  const view = new DataView(new ArrayBuffer(isX86 ? 144 : 128));
  view.setBigUint64(0, BigInt(device), true);
  view.setBigUint64(8, BigInt(inode), true);
  view.setUint32(isX86 ? 24 : 16, mode, true);
  view.setBigInt64(48, BigInt.asIntN(64, BigInt(size)), true);
  view.setUint32(56, blockSize, true);
  view.setBigInt64(64, BigInt(allocated / STAT_BLOCK), true);
  writeUser(thread, address, new Uint8Array(view.buffer), syscall);
}

/** struct rusage: the largest resident set in KiB and the minor faults; all else is 0. @throws SystemError EFAULT */
export function writeUsage(
  thread: Thread,
  address: Address,
  { maxRssKib, minorFaults }: { readonly maxRssKib: number; readonly minorFaults: number },
  syscall: string,
): void {
  const view = new DataView(new ArrayBuffer(144));
  view.setBigInt64(32, BigInt(maxRssKib), true);
  view.setBigInt64(64, BigInt(minorFaults), true);
  writeUser(thread, address, new Uint8Array(view.buffer), syscall);
}
