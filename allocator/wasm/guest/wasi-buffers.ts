// Which bytes of the guest's memory WASI's functions (preview 1) read and write, by their arguments.
// Source: the witx of wasi_snapshot_preview1. Nothing here says what a function does.
import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import { I64 } from "../binary/instructions.ts";

/** Called with a range that is read, or written. */
export type Range = (address: Address, size: ByteCount) => unknown;

export interface WasiCall {
  reads?(memory: DataView, values: readonly number[], range: Range): void;
  /** After the call. */
  writes?(memory: DataView, values: readonly number[], range: Range): void;
}

const IOVEC = 8;
const SUBSCRIPTION = 48;
const EVENT = 32;
const FILESTAT = 64;
const FDSTAT = 24;

/** Arguments of 64 bits, by position. */
const WIDE: Readonly<Record<string, readonly number[]>> = {
  clock_time_get: [1],
  fd_advise: [1, 2],
  fd_allocate: [1, 2],
  fd_filestat_set_size: [1],
  fd_filestat_set_times: [1, 2],
  fd_pread: [3],
  fd_pwrite: [3],
  fd_readdir: [3],
  fd_seek: [1],
  path_filestat_set_times: [4, 5],
  path_open: [5, 6],
};

/**
 * Where an import of the function with `params` parameters has halves instead of arguments of 64 bits: Emscripten without WASM_BIGINT
 * gives these as two numbers each, the lower half first. Empty: nowhere.
 */
export function halvedArguments(name: string, params: Uint8Array): readonly number[] {
  const wide = WIDE[name];
  if (wide === undefined || params.includes(I64)) return [];
  return wide;
}

/** A call's arguments as WASI has them, with the lower half of each that comes in halves: no address is of 64 bits. */
export function withoutUpperHalves(values: readonly number[], halved: readonly number[]): readonly number[] {
  if (halved.length === 0) return values;
  const upper = new Set(halved.map((position, index) => position + index + 1));
  return values.filter((_, position) => !upper.has(position));
}

export function isWasi(module: string): boolean {
  return module === "wasi_snapshot_preview1" || module === "wasi_unstable";
}

function word(memory: DataView, address: Address): number {
  return address + 4 <= memory.byteLength ? memory.getUint32(address, true) : 0;
}

/** The buffers of a list of iovecs; `limit` bytes of them all. */
function buffers(memory: DataView, list: number, count: number, limit: number, range: Range): void {
  let left = limit;
  for (let i = 0; i < count && left > 0; i++) {
    const size = Math.min(word(memory, list + i * IOVEC + 4), left);
    if (size > 0) range(word(memory, list + i * IOVEC), size);
    left -= size;
  }
}

/** Functions that read nothing, and write results of known sizes: from which argument on, and how long. */
const writing = (...places: readonly (readonly [number, number])[]): WasiCall => ({
  writes(_memory, values, range) {
    for (const [position, size] of places) range(values[position], size);
  },
});

/** Paths are two arguments, address and length. */
const path = (positions: readonly number[], ...places: readonly (readonly [number, number])[]): WasiCall => ({
  reads(_memory, values, range) {
    for (const position of positions) range(values[position], values[position + 1]);
  },
  ...writing(...places),
});

/** iovecs at an argument and their number at the next; how many bytes were moved is stored to another. */
const gather = (moved: number): WasiCall => ({
  reads(memory, values, range) {
    range(values[1], values[2] * IOVEC);
    buffers(memory, values[1], values[2], Number.POSITIVE_INFINITY, range);
  },
  ...writing([moved, 4]),
});

const scatter = (moved: number): WasiCall => ({
  reads: (_memory, values, range) => range(values[1], values[2] * IOVEC),
  writes(memory, values, range) {
    range(values[moved], 4);
    buffers(memory, values[1], values[2], word(memory, values[moved]), range);
  },
});

/** A buffer at an argument, of which as many bytes are written as the word behind another argument says. */
const filling = (buffer: number, used: number, paths: readonly number[] = []): WasiCall => ({
  ...path(paths),
  writes(memory, values, range) {
    range(values[used], 4);
    range(values[buffer], Math.min(word(memory, values[used]), values[buffer + 1]));
  },
});

/** Pointers at the first argument to strings that lie at the second one, one behind the other. */
const strings: WasiCall = {
  writes(memory, [list, texts], range) {
    let end = texts;
    let count = 0;
    // As many pointers as point on: the next string begins where the one before ends.
    while (word(memory, list + 4 * count) === end && end < memory.byteLength) {
      while (end < memory.byteLength && memory.getUint8(end) !== 0) end++;
      end++;
      count++;
    }
    range(list, 4 * count);
    range(texts, end - texts);
  },
};

export const WASI_FUNCTIONS: Readonly<Record<string, WasiCall>> = {
  args_get: strings,
  args_sizes_get: writing([0, 4], [1, 4]),
  environ_get: strings,
  environ_sizes_get: writing([0, 4], [1, 4]),
  clock_res_get: writing([1, 8]),
  clock_time_get: writing([2, 8]),
  fd_fdstat_get: writing([1, FDSTAT]),
  fd_filestat_get: writing([1, FILESTAT]),
  fd_pread: scatter(4),
  fd_prestat_get: writing([1, 8]),
  fd_prestat_dir_name: { writes: (_memory, values, range) => range(values[1], values[2]) },
  fd_pwrite: gather(4),
  fd_read: scatter(3),
  fd_readdir: filling(1, 4),
  fd_seek: writing([3, 8]),
  fd_tell: writing([1, 8]),
  fd_write: gather(3),
  path_create_directory: path([1]),
  path_filestat_get: path([2], [4, FILESTAT]),
  path_filestat_set_times: path([2]),
  path_link: path([2, 5]),
  path_open: path([2], [8, 4]),
  path_readlink: filling(3, 5, [1]),
  path_remove_directory: path([1]),
  path_rename: path([1, 4]),
  path_symlink: path([0, 3]),
  path_unlink_file: path([1]),
  poll_oneoff: {
    reads: (_memory, values, range) => range(values[0], values[2] * SUBSCRIPTION),
    writes(memory, values, range) {
      range(values[3], 4);
      range(values[1], Math.min(word(memory, values[3]), values[2]) * EVENT);
    },
  },
  random_get: { writes: (_memory, values, range) => range(values[0], values[1]) },
  fd_advise: {},
  fd_allocate: {},
  fd_close: {},
  fd_datasync: {},
  fd_fdstat_set_flags: {},
  fd_filestat_set_size: {},
  fd_filestat_set_times: {},
  fd_renumber: {},
  fd_sync: {},
  proc_exit: {},
  proc_raise: {},
  sched_yield: {},
};
