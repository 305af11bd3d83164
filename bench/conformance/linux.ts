// The dialect of what a real Linux did: its operations, on a small fresh kernel for each script.
import { Kernel } from "../../platform/kernel/kernel.ts";
import { observe } from "./observe.ts";
import * as access from "./operations-access.ts";
import * as files from "./operations-file.ts";
import * as mapping from "./operations-mapping.ts";
import * as processes from "./operations-process.ts";
import { type Dialect, type Operation, type RunOptions, runFiles, type Tally } from "./runner.ts";
import { World } from "./world.ts";

/** Enough for any script, which has a window of 4 MiB and a few processes; small, so that a thousand of them are quick. */
export const SCRIPT_MEMORY_BYTES = 64 * 2 ** 20;

const { load, store, fill, copy, dump } = access;
const { mmap, munmap, mprotect, mremap, madvise, msync, mincore, mlock, mlock2, munlock, munlockall, rlimit } = mapping;
const { fork, exit, process_vm_readv, process_vm_writev } = processes;
const { memfd, reopen, close, ftruncate, fpunch, fwrite, fread, write, read, pipe_write, pipe_read } = files;

export const linuxOperations: Readonly<Record<string, Operation>> = {
  ...{ load, store, fill, copy, dump, observe },
  ...{ mmap, munmap, mprotect, mremap, madvise, msync, mincore, mlock, mlock2, munlock, munlockall, rlimit },
  ...{ fork, exit, process_vm_readv, process_vm_writev },
  ...{ memfd, reopen, close, ftruncate, fpunch, fwrite, fread, write, read, pipe_write, pipe_read },
};

export const linux: Dialect = {
  operations: linuxOperations,
  createWorld: () => new World(new Kernel({ memoryBytes: SCRIPT_MEMORY_BYTES, mte: false })),
};

/** Runs scripts in the format of the recorded Linux files. */
export function runLinux(files: readonly string[], options?: RunOptions): Promise<Tally> {
  return runFiles(linux, files, options);
}
