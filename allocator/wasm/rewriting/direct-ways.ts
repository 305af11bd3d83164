// The direct ways of malloc, calloc and free as WebAssembly, in front of the call of the host: what combined/direct-paths.ts does to
// the heap's cache and headers, and what guest/guest.ts does to the shadows, step by step the same. Each gives up, with nothing done,
// at the first thing that is unusual, and the host is asked as ever.

import { HEADER_SIZE, STATE_ALLOCATED } from "../../combined/chunk-header.ts";
import {
  I32,
  I64,
  OP_BLOCK,
  OP_BR_IF,
  OP_END,
  OP_F64_ADD,
  OP_F64_SUB,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_GE_U,
  OP_I32_GT_U,
  OP_I32_LOAD,
  OP_I32_LOAD8_U,
  OP_I32_MUL,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_STORE,
  OP_I32_STORE16,
  OP_I32_SUB,
  OP_I32_WRAP_I64,
  OP_I64_LOAD,
  OP_I64_NE,
  OP_I64_SHR_U,
  OP_I64_STORE,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN,
} from "../binary/instructions.ts";
import { DirectCode, type DirectHosts, type DirectWay, headerDifference, LOCALS, LONG_LOCALS } from "./direct-code.ts";
import { erase, fillRange, markAddressable, markFresh, zeroBlock } from "./direct-shadows.ts";
import * as tables from "./heap-tables.ts";
import { finish, passOn } from "./helpers.ts";
import type { Layout } from "./layout.ts";

/** A factor below this power of two, and another one, have a product of 32 bits. */
const SMALL_FACTOR_BITS = 16;

/** A heap function's body: `head`, its direct way, which returns, and then the call of the host. */
export function directBody(
  params: number,
  hosts: DirectHosts,
  way: DirectWay,
  layout: Layout,
  head: Uint8Array,
): Uint8Array {
  const code = new DirectCode(params, way, layout, hosts.cache);
  code.two(2, LOCALS);
  code.two(I32, LONG_LOCALS);
  code.byte(I64);
  code.append(head, 0, head.length);
  code.open(OP_BLOCK);
  if (way.kind === "allocate") allocate(code);
  else free(code);
  code.byte(OP_END);
  passOn(code, params, hosts.ask);
  return finish(code);
}

function allocate(code: DirectCode): void {
  const { row, count, block, size, way } = code;
  leaveUnlessOpen(code);
  sizeWanted(code);
  code.localTee(size);
  code.loadWord(tables.LARGEST);
  code.plain(OP_I32_GT_U);
  code.branch(OP_BR_IF, 0);
  // The class, the top of its stack, and the block there.
  code.fromSize(OP_I32_LOAD8_U);
  code.shiftLeft(2);
  code.localTee(row);
  code.table(OP_I32_LOAD, tables.COUNTS);
  code.localTee(count);
  code.byte(OP_I32_EQZ);
  code.open(OP_IF);
  code.askForCache();
  code.byte(OP_END);
  code.localGet(count);
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.localTee(count);
  code.stackEntry();
  code.memory(OP_I32_LOAD, 0);
  code.shiftLeft(4);
  code.fromRow(tables.BEGINS);
  code.byte(OP_I32_ADD);
  code.localTee(block);
  code.ready();
  code.localGet(block);
  lastOfBlock(code);
  code.byte(OP_I32_ADD);
  code.ready();
  code.plain(OP_I32_AND, OP_I32_EQZ);
  code.branch(OP_BR_IF, 0);
  code.findTrace();
  // From here on nothing is unusual any more.
  if (way.isZeroed) zeroBlock(code);
  code.localGet(block);
  code.pointerSum();
  code.headerOfSize();
  code.memory(OP_I64_STORE, 0);
  code.localGet(row);
  code.localGet(count);
  code.table(OP_I32_STORE, tables.COUNTS);
  code.countBytes(tables.STATISTICS, OP_F64_ADD);
  code.noteChange();
  code.noteTrace(() => code.storeTrace(OP_I32_STORE, 0));
  markAddressable(code);
  if (code.layout.validityBase >= 0) markFresh(code);
  code.pushPointer();
  code.byte(OP_RETURN);
}

