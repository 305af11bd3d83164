// The instructions of the Memory Tagging Extension (DDI 0487) for one thread: tags chosen, loaded and stored.
// Checks of ordinary accesses are in mmu.ts and tag-check.ts; what the kernel does to whole frames is in tag-store.ts.

import { fillBytes } from "./array-methods.ts";
import { BusError, IllegalInstruction } from "./faults.ts";
import type { Address, ByteCount, Tag } from "./integers.ts";
import { ACCESS_LOAD, ACCESS_STORE, GRANULE_SHIFT, GRANULE_SIZE, OFFSET_MASK, PAGE_SIZE, TAG_UNIT } from "./layout.ts";
import type { Mmu } from "./mmu.ts";
import { fillTagRange } from "./tag-store.ts";
import { chooseNonExcludedTag, tagOf, withoutTag } from "./tags.ts";
import { markDefined } from "./validity.ts";
import { xorshift32 } from "./xorshift.ts";

const ALL_TAGS = 0xffff;
const LARGEST_IMMEDIATE = 1008;
/** Addresses here have 48 bits below the tag, where hardware has 56; the highest of them is the sign. */
const SIGN = TAG_UNIT / 2;

/**
 * IRG: `address` with a random tag outside GCR_EL1.Exclude and the low 16 bits of `exclude`, or with tag 0 if none is
 * left. All tags that are left are equally likely; the sequence depends only on the thread's seed (`randomTagState`).
 */
export function irg(memory: Mmu, address: Address, exclude = 0): number {
  return withoutTag(address) + randomTag(memory, exclude) * TAG_UNIT;
}

/** The tag that {@link irg} would insert, as a number. */
export function randomTag(memory: Mmu, exclude: number): number {
  const excluded = (memory.tagExclude | exclude) & ALL_TAGS;
  if (excluded === ALL_TAGS) return 0;
  // Draws until one is allowed: as fast as any table, and all that are left stay equally likely.
  let tag = nextRandomTag(memory);
  while (((excluded >> tag) & 1) !== 0) tag = nextRandomTag(memory);
  return tag;
}

/** Four random bits of a xorshift generator, of which 0 is no state. */
function nextRandomTag(memory: Mmu): number {
  const x = xorshift32(memory.randomTagState | 0 || 1) | 0;
  memory.randomTagState = x;
  return Math.imul(x, 0x9e3779b1) >>> 28;
}

/**
 * ADDG: `offset` bytes (0 to 1008, a multiple of 16) further, and the tag `steps` (0 to 15) allowed tags upwards.
 * @throws RangeError for what the instruction cannot encode.
 */
export function addg(memory: Mmu, address: Address, offset: number, steps: number): number {
  checkImmediates("addg", offset, steps);
  return withTagSteps(memory, address, offset, steps);
}

/** SUBG: `offset` bytes back; the tag moves upwards as in {@link addg}. */
export function subg(memory: Mmu, address: Address, offset: number, steps: number): number {
  checkImmediates("subg", offset, steps);
  return withTagSteps(memory, address, -offset, steps);
}

function withTagSteps(memory: Mmu, address: Address, offset: number, steps: number): number {
  const tag = tagOf(address);
  const moved = (address - tag * TAG_UNIT + offset + TAG_UNIT) % TAG_UNIT;
  return moved + chooseNonExcludedTag(tag, steps, memory.tagExclude) * TAG_UNIT;
}

function checkImmediates(operation: string, offset: number, steps: number): void {
  if (!Number.isInteger(offset / GRANULE_SIZE) || offset < 0 || offset > LARGEST_IMMEDIATE) {
    throw new RangeError(`${operation}: offset ${offset} is not a multiple of 16 from 0 to ${LARGEST_IMMEDIATE}`);
  }
  if (!Number.isInteger(steps) || steps < 0 || steps > 15) {
    throw new RangeError(`${operation}: ${steps} tag steps are not a whole number from 0 to 15`);
  }
}

/** SUBP: the distance in bytes from `b` to `a`, tags ignored. */
export function subp(a: number, b: number): number {
  return signedAddress(a) - signedAddress(b);
}

/** SUBPS: as {@link subp}; `memory.nzcv` becomes the flags of that subtraction of 64-bit numbers. */
export function subps(memory: Mmu, a: number, b: number): number {
  const difference = subp(a, b);
  // Of two signed numbers the negative one is the larger unsigned one; an overflow cannot happen so far from 2^63.
  const sameSign = signedAddress(a) < 0 === signedAddress(b) < 0;
  const noBorrow = sameSign ? difference >= 0 : difference < 0;
  memory.nzcv = (difference < 0 ? 8 : 0) | (difference === 0 ? 4 : 0) | (noBorrow ? 2 : 0);
  return difference;
}

function signedAddress(address: Address): number {
  const plain = withoutTag(address);
  return plain >= SIGN ? plain - TAG_UNIT : plain;
}

/** GMI: `mask` with the bit of the address's tag set, for IRG to exclude. */
export function gmi(address: Address, mask: number): number {
  const bit = 2 ** tagOf(address);
  return Math.floor(mask / bit) % 2 === 1 ? mask : mask + bit;
}

/** LDG: `register` (by default the address itself) with the tag that memory has at `address`; 0 without PROT_MTE. */
export function ldg(memory: Mmu, address: Address, register: number = address): number {
  return withoutTag(register) + loadTag(memory, address) * TAG_UNIT;
}

