// How a user maps memory that reads as a pattern by a kernel interface of his own, for option mapPattern. Types alone;
// who calls it is program.ts.
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Process } from "../../platform/kernel/process.ts";

/** A mapping that shall read as a pattern before any store, as a heap asks for it. */
export interface PatternMapping {
  /** Where: page-aligned, mapped over what is there. */
  readonly address: Address;
  /** Bytes, whole pages. */
  readonly length: ByteCount;
  /** PROT_READ | PROT_WRITE, and MAP_PRIVATE | MAP_FIXED, to which flags of the interface are added. */
  readonly prot: number;
  /** MAP_PRIVATE | MAP_FIXED, to which the flags of the interface are added. */
  readonly flags: number;
  /** 1, 2, 4, 8 or 16 bytes, repeated from the mapping's begin. */
  readonly pattern: Uint8Array;
}

/**
 * Maps by a kernel interface of one's own. After MADV_DONTNEED the memory must read as the pattern again.
 * @returns the mapping's address. @throws SystemError: the heap goes on with plain memory, and fills it.
 */
export type MapPattern = (process: Process, mapping: PatternMapping) => Address;
