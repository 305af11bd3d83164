// The functions that are added to a module: the closer look at an address, checked bulk operations, the way to the host.
// They are WebAssembly, so that only what the shadow cannot answer leaves for JavaScript, by a table of their own.

import {
  I32,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_ELSE,
  OP_END,
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_EQ,
  OP_I32_EQZ,
  OP_I32_GE_U,
  OP_I32_GT_U,
  OP_I32_LE_U,
  OP_I32_LOAD8_S,
  OP_I32_LT_U,
  OP_I32_NE,
  OP_I32_OR,
  OP_I32_SHL,
  OP_I32_SUB,
  OP_I64_CONST,
  OP_I64_EQ,
  OP_I64_LOAD,
  OP_IF,
  OP_LOOP,
  OP_RETURN,
} from "../binary/instructions.ts";
import type { FunctionType, Module } from "../binary/module.ts";
import { writeGranule } from "./address-checks.ts";
import { Code } from "./code.ts";
import { SHADOW_ABSENT, SHADOW_CLEAN, SHADOW_COUNT } from "./layout.ts";
import { ROOM_LEVELS } from "./stack-room.ts";

const MASK_7 = 7;
/** A stack pointer that moves further than this changes to another stack. */
export const LONGEST_FRAME = 2 ** 20;
/** So many bytes lie in at most two granules, wherever they begin. */
const MOST_IN_TWO_GRANULES = 9;

export const ADDRESS_AND_SIZE: FunctionType = { params: Uint8Array.of(I32, I32), results: new Uint8Array(0) };
export const THREE_NUMBERS: FunctionType = { params: Uint8Array.of(I32, I32, I32), results: new Uint8Array(0) };
export const ONE_TO_ONE: FunctionType = { params: Uint8Array.of(I32), results: Uint8Array.of(I32) };
export const NOTHING_TO_NOTHING: FunctionType = { params: new Uint8Array(0), results: new Uint8Array(0) };
export const ONE_NUMBER: FunctionType = { params: Uint8Array.of(I32), results: new Uint8Array(0) };

/** Where a helper finds the host: a slot of the added table, called with a type. */
export interface HostSlot {
  readonly table: number;
  readonly slot: number;
  readonly type: number;
  /** The function that looks for room on the stack; −1: the module has no memory, and the host nothing to do. */
  readonly room: number;
}

export function callHost(code: Code, { table, slot, type, room }: HostSlot): void {
  if (room >= 0) {
    code.constant(ROOM_LEVELS);
    code.call(room);
  }
  code.constant(slot);
  code.callIndirect(type, table);
}

/** Begins a body with `locals` more of type i32. */
export function begin(locals: number): Code {
  const code = new Code(256);
  if (locals === 0) code.byte(0);
  else {
    code.two(1, locals);
    code.byte(I32);
  }
  return code;
}

/** Ends a body. */
export function finish(code: Code): Uint8Array {
  code.byte(OP_END);
  return code.written.slice();
}

/** An access by an instruction of its own, or bytes of which only the range is given: a copy's, or those that a function is asked for. */
export type RangeKind = "load" | "store" | "whole load" | "whole store";

/**
 * (address, size): returns if all bytes are the program's in a page that takes the access, else asks the host, which may throw.
 * Granules are looked at one by one, eight at a time where they are plainly writable.
 */
