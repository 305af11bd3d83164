// Code for loads, stores and bulk instructions: the same access of the memory's shadow, which lies at a fixed distance.

import {
  ACCESS_BYTES,
  I32,
  IS_STORE,
  OP_END,
  OP_I32_ADD,
  OP_IF,
  OP_MEMORY_COPY,
  OP_MEMORY_FILL,
  OP_MEMORY_GROW,
  OP_MEMORY_INIT,
  OP_MEMORY_SIZE,
  OP_SELECT,
  OP_TABLE_COPY,
  OP_TABLE_GROW,
  OP_TABLE_INIT,
  OP_TABLE_SET,
  OPERANDS,
  POPS,
  PUSHES,
  V128,
} from "../binary/instructions.ts";
import { writeCheck } from "../rewriting/address-checks.ts";
import { PURPOSE_ADDRESS, PURPOSE_COUNT, PURPOSE_SUM, PURPOSE_VALUES } from "./definedness-body.ts";
import { DEFINED, pushZero } from "./slots.ts";
import { USE_ADDRESS, USE_LENGTH, USE_TABLE_INDEX, type Use } from "./targets.ts";
import { ValueCode } from "./value-code.ts";
import { shadowType } from "./widths.ts";

const LARGEST_OFFSET = 2 ** 32 - 1;
const F32_LOAD = 0x2a;
const F64_LOAD = 0x2b;
const F32_STORE = 0x38;
const F64_STORE = 0x39;

/** The offset of an access of the shadow. Of an access so far out that there is none, the check ends the guest's code before. */
export function shadowOffset(offset: number, validityBase: number): number {
  return Math.min(offset + validityBase, LARGEST_OFFSET);
}

export abstract class MemoryCode extends ValueCode {
  /** A load or store. */
  protected access(opcode: number): void {
    const { walker, slots, code, targets } = this;
    const count = POPS[opcode];
    const base = walker.height - count;
    const pushed = PUSHES[opcode];
    if (walker.isDead) {
      this.copy();
      if (pushed !== 0) this.leave(base);
      return;
    }
    this.checkSlot(base, I32, USE_ADDRESS);
    let address = slots.source(base);
    if (address < 0) address = this.keepAddress(opcode, count);
    this.checkAddress(opcode, address, slots.source(base) >= 0);
    // A lane's load keeps the vector's other lanes, so that its shadow needs the vector's.
    const vector = count === 2 && pushed !== 0 ? slots.shadow(base + 1) : DEFINED;
    const stored = IS_STORE[opcode] === 1 ? slots.shadow(base + 1) : DEFINED;
    this.copy();
    if (IS_STORE[opcode] === 1) this.storeShadow(opcode, address, stored);
    else {
      code.localGet(address);
      if (count === 2) {
        if (vector === DEFINED) pushZero(code, V128);
        else code.localGet(vector);
      }
      this.shadowAccess(opcode);
      const home = slots.setHome(base, pushed);
      code.localSet(home);
      this.pushIsUndefined(home, pushed);
      code.open(OP_IF);
      this.pushPlace(address);
      code.constant(ACCESS_BYTES[opcode]);
      code.call(targets.loadedHelper);
      code.localGet(address);
      if (count === 2) {
        if (vector === DEFINED) pushZero(code, V128);
        else code.localGet(vector);
      }
      this.shadowAccess(opcode);
      code.localSet(home);
      this.loadOrigin(opcode, address, home, vector);
      code.byte(OP_END);
    }
  }

  /** Puts the address into a local, from the top of the stack or from under the value. */
  private keepAddress(opcode: number, count: number): number {
    const { code, scratch } = this;
    const address = scratch.of(I32, PURPOSE_ADDRESS);
    if (count === 1) code.localTee(address);
    else {
      const value = scratch.of(OPERANDS[opcode * 3 + 1], PURPOSE_VALUES + 1);
      code.localSet(value);
      code.localTee(address);
      code.localGet(value);
    }
    return address;
  }

  private checkAddress(opcode: number, address: number, isSource: boolean): void {
    const { walker, scratch, code, targets, checked } = this;
    if (!targets.checksAccesses) return;
    const size = ACCESS_BYTES[opcode];
    const offset = walker.second;
    if (isSource && checked.has(address, offset, size, IS_STORE[opcode])) return;
    const sum = (offset & 7) === 0 ? -1 : scratch.of(I32, PURPOSE_SUM);
    writeCheck(code, targets, opcode, walker.first, address, offset, sum);
    if (isSource) checked.add(address, offset, size, IS_STORE[opcode]);
  }

  /** Pushes the address of the access that the instruction makes. */
  private pushPlace(address: number): void {
    this.code.localGet(address);
    if (this.walker.second === 0) return;
    this.code.constant(this.walker.second);
    this.code.byte(OP_I32_ADD);
  }

