// Running the hooks of extensions in mmap and madvise, and looking at what they left: a request that makes no sense is an error before
// anything has changed. What the kernel then does with a request is mm/mmap.ts and mm/madvise.ts.

import type { Address, ByteCount } from "../hardware/integers.ts";
import { ExtensionError } from "./extension.ts";
import type { Kernel } from "./kernel.ts";
import type { AdviceHookOfArea } from "./mm/advice-extension.ts";
import { type MapRequest, OpenFile } from "./mm/file.ts";
import type { MmapExtension } from "./mm/mmap.ts";
import {
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_HUGEPAGE,
  VM_MTE_ALLOWED,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_RAND_READ,
  VM_SEQ_READ,
  VM_SHARED,
} from "./mm/vm-flags.ts";
import type { Thread } from "./thread.ts";

/** Flags that a hook may set and clear; the others follow from what the program may do with the memory. */
const CHANGEABLE =
  VM_DONTCOPY | VM_DONTDUMP | VM_NORESERVE | VM_MTE_ALLOWED | VM_HUGEPAGE | VM_NOHUGEPAGE | VM_SEQ_READ | VM_RAND_READ;

/** What the extensions make of an mmap call with `mapFlags`; null if none of them has a flag there. */
export function mmapExtension(thread: Thread, prot: number, mapFlags: number, offset: number): MmapExtension | null {
  const { kernel } = thread.process;
  const { extensions } = kernel;
  if ((mapFlags & extensions.mmapFlags) === 0) return null;
  return {
    flags: extensions.mmapFlags,
    prepare(request: MapRequest, start: Address, length: ByteCount): void {
      for (const { extension, entry } of extensions.flagsIn(mapFlags)) {
        const hook = (): void => entry.mmap(request, { thread, start, length, prot, flags: mapFlags, offset });
        runHook(kernel, { extension, hook: entry.name }, request, hook);
      }
    },
  };
}

/** What an extension makes of an advice, or null if no extension knows it. */
export function adviceExtension(thread: Thread, number: number): AdviceHookOfArea | null {
  const { kernel } = thread.process;
  const registered = kernel.extensions.adviceOf(number);
  if (registered === undefined) return null;
  const { extension, entry } = registered;
  return (request, start, length) => {
    runHook(kernel, { extension, hook: entry.name }, request, () => entry.madvise(request, { thread, start, length }));
    if (typeof request.drop !== "boolean")
      throw nonsense({ extension, hook: entry.name }, `drop is ${String(request.drop)}`);
  };
}

interface HookName {
  readonly extension: string;
  readonly hook: string;
}

/** A file that the hook put into the request is given back if anything is wrong. */
function runHook(kernel: Kernel, name: HookName, request: MapRequest, hook: () => void): void {
  const before = { ...request };
  try {
    hook();
    checkRequest(kernel, name, before, request);
  } catch (error) {
    if (request.file !== before.file && request.file instanceof OpenFile) request.file.put();
    request.file = before.file;
    throw error;
  }
}

function checkRequest(kernel: Kernel, name: HookName, before: MapRequest, after: MapRequest): void {
  const { flags, anonymous, cleanPage, file } = after;
  if (!Number.isInteger(flags) || ((flags ^ before.flags) & ~CHANGEABLE) !== 0)
    throw nonsense(name, `flags are ${String(flags)}, of ${before.flags}: a hook cannot change these`);
  if (anonymous !== before.anonymous) throw nonsense(name, "anonymous cannot be changed");
  if (cleanPage === before.cleanPage && file === before.file) return;
  if (!before.anonymous || (before.flags & VM_SHARED) !== 0)
    throw nonsense(name, "only private anonymous memory has a clean page, and a file behind it");
  if (file !== null && !(file instanceof OpenFile)) throw nonsense(name, "file is no OpenFile");
  const { frames, machine } = kernel;
  const frame: unknown = cleanPage?.frame;
  if (typeof frame !== "number" || !Number.isInteger(frame) || frame < 0 || frame >= machine.frameCount)
    throw nonsense(name, `cleanPage.frame is ${String(frame)}: a frame of the machine is needed`);
  if (frames.references[frame] === 0) throw nonsense(name, `cleanPage.frame ${frame} is free`);
  if (typeof cleanPage.initialise !== "function") throw nonsense(name, "cleanPage.initialise is no function");
}

function nonsense({ extension, hook }: HookName, message: string): ExtensionError {
  return new ExtensionError("hook", extension, `after ${hook}: ${message}`);
}
