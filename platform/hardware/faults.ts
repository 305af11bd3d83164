// What a program gets instead of a load or a store: segmentation faults, bus errors, and the kill when memory is out.
// mmu.ts and the kernel's fault path decide which access gets which.

import { hideLibraryFrames, untraced } from "../host/stack.ts";
import type { Address, Tag } from "./integers.ts";

/** si_code of a SIGSEGV, by the names of Linux's siginfo.h. */
export type SegmentationFaultCode = "SEGV_MAPERR" | "SEGV_ACCERR" | "SEGV_MTESERR" | "SEGV_MTEAERR";
export type BusErrorCode = "BUS_ADRERR" | "BUS_ADRALN";
export type Access = "load" | "store";

function hexadecimal(address: Address): string {
  return `0x${address.toString(16)}`;
}

const segmentationReasons: Record<SegmentationFaultCode, string> = {
  SEGV_MAPERR: "nothing is mapped there",
  SEGV_ACCERR: "the mapping does not permit it",
  SEGV_MTESERR: "the pointer's tag differs from the memory's",
  SEGV_MTEAERR: "a tag mismatch was found earlier (asynchronous report)",
};

/** SIGSEGV: a load or store that the mapping, its protection or its tags refuse. The access did not happen (SEGV_MTEAERR: it did). */
export class SegmentationFault extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "SegmentationFault";
  /** The signal that Linux would send. */
  readonly signal = "SIGSEGV";
  /** The signal's code. */
  readonly code: SegmentationFaultCode;
  /** si_addr: the first byte that could not be accessed, without the pointer's tag; 0 for SEGV_MTEAERR. */
  readonly address: Address;
  /** What the program did. */
  readonly access: Access;
  /** The tag of the pointer that was used, 0 to 15. */
  readonly tag: Tag;

  /** `reason`: why there is nothing, if the code's own words do not say it. */
  constructor(
    code: SegmentationFaultCode,
    address: Address,
    access: Access,
    tag = 0,
    reason = segmentationReasons[code],
  ) {
    const pointer = tag === 0 ? "" : ` through a pointer with tag ${tag}`;
    super(untraced(`${code}: ${access} at ${hexadecimal(address)}${pointer}: ${reason}`));
    hideLibraryFrames(this);
    this.code = code;
    this.address = address;
    this.access = access;
    this.tag = tag;
  }
}

/** SIGBUS: past the end of a mapped file (BUS_ADRERR), or a tag store at an unaligned address (BUS_ADRALN). */
export class BusError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "BusError";
  /** The signal that Linux would send. */
  readonly signal = "SIGBUS";
  /** The signal's code. */
  readonly code: BusErrorCode;
  /** The address, without its tag. */
  readonly address: Address;
  /** What the program did. */
  readonly access: Access;

  constructor(code: BusErrorCode, address: Address, access: Access) {
    const reason = code === "BUS_ADRERR" ? "the file ends before this page" : "the address is not aligned to a granule";
    super(untraced(`${code}: ${access} at ${hexadecimal(address)}: ${reason}`));
    hideLibraryFrames(this);
    this.code = code;
    this.address = address;
    this.access = access;
  }
}

/** SIGILL: an instruction that programs may not use (LDGM, STGM, STZGM outside the kernel). */
export class IllegalInstruction extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "IllegalInstruction";
  /** The signal that Linux would send. */
  readonly signal = "SIGILL";
  /** The signal's code. */
  readonly code = "ILL_ILLOPC";
  /** The instruction that the machine does not have. */
  readonly instruction: string;

  constructor(instruction: string) {
    super(untraced(`ILL_ILLOPC: ${instruction} is undefined for programs`));
    hideLibraryFrames(this);
    this.instruction = instruction;
  }
}
