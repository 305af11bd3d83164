// The bodies of the compiled malloc and free of a tagged heap: what reuseFast and freeFast of tagging/tagged-allocator.ts do, step by step
// the same, for chunks inside one page whose headers are in the table of sizes. All others are left to the heap, as in code.ts.

import {
  GRANULE_SIZE,
  OFFSET_MASK,
  PAGE_SIZE,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
  TAG_UNIT,
} from "../../platform/hardware/layout.ts";
import { PTE_BANK_MASK } from "../../platform/hardware/mmu.ts";
import { lowBitsDifference } from "../combined/checksum.ts";
import { HEADER_SIZE, STATE_ALLOCATED, WAS_ZEROED } from "../combined/chunk-header.ts";
import {
  OP_BLOCK,
  OP_END,
  OP_F64_CONVERT_I64_S,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQZ,
  OP_I32_GT_S,
  OP_I32_GT_U,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_LT_U,
  OP_I32_NE,
  OP_I32_SHR_U,
  OP_I32_STORE8,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I64_ADD,
  OP_I64_AND,
  OP_I64_EXTEND_I32_U,
  OP_I64_GE_U,
  OP_I64_NE,
  OP_I64_OR,
  OP_I64_SHL,
  OP_I64_SHR_U,
  OP_I64_SUB,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
} from "../wasm/binary/instructions.ts";
import { finish } from "../wasm/rewriting/helpers.ts";
import { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";
import { drawTag, loadTag, noteFreed, pairOf, shiftInPair, TAG_SHIFT, tagAndZero } from "./tag-code.ts";

/** No tag is above this. */
const POINTER_END = 16n << BigInt(TAG_SHIFT);
/** As UncheckedMemory.positionOf wants an entry. */
const TAGGED = PTE_READ | PTE_WRITE | PTE_MTE;
const TAGGED_MASK = TAGGED | PTE_BANK_MASK;
/** How the header of a freed chunk that was zeroed differs from that of the chunk. */
const FREED_BITS = (STATE_ALLOCATED << 8) | WAS_ZEROED;
const FREED_DIFFERENCE = BigInt(FREED_BITS) | (BigInt(lowBitsDifference(FREED_BITS)) << 48n);

/** (area, size) → pointer with its tag, or 0. */
export function allocateTaggedBody(): Uint8Array {
  const code = new HeapCode();
  const { operand: size, at, low, address, header, tag, tagBytes, place } = code;
  code.open(OP_BLOCK);
  code.enter();
  code.localGet(size);
  giveUpUnlessTagged(code);
  code.headerOf(size);
  code.byte(OP_I32_WRAP_I64);
  code.classOf();
  code.popBlock();
  code.locate(TAGGED_MASK, TAGGED);
  code.blockReach();
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  // The block's last chunk lay at the same place, and was zeroed with a new tag when it was freed: its header is as free left it.
  code.moveAddress(OP_I64_ADD);
  code.loadHeader();
  code.localTee(header);
  code.byte(OP_I32_WRAP_I64);
  code.shiftRight(12);
  code.localTee(low);
  code.constant(places.LARGEST_IN_TABLE);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  code.localGet(header);
  code.headerOf(low);
  code.constant64(FREED_DIFFERENCE);
  code.byte(OP_I64_XOR);
  code.sum(null);
  code.plain(OP_I64_XOR, OP_I64_NE);
  code.giveUpIf();
  loadTag(code);
  code.localTee(tag);
  code.byte(OP_I32_EQZ);
  code.giveUpIf();
  // From here on nothing is unusual any more. What the last chunk did not have gets its tag, and zeroes.
  roundUp(code, low);
  code.localSet(place);
  roundUp(code, size);
  code.localTee(tagBytes);
  code.localGet(place);
  code.byte(OP_I32_SUB);
  code.localTee(code.draw);
  code.constant(0);
  code.byte(OP_I32_GT_S);
  code.open(OP_IF);
  code.localGet(place);
  code.localGet(at);
  code.constant(HEADER_SIZE);
  code.plain(OP_I32_ADD, OP_I32_ADD);
  code.localSet(place);
  code.localGet(tagBytes);
  code.localGet(code.draw);
  code.localSet(tagBytes);
  tagAndZero(code);
  code.localSet(tagBytes);
  code.byte(OP_END);
  // The granule behind the chunk has tag 0, if it is the block's.
  code.localGet(tagBytes);
  code.constant(HEADER_SIZE);
  code.byte(OP_I32_ADD);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  code.localGet(at);
  code.localGet(tagBytes);
  code.constant(HEADER_SIZE);
  code.plain(OP_I32_ADD, OP_I32_ADD);
  code.localSet(place);
  pairOf(code, place);
  code.localGet(code.pair);
  code.localGet(code.pair);
  code.memory(OP_I32_LOAD8_U, 0);
  code.constant(0xf0);
  shiftInPair(code, place);
  code.plain(OP_I32_SHR_U, OP_I32_AND);
  code.memory(OP_I32_STORE8, 0);
  code.byte(OP_END);
  code.localGet(at);
  code.constant(0);
  code.splat();
  code.storeVector(HEADER_SIZE);
  code.localGet(at);
  code.headerOf(size);
  code.sum(null);
  code.byte(OP_I64_XOR);
  code.takeBlock();
  code.localGet(address);
  code.localGet(tag);
  code.byte(OP_I64_EXTEND_I32_U);
  code.constant64(BigInt(TAG_SHIFT));
  code.plain(OP_I64_SHL, OP_I64_OR, OP_F64_CONVERT_I64_S, OP_RETURN, OP_END);
  code.constantDouble(0);
  return finish(code);
}

/** (area, pointer with its tag) → 1, or 0. */
export function freeTaggedBody(): Uint8Array {
  const code = new HeapCode();
  const { at, low, header, tag, tagBytes, place } = code;
  code.open(OP_BLOCK);
  code.enter();
  code.wholePointer(0n);
  code.localTee(header);
  code.constant64(POINTER_END);
  code.byte(OP_I64_GE_U);
  code.giveUpIf();
  code.localGet(header);
  code.constant64(BigInt(TAG_SHIFT));
  code.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
  code.localSet(tag);
  code.localGet(header);
  code.constant64(BigInt(TAG_UNIT) - 1n);
  code.byte(OP_I64_AND);
  code.constant64(BigInt(HEADER_SIZE));
  code.byte(OP_I64_SUB);
  code.headerAddress();
  code.locate(TAGGED_MASK, TAGGED);
  code.moveAddress(OP_I64_ADD);
  code.loadHeader();
  code.localTee(header);
  code.byte(OP_I32_WRAP_I64);
  code.shiftRight(12);
  code.localTee(low);
  giveUpUnlessTagged(code);
  roundUp(code, low);
  code.localTee(tagBytes);
  code.localGet(at);
  code.constant(OFFSET_MASK);
  code.plain(OP_I32_AND, OP_I32_ADD);
  code.constant(PAGE_SIZE - HEADER_SIZE);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  loadTag(code);
  code.localGet(tag);
  code.byte(OP_I32_NE);
  code.giveUpIf();
  code.localGet(header);
  code.headerOf(low);
  code.sum(null);
  code.plain(OP_I64_XOR, OP_I64_NE);
  code.giveUpIf();
  code.localGet(header);
  code.byte(OP_I32_WRAP_I64);
  code.classOf();
  code.roomForBlock();
  // From here on nothing is unusual any more.
  noteFreed(code);
  drawTag(code);
  code.localGet(at);
  code.constant(HEADER_SIZE);
  code.byte(OP_I32_ADD);
  code.localSet(place);
  tagAndZero(code);
  code.pushBlock(FREED_DIFFERENCE);
  return finish(code);
}

/** Takes a size; gives up if it is of no bytes, or not in the table. */
function giveUpUnlessTagged(code: HeapCode): void {
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.constant(places.LARGEST_IN_TABLE);
  code.plain(OP_I32_LT_U, OP_I32_EQZ);
  code.giveUpIf();
}

/** Pushes the size in a local, rounded up to whole granules. */
function roundUp(code: HeapCode, size: number): void {
  code.localGet(size);
  code.constant(GRANULE_SIZE - 1);
  code.byte(OP_I32_ADD);
  code.constant(-GRANULE_SIZE);
  code.byte(OP_I32_AND);
}
