// Bulk memory operations by virtual address: fill, copy, compare, transfers from and to host arrays, C strings.
// They go page by page upwards, joining pages whose frames are neighbours; the scalar accesses are in memory.ts, copies and
// comparisons that need neither a fault nor a check in bulk-direct.ts.
import { copyBytes, fillBytes } from "./array-methods.ts";
import { copyDirectly, moveDirectly, plainStretch, sameDirectly } from "./bulk-direct.ts";
import type { Address, ByteCount } from "./integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  FAST_LOAD,
  FAST_STORE,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_SHIFT,
  PTE_READ,
  PTE_WRITE,
  TAG_UNIT,
} from "./layout.ts";
import type { Mmu } from "./mmu.ts";
import { USE_COMPARE, USE_COPY, USE_READ, USE_STORE, USE_STRING } from "./validity.ts";

/** Below this many bytes a loop over the bytes beats a typed-array call. */
const SHORT = 32;

/** @throws RangeError unless `length` is a whole number from 0. */
export function checkRange(operation: string, length: ByteCount): void {
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(`${operation}: length ${length} is not a whole number of bytes from 0`);
  }
}

/**
 * How many bytes from `address`, at most `length`, lie in one stretch of RAM that the last translate() found: to the end
 * of its page or the first granule whose tag faults, and on through pages whose frames follow and which need neither
 * fault nor check. The first byte is in it if translate() has checked that.
 */
function stretch(memory: Mmu, address: Address, length: ByteCount, access: number): number {
  const found = PAGE_SIZE - (address & OFFSET_MASK);
  if (memory.tagged) return memory.checkedBytes(address, Math.min(found, length), access);
  if (found >= length) return length;
  const entries = memory.pageTable.entries;
  const mask = access === ACCESS_LOAD ? FAST_LOAD : FAST_STORE;
  const wanted = access === ACCESS_LOAD ? PTE_READ : PTE_WRITE;
  // Beyond the last page there is no entry: a range never goes on at address 0.
  const next = ((address * PAGES_PER_BYTE) & PAGE_MASK) + 1;
  if (entries[next] >>> PTE_FRAME_SHIFT !== memory.frame + 1) return found;
  return found + plainStretch(entries, next, 0, length - found, mask, wanted);
}

const TAGS_PER_BYTE = 1 / TAG_UNIT;

/** Bytes of [address, address + length) that are in the first page. */
function inPage(address: Address, length: ByteCount): number {
  return Math.min(length, PAGE_SIZE - (address & OFFSET_MASK));
}

/** The position again, since a report's handler may have changed what lies at `address`; only with validity bits. */
function settle(memory: Mmu, address: Address, position: number, access: number): number {
  return memory.hasShadow ? memory.translateUnchecked(address, access) : position;
}

export function fill(memory: Mmu, address: Address, byte: number, length: ByteCount): void {
  checkRange("fill", length);
  if (memory.validityObserver !== null) memory.beginAccess(USE_STORE, address, length);
  while (length > 0) {
    const found = memory.translateUnchecked(address, ACCESS_STORE);
    const bytes = stretch(memory, address, length, ACCESS_STORE);
    // Not one byte may be stored: the same again with the check, which raises the fault.
    if (bytes === 0) memory.translate(address, 1, ACCESS_STORE);
    memory.defineBytes(address, bytes);
    const position = settle(memory, address, found, ACCESS_STORE);
    const bank = memory.ram.banks[memory.bank];
    if (bytes < SHORT) for (let i = 0; i < bytes; i++) bank[position + i] = byte;
    else fillBytes(bank, byte, position, position + bytes);
    memory.counters.userBytesFilled += bytes;
    address += bytes;
    length -= bytes;
  }
}