export function rangeHelper(shadowBase: number, pagesGlobal: number, kind: RangeKind, host: HostSlot): Uint8Array {
  const [address, size, last, at, state] = [0, 1, 2, 3, 4];
  const isStore = kind === "store" || kind === "whole store";
  const code = begin(3);
  code.open(OP_BLOCK);
  // Nothing to access: it still must lie inside the guest's memory.
  code.localGet(size);
  code.byte(OP_I32_EQZ);
  code.open(OP_IF);
  code.localGet(address);
  code.globalGet(pagesGlobal);
  code.constant(16);
  code.plain(OP_I32_SHL, OP_I32_GT_U);
  code.branch(OP_BR_IF, 1);
  code.byte(OP_RETURN);
  code.byte(OP_END);
  code.localGet(address);
  code.localGet(size);
  code.byte(OP_I32_ADD);
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.localTee(last);
  code.localGet(address);
  code.byte(OP_I32_LT_U);
  code.branch(OP_BR_IF, 0);
  code.localGet(last);
  writeGranule(code);
  code.localSet(last);
  code.localGet(address);
  writeGranule(code);
  code.localSet(at);
  code.open(OP_LOOP);
  // Eight granules together, if the last one is not among them.
  code.localGet(last);
  code.localGet(at);
  code.byte(OP_I32_SUB);
  code.constant(8);
  code.byte(OP_I32_GT_U);
  code.open(OP_IF);
  code.localGet(at);
  code.memory(OP_I64_LOAD, shadowBase);
  code.two(OP_I64_CONST, 0x7f);
  code.byte(OP_I64_EQ);
  code.open(OP_IF);
  code.localGet(at);
  code.constant(8);
  code.byte(OP_I32_ADD);
  code.localSet(at);
  code.branch(OP_BR, 2);
  code.plain(OP_END, OP_END);
  code.localGet(at);
  code.memory(OP_I32_LOAD8_S, shadowBase);
  code.localTee(state);
  code.constant(isStore ? -1 : -2);
  code.byte(isStore ? OP_I32_NE : OP_I32_LT_U);
  code.open(OP_IF);
  // Of the last granule, some bytes may do.
  code.localGet(at);
  code.localGet(last);
  code.byte(OP_I32_NE);
  code.branch(OP_BR_IF, 2);
  code.localGet(state);
  code.constant(SHADOW_ABSENT | (isStore ? SHADOW_CLEAN : 0));
  code.byte(OP_I32_AND);
  code.branch(OP_BR_IF, 2);
  code.localGet(address);
  if (kind === "load") partialLoad(code, address, size);
  else lastByte(code, size);
  code.constant(MASK_7);
  code.byte(OP_I32_AND);
  code.localGet(state);
  code.constant(SHADOW_COUNT);
  code.plain(OP_I32_AND, OP_I32_GE_U);
  code.branch(OP_BR_IF, 2);
  code.byte(OP_RETURN);
  code.byte(OP_END);
  code.localGet(at);
  code.localGet(last);
  code.byte(OP_I32_EQ);
  code.open(OP_IF);
  code.byte(OP_RETURN);
  code.byte(OP_END);
  code.localGet(at);
  code.constant(1);
  code.byte(OP_I32_ADD);
  code.localSet(at);
  code.branch(OP_BR, 0);
  code.plain(OP_END, OP_END);
  code.localGet(address);
  code.localGet(size);
  callHost(code, host);
  return finish(code);
}

/** Makes the address of the last byte from that of the first. */
function lastByte(code: Code, size: number): void {
  code.localGet(size);
  code.byte(OP_I32_ADD);
  code.constant(1);
  code.byte(OP_I32_SUB);
}

/**
 * As {@link lastByte}, but of an aligned word of 4 or 8 bytes the first byte is enough: functions that go over strings by words read
 * beyond the end of a block (guest.ts, isAlignedWord).
 */
function partialLoad(code: Code, address: number, size: number): void {
  code.localGet(size);
  code.constant(4);
  code.byte(OP_I32_EQ);
  code.localGet(size);
  code.constant(8);
  code.plain(OP_I32_EQ, OP_I32_OR);
  code.localGet(address);
  code.localGet(size);
  code.constant(1);
  code.plain(OP_I32_SUB, OP_I32_AND, OP_I32_EQZ, OP_I32_AND);
  code.two(OP_IF, I32);
  code.constant(0);
  code.byte(OP_ELSE);
  code.localGet(size);
  code.constant(1);
  code.byte(OP_I32_SUB);
  code.byte(OP_END);
  code.byte(OP_I32_ADD);
}

/** What a function's arguments say that it accesses: (to, from, count), or (to, value, count). */
export type WholeKind = "copy" | "fill";

/** The range that begins at a parameter, and the function (address, size) that checks it. */
export interface ArgumentRange {
  readonly address: number;
  readonly helper: number;
}

/**
 * (to, from or value, count): checks ranges, unless they are empty. Of a few bytes, which sorts and hash tables copy, the granules of
 * both ends are all that there are.
 */