/** The tag that {@link ldg} would insert, as a number. */
export function loadTag(memory: Mmu, address: Address): number {
  const granule = address - (address & (GRANULE_SIZE - 1));
  memory.translateUnchecked(granule, ACCESS_LOAD);
  return memory.tagged ? memory.ram.getTag(memory.frame, (granule & OFFSET_MASK) >> GRANULE_SHIFT) : 0;
}

/**
 * STG: gives the granule at `address` the tag of `register`. The address's own tag is not looked at.
 * @throws BusError BUS_ADRALN unless the address is a multiple of 16. SegmentationFault where a store would fault.
 */
export function stg(memory: Mmu, address: Address, register: number): void {
  const tag = tagOf(register);
  requireGranule(memory, address);
  memory.translateUnchecked(address, ACCESS_STORE);
  storeTag(memory, address, tag);
}

/** STZG: as {@link stg}, and zeroes the granule. */
export function stzg(memory: Mmu, address: Address, register: number): void {
  const tag = tagOf(register);
  requireGranule(memory, address);
  zero(memory, memory.translateUnchecked(address, ACCESS_STORE), GRANULE_SIZE);
  storeTag(memory, address, tag);
}

/** ST2G: as {@link stg} for two granules, which may lie on two pages: if either faults, nothing has changed. */
export function st2g(memory: Mmu, address: Address, register: number): void {
  requireTwoGranules(memory, address);
  stg(memory, address, register);
  stg(memory, address + GRANULE_SIZE, register);
}

/** STZ2G: as {@link st2g}, and zeroes both granules. */
export function stz2g(memory: Mmu, address: Address, register: number): void {
  requireTwoGranules(memory, address);
  stzg(memory, address, register);
  stzg(memory, address + GRANULE_SIZE, register);
}

/** STGP: stores two 64-bit registers, unchecked, and gives their granule the tag of `address`. */
export function stgp(memory: Mmu, address: Address, first: bigint, second: bigint): void {
  requireGranule(memory, address);
  const position = memory.translateUnchecked(address, ACCESS_STORE);
  const view = memory.ram.views[memory.bank];
  view.setBigUint64(position, first, true);
  view.setBigUint64(position + 8, second, true);
  define(memory, position, GRANULE_SIZE);
  storeTag(memory, address, tagOf(address));
}

/** DC GVA: gives the aligned block (`gzvaBlockBytes`) around `address` the address's tag. */
export function dcGva(memory: Mmu, address: Address): void {
  memory.translateUnchecked(address, ACCESS_STORE);
  storeBlockTags(memory, address);
}

/** DC GZVA: as {@link dcGva}, and zeroes the block. */
export function dcGzva(memory: Mmu, address: Address): void {
  const block = memory.ram.gzvaBlockBytes;
  const position = memory.translateUnchecked(address, ACCESS_STORE);
  zero(memory, position - (position % block), block);
  storeBlockTags(memory, address);
  memory.counters.gzvaBlocks++;
}

/** DC ZVA: zeroes the aligned block around `address`, as a store that is checked over the whole block. */
export function dcZva(memory: Mmu, address: Address): void {
  const block = memory.ram.gzvaBlockBytes;
  memory.translateUnchecked(address, ACCESS_STORE);
  zero(memory, memory.translate(address - (address % block), block, ACCESS_STORE), block);
}

/** LDGM. @throws IllegalInstruction always: only a kernel may. */
export function ldgm(memory: Mmu, _address: number): never {
  memory.raise(new IllegalInstruction("LDGM"));
}

/** STGM. @throws IllegalInstruction always: only a kernel may. */
export function stgm(memory: Mmu, _address: number): never {
  memory.raise(new IllegalInstruction("STGM"));
}

/** STZGM. @throws IllegalInstruction always: only a kernel may. */
export function stzgm(memory: Mmu, _address: number): never {
  memory.raise(new IllegalInstruction("STZGM"));
}

/** Alignment faults come before all others. */
function requireGranule(memory: Mmu, address: Address): void {
  if (address % GRANULE_SIZE !== 0) memory.raise(new BusError("BUS_ADRALN", withoutTag(address), "store"));
}

function requireTwoGranules(memory: Mmu, address: Address): void {
  requireGranule(memory, address);
  memory.translateUnchecked(address, ACCESS_STORE);
  memory.translateUnchecked(address + GRANULE_SIZE, ACCESS_STORE);
}

/** Writes the tag of one granule of the page just translated; without PROT_MTE there is no place for it. */
function storeTag(memory: Mmu, address: Address, tag: Tag): void {
  if (memory.tagged) memory.ram.setTag(memory.frame, (address & OFFSET_MASK) >> GRANULE_SHIFT, tag);
}

function storeBlockTags(memory: Mmu, address: Address): void {
  if (!memory.tagged) return;
  const block = memory.ram.gzvaBlockBytes;
  const offset = address & OFFSET_MASK;
  const first = (offset - (offset % block)) >> GRANULE_SHIFT;
  fillTagRange(memory.ram, memory.frame, first, first + (block >> GRANULE_SHIFT), tagOf(address));
}

function zero(memory: Mmu, position: number, bytes: ByteCount): void {
  fillBytes(memory.ram.banks[memory.bank], 0, position, position + bytes);
  define(memory, position, bytes);
}

/** Stored bytes are defined, on a machine that keeps count of that. */
function define(memory: Mmu, position: number, bytes: ByteCount): void {
  if (memory.hasShadow) markDefined(memory.ram, memory.frame * PAGE_SIZE + (position & OFFSET_MASK), bytes);
}
