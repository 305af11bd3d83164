// How the compiled malloc and calloc fill a block whose pages need neither a fault nor a check and whose frames are neighbours: sixteen
// bytes a store, or by one instruction of the engine's that is a call out of the code.

import { FILLED, RAM_BEGIN, TABLE_BEGIN } from "../../platform/hardware/host-memory.ts";
import {
  PAGE_SHIFT,
  PAGE_SIZE,
  PTE_CHECKED,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_READ,
  PTE_WRITE,
} from "../../platform/hardware/layout.ts";
import {
  OP_BR_IF,
  OP_END,
  OP_F64_LOAD,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_GT_U,
  OP_I32_LOAD,
  OP_I32_LT_U,
  OP_I32_NE,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I64_SHR_U,
  OP_IF,
  OP_LOOP,
} from "../wasm/binary/instructions.ts";
import type { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";

/** What the loop stores at least. */
export const SMALLEST_BLOCK = 32;
const FRAME_STEP = 1 << PTE_FRAME_SHIFT;
const COMPARED = PTE_FRAME_MASK | PTE_READ | PTE_WRITE | PTE_CHECKED;

/** What fresh chunks are filled with: not at all, with the heap's byte, with zeroes. */
export type FillKind = "none" | "heap" | "zero";

/** Fills the block at `at`, whose page's entry is `entry`, by a loop: one of less than a page. */
export function fillShortBlock(code: HeapCode, kind: FillKind): void {
  const { at, next, end, vector } = code;
  code.blockReach();
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_GT_U);
  code.open(OP_IF);
  pageEntry(code);
  giveUpUnlessNext(code, 1);
  code.byte(OP_END);
  code.localGet(at);
  code.localTee(next);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.byte(OP_I32_ADD);
  code.localSet(end);
  fillByte(code, kind);
  code.splat();
  code.localSet(vector);
  code.open(OP_LOOP);
  store(code, 0);
  store(code, 16);
  code.localGet(next);
  code.constant(32);
  code.byte(OP_I32_ADD);
  code.localTee(next);
  code.constant(16);
  code.byte(OP_I32_ADD);
  code.localGet(end);
  code.byte(OP_I32_LT_U);
  code.branch(OP_BR_IF, 0);
  code.byte(OP_END);
  // Blocks are multiples of 16 bytes long: the last sixteen once more, or for the first time.
  code.localGet(end);
  code.constant(16);
  code.byte(OP_I32_SUB);
  code.localSet(next);
  store(code, 0);
  countFill(code);
}

/** As {@link fillShortBlock}, blocks of any length, by the engine's own instruction. */
export function fillAnyBlock(code: HeapCode, kind: FillKind): void {
  const { at, end } = code;
  // How far the block reaches from the begin of the page that is looked at.
  code.blockReach();
  code.localTee(end);
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_GT_U);
  code.open(OP_IF);
  pageEntry(code);
  code.open(OP_LOOP);
  giveUpUnlessNext(code, 2);
  code.localGet(end);
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_SUB);
  code.localTee(end);
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_GT_U);
  code.branch(OP_BR_IF, 0);
  code.plain(OP_END, OP_END);
  code.localGet(at);
  code.constant(RAM_BEGIN);
  code.byte(OP_I32_ADD);
  fillByte(code, kind);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.fillMemory();
  countFill(code);
}

function fillByte(code: HeapCode, kind: FillKind): void {
  if (kind === "zero") code.constant(0);
  else code.areaWord(places.FILL);
}

function countFill(code: HeapCode): void {
  code.addTo(FILLED, () => code.fromRow(OP_F64_LOAD, places.BLOCK_SIZE));
}

function store(code: HeapCode, offset: number): void {
  code.localGet(code.next);
  code.localGet(code.vector);
  code.storeVector(offset);
}

/** Keeps in `next` where the entry of the page of `address` is in the page table. */
function pageEntry(code: HeapCode): void {
  code.localGet(code.address);
  code.constant64(BigInt(PAGE_SHIFT));
  code.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
  code.shiftLeft(2);
  code.localSet(code.next);
}

/** Goes on to the next page, which must be as the one before, and its frame the next one. `depth`: blocks around this, but for the body's. */
function giveUpUnlessNext(code: HeapCode, depth: number): void {
  const { entry, next } = code;
  code.localGet(next);
  code.constant(4);
  code.byte(OP_I32_ADD);
  code.localTee(next);
  code.memory(OP_I32_LOAD, TABLE_BEGIN);
  code.constant(COMPARED);
  code.byte(OP_I32_AND);
  code.localGet(entry);
  code.constant(FRAME_STEP);
  code.byte(OP_I32_ADD);
  code.localTee(entry);
  code.constant(COMPARED);
  code.plain(OP_I32_AND, OP_I32_NE);
  code.branch(OP_BR_IF, depth);
}
