// Single accesses of 1 to 16 bytes, as LDP, STP and the SIMD registers make them: either the whole access happens or none of it.
// The usual sizes have faster ways in memory.ts; ranges that may be done in part are in bulk.ts.
import type { Address, ByteCount } from "./integers.ts";
import { ACCESS_LOAD, ACCESS_STORE, OFFSET_MASK, PAGE_SIZE } from "./layout.ts";
import type { Mmu } from "./mmu.ts";
import { USE_LOAD, USE_STORE } from "./validity.ts";

const LARGEST_ACCESS = 16;

/**
 * Loads `target.length` bytes (1 to 16) in one access, which may cross granules and pages.
 * @throws SegmentationFault with nothing loaded. RangeError for a size that no access has.
 */
export function loadBytes(memory: Mmu, address: Address, target: Uint8Array): void {
  const size = target.length;
  const head = headBytes("loadBytes", address, size);
  checkValidity(memory, address, head, size, ACCESS_LOAD);
  const first = memory.translate(address, head, ACCESS_LOAD);
  const firstBank = memory.ram.banks[memory.bank];
  const second = head < size ? memory.translate(address + head, size - head, ACCESS_LOAD) : 0;
  const secondBank = memory.ram.banks[memory.bank];
  for (let i = 0; i < head; i++) target[i] = firstBank[first + i];
  for (let i = head; i < size; i++) target[i] = secondBank[second + i - head];
}

/**
 * Stores `source` (1 to 16 bytes) in one access, which may cross granules and pages.
 * @throws SegmentationFault with nothing stored. RangeError for a size that no access has.
 */
export function storeBytes(memory: Mmu, address: Address, source: Uint8Array): void {
  const size = source.length;
  const head = headBytes("storeBytes", address, size);
  checkValidity(memory, address, head, size, ACCESS_STORE);
  const first = memory.translate(address, head, ACCESS_STORE);
  const firstBank = memory.ram.banks[memory.bank];
  const second = head < size ? memory.translate(address + head, size - head, ACCESS_STORE) : 0;
  const secondBank = memory.ram.banks[memory.bank];
  for (let i = 0; i < head; i++) firstBank[first + i] = source[i];
  for (let i = head; i < size; i++) secondBank[second + i - head] = source[i];
}

/** With validity bits: undefined bytes of a load are reported, those of a store become defined. Both pages are there before. */
function checkValidity(memory: Mmu, address: Address, head: number, size: ByteCount, access: number): void {
  if (memory.validityObserver !== null)
    memory.beginAccess(access === ACCESS_LOAD ? USE_LOAD : USE_STORE, address, size);
  if (!memory.hasShadow) return;
  memory.translate(address, head, access);
  if (head < size) memory.translate(address + head, size - head, access);
  validatePiece(memory, address, head, access);
  if (head < size) validatePiece(memory, address + head, size - head, access);
}

function validatePiece(memory: Mmu, address: Address, size: ByteCount, access: number): void {
  memory.translate(address, size, access);
  if (access === ACCESS_LOAD) memory.useBytes(USE_LOAD, address, size);
  else memory.defineBytes(address, size);
}

/** How much of the access is on its first page. */
function headBytes(operation: string, address: Address, size: ByteCount): number {
  if (size < 1 || size > LARGEST_ACCESS) {
    throw new RangeError(`${operation}: ${size} bytes are not one access (1 to ${LARGEST_ACCESS})`);
  }
  return Math.min(size, PAGE_SIZE - (address & OFFSET_MASK));
}