function free(code: DirectCode): void {
  const { row, count, block, low, size, header, way, layout } = code;
  const pointer = way.operand;
  leaveUnlessOpen(code);
  code.localGet(pointer);
  code.byte(OP_I32_EQZ);
  code.open(OP_IF);
  code.byte(OP_RETURN);
  code.byte(OP_END);
  code.localGet(pointer);
  code.constant(15);
  code.byte(OP_I32_AND);
  code.localGet(pointer);
  code.constant(layout.limitBytes);
  code.plain(OP_I32_GE_U, OP_I32_OR);
  code.branch(OP_BR_IF, 0);
  code.localGet(pointer);
  code.constant(HEADER_SIZE);
  code.byte(OP_I32_SUB);
  code.localTee(block);
  code.ready();
  code.byte(OP_I32_EQZ);
  code.branch(OP_BR_IF, 0);
  code.localGet(block);
  code.memory(OP_I64_LOAD, 0);
  code.localTee(header);
  code.byte(OP_I32_WRAP_I64);
  code.localTee(low);
  code.shiftRight(12);
  code.localTee(size);
  code.loadWord(tables.LARGEST);
  code.byte(OP_I32_GT_U);
  code.branch(OP_BR_IF, 0);
  code.pointerSum();
  code.localTee(code.at);
  code.headerOfSize();
  code.localGet(header);
  code.byte(OP_I64_NE);
  code.open(OP_IF);
  leaveUnlessWhole(code);
  code.byte(OP_END);
  code.localGet(low);
  code.constant(0xff);
  code.byte(OP_I32_AND);
  code.shiftLeft(2);
  code.localSet(row);
  code.localGet(row);
  code.table(OP_I32_LOAD, tables.COUNTS);
  code.localTee(count);
  code.fromRow(tables.MOST_COUNTS);
  code.byte(OP_I32_EQ);
  code.open(OP_IF);
  code.askForCache();
  // Nodes may have taken faults, and the machine pages for them.
  code.localGet(block);
  code.ready();
  code.byte(OP_I32_EQZ);
  code.branch(OP_BR_IF, 1);
  code.byte(OP_END);
  code.findTrace();
  // From here on nothing is unusual any more: state and origin go, and their part of the checksum.
  code.localGet(block);
  code.localGet(header);
  code.constant64(headerDifference(stateAndOrigin(way)));
  code.byte(OP_I64_XOR);
  code.memory(OP_I64_STORE, 0);
  code.localGet(count);
  code.stackEntry();
  code.localGet(block);
  code.fromRow(tables.BEGINS);
  code.byte(OP_I32_SUB);
  code.shiftRight(4);
  code.memory(OP_I32_STORE, 0);
  code.localGet(row);
  code.localGet(count);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.table(OP_I32_STORE, tables.COUNTS);
  code.countBytes(tables.STATISTICS, OP_F64_SUB);
  code.noteChange();
  code.noteTrace(() => code.storeTrace(OP_I32_STORE16, 2));
  erase(code);
  if (layout.validityBase >= 0) fillRange(code, layout.validityBase, 0);
  code.byte(OP_RETURN);
}

/** What bits 11:8 of a chunk's low word are that may be freed this way. */
function stateAndOrigin({ origin }: DirectWay): number {
  return (STATE_ALLOCATED << 8) | (origin << 10);
}

/**
 * The header is not the one that malloc gave a chunk of its size: one that was made smaller in its place has the class of its block
 * instead. Within an `if`.
 */
function leaveUnlessWhole(code: DirectCode): void {
  const { low, header, at, way } = code;
  code.localGet(low);
  code.constant(0xf00);
  code.byte(OP_I32_AND);
  code.constant(stateAndOrigin(way));
  code.byte(OP_I32_NE);
  code.localGet(low);
  code.constant(0xff);
  code.plain(OP_I32_AND, OP_I32_EQZ, OP_I32_OR);
  // The checksum is right, and the offset 0.
  code.localGet(at);
  code.wordSum();
  code.shiftLeft(16);
  code.localGet(header);
  code.constant64(32n);
  code.plain(OP_I64_SHR_U, OP_I32_WRAP_I64, OP_I32_NE, OP_I32_OR);
  code.branch(OP_BR_IF, 1);
}

function leaveUnlessOpen(code: DirectCode): void {
  code.loadWord(tables.GATE);
  code.branch(OP_BR_IF, 0);
  const { alignment } = code.way;
  if (alignment < 0) return;
  code.localGet(alignment);
  code.constant(16);
  code.byte(OP_I32_GT_U);
  code.branch(OP_BR_IF, 0);
}

/** Pushes how many bytes are wanted; leaves if two factors are not small. */
function sizeWanted(code: DirectCode): void {
  const { operand, factor } = code.way;
  code.localGet(operand);
  if (factor < 0) return;
  code.localGet(factor);
  code.byte(OP_I32_MUL);
  code.localGet(operand);
  code.localGet(factor);
  code.byte(OP_I32_OR);
  code.shiftRight(SMALL_FACTOR_BITS);
  code.branch(OP_BR_IF, 0);
}

/** Pushes the distance from the block's begin to the last byte that is written. */
function lastOfBlock(code: DirectCode): void {
  if (code.way.isZeroed) {
    code.fromRow(tables.BLOCK_SIZES);
    code.constant(1);
    code.byte(OP_I32_SUB);
  } else {
    code.localGet(code.size);
    code.constant(HEADER_SIZE - 1);
    code.byte(OP_I32_ADD);
  }
}