export function rangesHelper(ranges: readonly ArgumentRange[], shadowBase: number): Uint8Array {
  const count = 2;
  const code = begin(0);
  code.localGet(count);
  code.open(OP_IF);
  for (const [i, { address }] of ranges.entries()) {
    for (const isLast of [false, true]) {
      code.localGet(address);
      if (isLast) lastByte(code, count);
      writeGranule(code);
      code.memory(OP_I32_LOAD8_S, shadowBase);
      if (i > 0 || isLast) code.byte(OP_I32_AND);
    }
  }
  code.constant(-1);
  code.byte(OP_I32_NE);
  code.localGet(count);
  code.constant(MOST_IN_TWO_GRANULES);
  code.plain(OP_I32_GT_U, OP_I32_OR);
  code.open(OP_IF);
  for (const { address, helper } of ranges) {
    code.localGet(address);
    code.localGet(count);
    code.call(helper);
  }
  code.plain(OP_END, OP_END);
  return finish(code);
}

/** memory.copy (to, from, count), with both ranges checked first. */
export function copyHelper(loadHelper: number, storeHelper: number): Uint8Array {
  const code = begin(0);
  code.localGet(1);
  code.localGet(2);
  code.call(loadHelper);
  code.localGet(0);
  code.localGet(2);
  code.call(storeHelper);
  for (const local of [0, 1, 2]) code.localGet(local);
  code.plain(0xfc, 10, 0, 0);
  return finish(code);
}

/** memory.fill (to, value, count). */
export function fillHelper(storeHelper: number): Uint8Array {
  const code = begin(0);
  code.localGet(0);
  code.localGet(2);
  code.call(storeHelper);
  for (const local of [0, 1, 2]) code.localGet(local);
  code.plain(0xfc, 11, 0);
  return finish(code);
}

/**
 * Stores each active data segment where its expression says. The host is called before, with the address and the segment's number,
 * and throws if the guest's memory ends too early: the engine's memory is longer.
 */
export function segmentsHelper({ bytes, data }: Module, host: HostSlot): Uint8Array {
  const code = begin(0);
  for (const [index, { isPassive, expressionStart, expressionEnd, start, end }] of data.entries()) {
    if (isPassive) continue;
    const address = () => code.append(bytes, expressionStart, expressionEnd - 1);
    address();
    code.constant(index);
    callHost(code, host);
    address();
    code.constant(0);
    code.constant(end - start);
    code.plain(0xfc, 8);
    code.u32(index);
    code.byte(0);
    code.plain(0xfc, 9);
    code.u32(index);
  }
  return finish(code);
}

/**
 * (new stack pointer) that is lower than any before: asks the host if it is too low, else notes it, so that what lies between is
 * known for the stack's. A pointer that moves far changes to another stack, of a program that has several.
 */
export function deepestHelper(
  stack: { readonly global: number; readonly lowest: number },
  deepest: number,
  host: HostSlot,
): Uint8Array {
  const value = 0;
  const code = begin(0);
  code.localGet(value);
  code.constant(stack.lowest);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  code.localGet(value);
  callHost(code, host);
  code.byte(OP_ELSE);
  code.globalGet(stack.global);
  code.globalGet(deepest);
  code.byte(OP_I32_GE_U);
  code.globalGet(stack.global);
  code.localGet(value);
  code.byte(OP_I32_SUB);
  code.constant(LONGEST_FRAME);
  code.plain(OP_I32_LE_U, OP_I32_AND);
  code.open(OP_IF);
  code.localGet(value);
  code.globalSet(deepest);
  code.plain(OP_END, OP_END);
  return finish(code);
}

/** A function of any type that is the host's: all its parameters go there, and the result comes from there; `head` comes first. */
export function hostFunction(params: number, host: HostSlot, head: Uint8Array = new Uint8Array(0)): Uint8Array {
  const code = begin(0);
  code.append(head, 0, head.length);
  passOn(code, params, host);
  return finish(code);
}

/** Calls the host with a function's own parameters. */
export function passOn(code: Code, params: number, host: HostSlot): void {
  for (let param = 0; param < params; param++) code.localGet(param);
  callHost(code, host);
}
