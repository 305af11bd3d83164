// How the compiled malloc fills a block: sixteen bytes a store, over pages that need neither a fault nor a check and whose frames are
// neighbours. Long blocks are left to the heap, which has the engine fill them.

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
  OP_F64_ADD,
  OP_F64_LOAD,
  OP_F64_STORE,
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
  PREFIX_SIMD,
} from "../wasm/binary/instructions.ts";
import type { HeapCode } from "./heap-code.ts";
import * as places from "./places.ts";

const SPLAT_8 = 0x0f;
const V128_STORE = 0x0b;
/** Up to this many bytes a loop beats a call out of the compiled code. */
const SHORT = 2048;
/** What the loop stores at least. */
export const SMALLEST_BLOCK = 32;
const FRAME_STEP = 1 << PTE_FRAME_SHIFT;
const COMPARED = PTE_FRAME_MASK | PTE_READ | PTE_WRITE | PTE_CHECKED;

/** Fills the block at `at`, whose page's entry is `entry`; gives up if it is long, or lies in frames that are not neighbours. */
export function fillBlock(code: HeapCode): void {
  const { at, next, end } = code;
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.constant(SHORT);
  code.byte(OP_I32_GT_U);
  code.giveUpIf();
  giveUpUnlessNeighbours(code);
  code.localGet(at);
  code.localTee(next);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.byte(OP_I32_ADD);
  code.localSet(end);
  code.areaWord(places.FILL);
  code.two(PREFIX_SIMD, SPLAT_8);
  code.localSet(code.vector);
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
  code.constant(0);
  code.constant(0);
  code.memory(OP_F64_LOAD, FILLED);
  code.fromRow(OP_F64_LOAD, places.BLOCK_SIZE);
  code.byte(OP_F64_ADD);
  code.memory(OP_F64_STORE, FILLED);
}

function store(code: HeapCode, offset: number): void {
  code.localGet(code.next);
  code.localGet(code.vector);
  code.two(PREFIX_SIMD, V128_STORE);
  code.byte(0);
  code.u32(RAM_BEGIN + offset);
}

/** The block's second page, if it has one, must be as its first one, and its frame the next one. */
function giveUpUnlessNeighbours(code: HeapCode): void {
  const { at, entry, address } = code;
  code.localGet(at);
  code.constant(PAGE_SIZE - 1);
  code.byte(OP_I32_AND);
  code.fromRow(OP_I32_LOAD, places.BLOCK_BYTES);
  code.byte(OP_I32_ADD);
  code.constant(PAGE_SIZE);
  code.byte(OP_I32_GT_U);
  code.open(OP_IF);
  code.localGet(address);
  code.constant64(BigInt(PAGE_SHIFT));
  code.plain(OP_I64_SHR_U, OP_I32_WRAP_I64);
  code.shiftLeft(2);
  code.memory(OP_I32_LOAD, TABLE_BEGIN + 4);
  code.constant(COMPARED);
  code.byte(OP_I32_AND);
  code.localGet(entry);
  code.constant(FRAME_STEP);
  code.byte(OP_I32_ADD);
  code.constant(COMPARED);
  code.plain(OP_I32_AND, OP_I32_NE);
  code.branch(OP_BR_IF, 1);
  code.byte(OP_END);
}
