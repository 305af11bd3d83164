// What a kernel interface from outside is made of: system calls, flags of mmap and advice of madvise, and the hooks behind them.
// Types alone, and their error; who may register what is extensions.ts, what a hook may change is extension-hooks.ts.

import type { Address, ByteCount, FrameNumber } from "../hardware/integers.ts";
import { hideLibraryFrames, untraced } from "../host/stack.ts";
import type { AdviceRequest } from "./mm/advice-extension.ts";
import type { MapRequest } from "./mm/file.ts";
import type { SystemCall } from "./syscall-table.ts";
import type { Thread } from "./thread.ts";

/** An mmap call as its program made it, once an address was found. */
export interface MmapCall {
  /** The thread that calls; copyFromUser() reads its memory. */
  readonly thread: Thread;
  /** Where the mapping will lie, and its length in whole pages. */
  readonly start: Address;
  /** Bytes of the range, whole pages. */
  readonly length: ByteCount;
  /** PROT_ bits. */
  readonly prot: number;
  /** MAP_ bits. */
  readonly flags: number;
  /** The file offset: a multiple of the page size, which anonymous mappings have no other use for. */
  readonly offset: number;
}

/**
 * Decides what a mapping becomes, by changing the request. Called when all that Linux checks first was found right, before anything is
 * mapped or unmapped. May throw SystemError: the call fails with it, and nothing has changed.
 *
 * Of a private anonymous mapping it may change `cleanPage` and `file`; of all, the flags VM_DONTCOPY, VM_DONTDUMP, VM_NORESERVE,
 * VM_MTE_ALLOWED, VM_HUGEPAGE, VM_NOHUGEPAGE, VM_SEQ_READ and VM_RAND_READ.
 */
export type MmapHook = (request: MapRequest, call: MmapCall) => void;

/** A flag of mmap that Linux does not have. */
export interface MmapFlag {
  /** By Linux's habit `MAP_…`; errors name it. */
  readonly name: string;
  /** One bit that neither Linux nor another extension has. */
  readonly bit: number;
  /** Called for a mapping with the flag. */
  readonly mmap: MmapHook;
}

/** The part of one area that a madvise call covers. */
export interface AdviceCall {
  /** Who makes the call. */
  readonly thread: Thread;
  /** Address of the first byte. */
  readonly start: Address;
  /** Bytes of the range, whole pages. */
  readonly length: ByteCount;
}

/**
 * Decides what becomes of a range in one area, as {@link MmapHook} does; called for each area in turn. Another clean page or file is
 * for private anonymous memory, and gives the range's pages back.
 */
export type AdviceHook = (request: AdviceRequest, call: AdviceCall) => void;

/** An advice of madvise that Linux does not have. */
export interface Advice {
  /** By Linux's habit `MADV_…`. */
  readonly name: string;
  /** A number that neither Linux nor another extension has. */
  readonly number: number;
  /** Called for each area that the advice is about. */
  readonly madvise: AdviceHook;
}

/** A system call that Linux does not have. */
export interface ExtensionCall {
  /** Its number. */
  readonly number: number;
  /** Its name. */
  readonly name: string;
  /** What it does. */
  readonly call: SystemCall;
}

/** A kernel interface of one's own; what is left out, it does not have. */
export interface KernelExtension {
  /** What errors call it; a kernel has each name once. */
  readonly name: string;
  /** New system calls. */
  readonly systemCalls?: readonly ExtensionCall[];
  /** New flags of mmap. */
  readonly mmapFlags?: readonly MmapFlag[];
  /** New values of madvise's advice. */
  readonly advice?: readonly Advice[];
  /** For checkInvariants: the frames that the extension holds now, each as often as it has a reference. */
  readonly heldFrames?: () => Iterable<FrameNumber>;
}

/** `taken`: somebody else has the name, number or bit. `malformed`: no extension as its type says. `hook`: a hook left nonsense. */
export type ExtensionErrorCode = "taken" | "malformed" | "hook";

/** An extension cannot be what it says; nothing has changed. */
export class ExtensionError extends Error {
  /** Its name. */
  override readonly name = "ExtensionError";
  /** What is wrong with the extension. */
  readonly code: ExtensionErrorCode;
  /** The extension's name, "" if it has none. */
  readonly extension: string;

  constructor(code: ExtensionErrorCode, extension: string, message: string) {
    super(untraced(extension === "" ? message : `extension "${extension}": ${message}`));
    hideLibraryFrames(this);
    this.code = code;
    this.extension = extension;
  }
}