  /** The origin of what was loaded, else of the vector that it became a part of. */
  private loadOrigin(opcode: number, address: number, home: number, vector: number): void {
    const { code, origins, targets } = this;
    if (!targets.tracksOrigins) return;
    this.pushPlace(address);
    code.constant(ACCESS_BYTES[opcode]);
    code.call(targets.loadOriginHelper);
    if (vector !== DEFINED) {
      const loaded = this.scratch.of(I32, PURPOSE_SUM);
      code.localTee(loaded);
      code.localGet(origins.of(vector));
      code.localGet(loaded);
      code.byte(OP_SELECT);
    }
    code.localSet(origins.of(home));
  }

  private storeShadow(opcode: number, address: number, stored: number): void {
    const { code, targets } = this;
    const type = OPERANDS[opcode * 3 + 1];
    code.localGet(address);
    if (stored === DEFINED) pushZero(code, type);
    else code.localGet(stored);
    this.shadowAccess(opcode);
    if (stored === DEFINED) return;
    this.pushIsUndefined(stored, type);
    code.open(OP_IF);
    this.pushPlace(address);
    code.constant(ACCESS_BYTES[opcode]);
    if (targets.tracksOrigins) code.localGet(this.origins.of(stored));
    code.call(targets.storedHelper);
    code.byte(OP_END);
  }

  /** The same access of the memory's shadow, which has integers where there are floats. */
  private shadowAccess(opcode: number): void {
    const { code, walker, targets, module } = this;
    const offset = shadowOffset(walker.second, targets.validityBase);
    const integer = INTEGER_ACCESSES.get(opcode) ?? opcode;
    if (integer < 0x200) code.byte(integer);
    else {
      code.byte(0xfd);
      code.u32(integer - 0x200);
    }
    code.u32(0);
    code.u32(offset);
    // A lane's number is the last immediate.
    if (POPS[opcode] === 2 && OPERANDS[opcode * 3 + 1] === V128 && ACCESS_BYTES[opcode] < 16)
      code.byte(module.bytes[walker.end - 1]);
  }

  /** Instructions on memory and tables as a whole. */
  protected bulk(opcode: number): void {
    const { walker, slots, code, targets } = this;
    const base = walker.height - POPS[opcode];
    if (walker.isDead) {
      this.copy();
      if (PUSHES[opcode] !== 0) this.leave(base);
      return;
    }
    const fillValue = opcode === OP_MEMORY_FILL ? slots.shadow(base + 1) : DEFINED;
    for (let i = 0; i < POPS[opcode]; i++) {
      const type = OPERANDS[opcode * 3 + i];
      if (shadowType(type) === 0 || (opcode === OP_MEMORY_FILL && i === 1)) continue;
      this.checkSlot(base + i, type, useOf(opcode, i));
    }
    switch (opcode) {
      case OP_MEMORY_SIZE:
        code.globalGet(targets.pagesGlobal);
        break;
      case OP_MEMORY_GROW:
        code.call(targets.growHelper);
        this.checked.forgetAll();
        break;
      case OP_MEMORY_COPY:
        code.call(targets.copyShadowHelper);
        break;
      case OP_MEMORY_FILL:
        if (fillValue === DEFINED) code.constant(0);
        else code.localGet(fillValue);
        if (targets.tracksOrigins) {
          if (fillValue === DEFINED) code.constant(0);
          else code.localGet(this.origins.of(fillValue));
        }
        code.call(targets.fillShadowHelper);
        break;
      case OP_MEMORY_INIT:
        this.memoryInit();
        break;
      default:
        this.copy();
    }
    if (PUSHES[opcode] !== 0) slots.setDefined(base);
  }

  private memoryInit(): void {
    const { scratch, code, targets } = this;
    const to = scratch.of(I32, PURPOSE_ADDRESS);
    const from = scratch.of(I32, PURPOSE_VALUES);
    const count = scratch.of(I32, PURPOSE_COUNT);
    code.localSet(count);
    code.localSet(from);
    code.localSet(to);
    if (targets.checksAccesses) {
      code.localGet(to);
      code.localGet(count);
      code.call(targets.wholeStoreHelper);
    }
    code.localGet(to);
    code.localGet(from);
    code.localGet(count);
    this.copy();
    code.localGet(to);
    code.constant(targets.validityBase);
    code.byte(OP_I32_ADD);
    code.constant(0);
    code.localGet(count);
    code.fillMemory();
  }
}

/** What an undefined operand of an instruction on memory or a table is used as. */
function useOf(opcode: number, operand: number): Use {
  const isTable = opcode >= OP_TABLE_INIT || opcode === OP_TABLE_SET;
  const isPlace = operand === 0 && opcode !== OP_MEMORY_GROW && opcode !== OP_TABLE_GROW;
  const isSource = operand === 1 && (opcode === OP_MEMORY_COPY || opcode === OP_TABLE_COPY);
  if (!isPlace && !isSource) return USE_LENGTH;
  return isTable ? USE_TABLE_INDEX : USE_ADDRESS;
}

/** Loads and stores of floats, and those of integers as wide. */
const INTEGER_ACCESSES = new Map([
  [F32_LOAD, 0x28],
  [F64_LOAD, 0x29],
  [F32_STORE, 0x36],
  [F64_STORE, 0x37],
]);