export function fillPattern(memory: Mmu, address: Address, length: ByteCount, pattern: Uint8Array): void {
  checkRange("fillPattern", length);
  if (pattern.length === 0) throw new RangeError("fillPattern: the pattern is empty");
  if (pattern.length === 1) {
    fill(memory, address, pattern[0], length);
    return;
  }
  if (memory.validityObserver !== null) memory.beginAccess(USE_STORE, address, length);
  let done = 0;
  while (done < length) {
    const to = address + done;
    const found = memory.translate(to, 1, ACCESS_STORE);
    const bytes = memory.checkedBytes(to, inPage(to, length - done), ACCESS_STORE);
    memory.defineBytes(to, bytes);
    const position = settle(memory, to, found, ACCESS_STORE);
    const bank = memory.ram.banks[memory.bank];
    const period = Math.min(bytes, pattern.length);
    for (let i = 0; i < period; i++) bank[position + i] = pattern[(done + i) % pattern.length];
    for (let filled = period; filled < bytes; filled *= 2) {
      copyBytes(bank, position + filled, position, position + Math.min(filled, bytes - filled));
    }
    memory.counters.userBytesFilled += bytes;
    done += bytes;
  }
}

/** An address without its tag; a remainder of doubles would be a call out of the compiled code. */
function untagged(address: Address): Address {
  return address - ((address * TAGS_PER_BYTE) | 0) * TAG_UNIT;
}

export function copy(memory: Mmu, to: Address, from: Address, length: ByteCount): void {
  checkRange("copy", length);
  if (memory.validityObserver !== null) memory.beginAccess(USE_COPY, from, length, to);
  const distance = untagged(to) - untagged(from);
  if (!(distance > 0 && distance < length)) {
    const done = copyDirectly(memory, to, from, length);
    if (done < length) copyUpwards(memory, to + done, from + done, length - done);
  } else if (!moveDirectly(memory, to, from, length)) copyDownwards(memory, to, from, length);
}

function copyUpwards(memory: Mmu, to: Address, from: Address, length: ByteCount): void {
  try {
    for (let done = 0; done < length; ) {
      const bytes = Math.min(inPage(from + done, length - done), inPage(to + done, length - done));
      copyPiece(memory, to + done, from + done, bytes);
      done += bytes;
      // The next page may need no such care.
      done += copyDirectly(memory, to + done, from + done, length - done);
    }
  } finally {
    memory.copiedPage = -1;
  }
}

function copyDownwards(memory: Mmu, to: Address, from: Address, length: ByteCount): void {
  try {
    while (length > 0) {
      const tail = Math.min(length, ((from + length - 1) & OFFSET_MASK) + 1, ((to + length - 1) & OFFSET_MASK) + 1);
      copyPiece(memory, to + length - tail, from + length - tail, tail);
      length -= tail;
    }
  } finally {
    memory.copiedPage = -1;
  }
}

/** Copies bytes that leave neither the source's page nor the target's. */
function copyPiece(memory: Mmu, to: Address, from: Address, bytes: ByteCount): void {
  memory.copiedPage = (from * PAGES_PER_BYTE) & PAGE_MASK;
  memory.translate(from, bytes, ACCESS_LOAD);
  if (memory.hasShadow) carryValidity(memory, to, from, bytes);
  const target = memory.translate(to, bytes, ACCESS_STORE);
  const targetBank = memory.ram.banks[memory.bank];
  // Once more: the store's fault may have replaced the page that the first translation found.
  const source = memory.translate(from, bytes, ACCESS_LOAD);
  const sourceBank = memory.ram.banks[memory.bank];
  if (sourceBank !== targetBank) targetBank.set(sourceBank.subarray(source, source + bytes), target);
  else if (bytes < SHORT && target <= source)
    for (let i = 0; i < bytes; i++) targetBank[target + i] = sourceBank[source + i];
  else copyBytes(targetBank, target, source, source + bytes);
}

function carryValidity(memory: Mmu, to: Address, from: Address, bytes: ByteCount): void {
  memory.translate(to, bytes, ACCESS_STORE);
  memory.translate(from, bytes, ACCESS_LOAD);
  memory.useBytes(USE_COPY, from, bytes);
  memory.translateUnchecked(to, ACCESS_STORE);
  const mayStore = memory.mayStore(to, bytes);
  const target = memory.frame;
  memory.translateUnchecked(from, ACCESS_LOAD);
  const source = memory.frame;
  if (mayStore) memory.copyValidity(to, target, from, source, bytes);
  else
    memory.forAddressable(to, bytes, (at, length) =>
      memory.copyValidity(at, target, from + (at - (to % TAG_UNIT)), source, length),
    );
}

