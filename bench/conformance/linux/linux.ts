// The dialect of what a real Linux did: its operations, on a small fresh kernel for each script.
import { Machine, type MachineOptions } from "../../../platform/hardware/machine.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { type Dialect, type Operation, type RunOptions, runFiles, type Tally } from "../runner.ts";
import { World } from "../world.ts";
import { observe } from "./observe.ts";
import * as access from "./operations-access.ts";
import * as files from "./operations-file.ts";
import * as mapping from "./operations-mapping.ts";
import * as processes from "./operations-process.ts";

/**
 * The machine that all scripts run on, each with a kernel of its own: page tables that one script gives back serve the
 * next, which is most of what a script costs. 64 MiB are enough for a window of 4 MiB and a few processes.
 */
export function machineForScripts(options: MachineOptions): () => Machine {
  let machine: Machine | undefined;
  return () => {
    machine ??= new Machine({ memoryBytes: 64 * 2 ** 20, ...options });
    return machine;
  };
}

const machine = machineForScripts({ mte: false });

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
  createWorld: () => new World(new Kernel(machine())),
};

/** Runs scripts in the format of the recorded Linux files. */
export function runLinux(files: readonly string[], options?: RunOptions): Promise<Tally> {
  return runFiles(linux, files, options);
}
