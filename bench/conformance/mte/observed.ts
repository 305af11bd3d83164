// What an access of a recorded case does: its fault in the recording's words, and how two outcomes compare.
// Hex strings, patterns and hashes of the format are here too; which steps exist is in the files of the kinds.
import { BusError, IllegalInstruction, SegmentationFault } from "../../../platform/hardware/faults.ts";

/** A fault as the files give it; `off` counts from the start of the area, and is not always given. */
export interface Fault {
  readonly sig: string;
  readonly code?: string;
  readonly off?: number;
  /** The tag in si_addr, for cases that look at it. */
  readonly tagBits?: number;
}

/** The first difference of a case. */
export interface Mismatch {
  readonly where: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Thrown inside a case at its first difference. */
export class CaseFailed extends Error {
  override readonly name = "CaseFailed";
  readonly mismatch: Mismatch;

  constructor(mismatch: Mismatch) {
    super(`${mismatch.where}: expected ${JSON.stringify(mismatch.expected)}, got ${JSON.stringify(mismatch.got)}`);
    this.mismatch = mismatch;
  }
}

/** @throws CaseFailed unless both are the same as JSON. */
export function expectSame(where: string, expected: unknown, got: unknown): void {
  if (JSON.stringify(expected) !== JSON.stringify(got)) throw new CaseFailed({ where, expected, got });
}

/** @throws CaseFailed unless the fault is the expected one, in what is expected of it. */
export function expectFault(where: string, expected: Fault | null | undefined, got: Fault | null): void {
  if (expected === null || expected === undefined) {
    expectSame(where, null, got);
    return;
  }
  const comparable = Object.fromEntries(Object.keys(expected).map((key) => [key, got?.[key as keyof Fault]]));
  expectSame(where, expected, got === null ? null : comparable);
}

/** Runs `access`; its signal, if it gets one, with offsets from `base`. */
export function observe(base: number, access: () => void): Fault | null {
  try {
    access();
    return null;
  } catch (error) {
    if (error instanceof SegmentationFault || error instanceof BusError) {
      return { sig: error.signal, code: error.code, off: error.address - base };
    }
    if (error instanceof IllegalInstruction) return { sig: error.signal, code: error.code };
    throw error;
  }
}

export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  );
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The initial bytes of an area. */
export function initialBytes(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (seed + 37 * index) & 255);
}

/** What a `read` of pattern `pattern` delivers. */
export function patternBytes(pattern: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (pattern + 7 * index) & 255);
}

/** 32-bit FNV-1a, 8 hex digits. */
export function fnv1a(bytes: Uint8Array): string {
  let hash = 2166136261;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