export function compare(memory: Mmu, a: number, b: number, length: ByteCount): -1 | 0 | 1 {
  checkRange("compare", length);
  if (memory.validityObserver !== null) memory.beginAccess(USE_COMPARE, a, length, b);
  const begin = a;
  while (length > 0) {
    const direct = sameDirectly(memory, a, b, length);
    if (direct === length) break;
    a += direct;
    b += direct;
    length -= direct;
    const bytes = Math.min(inPage(a, length), inPage(b, length));
    const left = memory.translate(a, bytes, ACCESS_LOAD);
    const leftBank = memory.ram.banks[memory.bank];
    const right = memory.translate(b, bytes, ACCESS_LOAD);
    const rightBank = memory.ram.banks[memory.bank];
    let same = 0;
    while (same < bytes && leftBank[left + same] === rightBank[right + same]) same++;
    const sign = same === bytes ? 0 : leftBank[left + same] < rightBank[right + same] ? -1 : 1;
    if (memory.hasShadow)
      useCompared(memory, a, b, Math.min(bytes, same + 1), sign === 0 ? null : a - begin + same + 1);
    if (sign !== 0) return sign;
    a += bytes;
    b += bytes;
    length -= bytes;
  }
  return 0;
}

/** What a comparison looked at: both ranges, up to the first difference, with which the access ends. */
function useCompared(memory: Mmu, a: number, b: number, bytes: ByteCount, ended: number | null): void {
  if (ended !== null && memory.validityObserver !== null) memory.growAccess(ended);
  memory.useTarget(USE_COMPARE, b, bytes);
  memory.translateUnchecked(a, ACCESS_LOAD);
  memory.useBytes(USE_COMPARE, a, bytes);
}

export function readInto(memory: Mmu, address: Address, target: Uint8Array): void {
  if (memory.validityObserver !== null) memory.beginAccess(USE_READ, address, target.length);
  for (let done = 0; done < target.length; ) {
    const from = address + done;
    const found = memory.translate(from, 1, ACCESS_LOAD);
    const bytes = stretch(memory, from, target.length - done, ACCESS_LOAD);
    memory.useBytes(USE_READ, from, bytes);
    const position = settle(memory, from, found, ACCESS_LOAD);
    const bank = memory.ram.banks[memory.bank];
    if (bytes < SHORT) for (let i = 0; i < bytes; i++) target[done + i] = bank[position + i];
    else target.set(bank.subarray(position, position + bytes), done);
    done += bytes;
  }
}

export function write(memory: Mmu, address: Address, source: Uint8Array): void {
  if (memory.validityObserver !== null) memory.beginAccess(USE_STORE, address, source.length);
  for (let done = 0; done < source.length; ) {
    const to = address + done;
    const found = memory.translate(to, 1, ACCESS_STORE);
    const bytes = stretch(memory, to, source.length - done, ACCESS_STORE);
    memory.defineBytes(to, bytes);
    const position = settle(memory, to, found, ACCESS_STORE);
    const bank = memory.ram.banks[memory.bank];
    if (bytes < SHORT) for (let i = 0; i < bytes; i++) bank[position + i] = source[done + i];
    else bank.set(source.subarray(done, done + bytes), position);
    done += bytes;
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function readString(memory: Mmu, address: Address, maxLength: number): string {
  checkRange("readString", maxLength);
  const bytes: number[] = [];
  if (memory.validityObserver !== null) memory.beginAccess(USE_STRING, address, 1);
  while (bytes.length < maxLength) {
    memory.growAccess(bytes.length + 1);
    const found = memory.translate(address + bytes.length, 1, ACCESS_LOAD);
    memory.useBytes(USE_STRING, address + bytes.length, 1);
    const position = settle(memory, address + bytes.length, found, ACCESS_LOAD);
    const byte = memory.ram.banks[memory.bank][position];
    if (byte === 0) break;
    bytes.push(byte);
  }
  return decoder.decode(Uint8Array.from(bytes));
}

export function writeString(memory: Mmu, address: Address, text: string): number {
  const bytes = encoder.encode(`${text}\0`);
  write(memory, address, bytes);
  return bytes.length;
}
