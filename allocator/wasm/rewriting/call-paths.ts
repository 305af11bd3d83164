// A hash of the calls that lead to each call of the heap, kept by the module itself: the host takes a stack only of paths that it has
// not seen. What the host does with it is guest/path-traces.ts.
//
// One 64-bit word of memory above the guest's limit (layout.ts) is the path of the function that is being called; 0: the host calls.
// A second one stands for the host's own frames behind the guest's: 0, until the host has looked at them.
//  · A function that may come to the heap (it calls such a one, or by a table) takes the word at its begin. If that is 0, a path
//    begins, always by the same number, and the second word becomes 0.
//  · Before a call of such a function it stores  path << 4 ^ hash(call's place), so that the last 16 calls decide.
//  · Before a call of an import, and at its end, it stores 0. Where a path ends that it began, the second word becomes 0, too.
// A module with tail calls has no end to do so at, and keeps no paths.

import { BodyReader } from "../binary/body-reader.ts";
import {
  I64,
  OP_BLOCK,
  OP_BR,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_END,
  OP_I64_CONST,
  OP_I64_EQ,
  OP_I64_EQZ,
  OP_I64_LOAD,
  OP_I64_SHL,
  OP_I64_STORE,
  OP_I64_XOR,
  OP_IF,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
} from "../binary/instructions.ts";
import type { FunctionType, Module } from "../binary/module.ts";
import { type Code, EMPTY } from "./code.ts";
import { PATH_BYTES } from "./layout.ts";
import type { ScratchLocals } from "./scratch-locals.ts";

/** A path takes its callers' bits this far up at each call. */
const SHIFT = 4;
/** Where each path begins: a number that no call's hash leads to. 2^64 divided by the golden ratio. */
const FIRST = 0x9e3779b97f4a7c15n;

/** Which functions may come to the heap, by their index among the module's own; null: the module keeps no paths. */
export type PathFunctions = Uint8Array | null;

class Callers extends BodyReader {
  /** Direct calls, caller and callee one after the other, by function index. */
  readonly calls: number[] = [];
  readonly callsByTable: Uint8Array;
  hasTailCalls = false;

  constructor(module: Module) {
    super(module);
    this.callsByTable = new Uint8Array(module.bodyStart.length);
    for (let body = 0; body < module.bodyStart.length; body++) {
      this.begin(body);
      while (!this.isAtEnd) {
        this.decode();
        this.instruction(body);
      }
    }
  }

  private instruction(body: number): void {
    switch (this.opcode) {
      case OP_CALL:
        this.calls.push(this.functionIndex, this.first);
        break;
      case OP_CALL_INDIRECT:
        this.callsByTable[body] = 1;
        break;
      case OP_RETURN_CALL:
      case OP_RETURN_CALL_INDIRECT:
        this.hasTailCalls = true;
        break;
      default:
    }
  }
}

/** Cost: one reading of the code. @throws ModuleError: in a function's body */
export function findPathFunctions(module: Module, heapFunctions: ReadonlyMap<number, unknown>): PathFunctions {
  if (heapFunctions.size === 0) return null;
  const { calls, callsByTable, hasTailCalls } = new Callers(module);
  if (hasTailCalls) return null;
  const comesToHeap = callsByTable;
  const { importedFunctions } = module;
  for (const index of heapFunctions.keys()) comesToHeap[index - importedFunctions] = 1;
  for (let hasChanged = true; hasChanged; ) {
    hasChanged = false;
    for (let i = 0; i < calls.length; i += 2) {
      const caller = calls[i] - importedFunctions;
      if (comesToHeap[caller] === 1 || comesToHeap[calls[i + 1] - importedFunctions] !== 1) continue;
      comesToHeap[caller] = 1;
      hasChanged = true;
    }
  }
  return comesToHeap;
}

/** Writes what bodies have more, each at the place that its method says. */
export class CallPaths {
  private readonly module: Module;
  private readonly functions: Uint8Array;
  private readonly base: number;
  private readonly blockType: (results: Uint8Array) => number;
  private local = -1;

  /**
   * @param base address of the two words
   * @param blockType the block type of a block that leaves these results
   */
  constructor(module: Module, functions: Uint8Array, base: number, blockType: (results: Uint8Array) => number) {
    this.module = module;
    this.functions = functions;
    this.base = base;
    this.blockType = blockType;
  }

  /** At the begin of the `body`-th function. */
  begin(body: number, { results }: FunctionType, code: Code, scratch: ScratchLocals): void {
    this.local = -1;
    if (this.functions[body] !== 1) return;
    const path = scratch.fresh(I64);
    this.local = path;
    this.load(code, this.base);
    code.localTee(path);
    code.byte(OP_I64_EQZ);
    code.open(OP_IF);
    code.constant64(FIRST);
    code.localSet(path);
    this.storeZero(code, this.base + PATH_BYTES);
    code.byte(OP_END);
    code.byte(OP_BLOCK);
    const type = this.blockType(results);
    if (type < 0) code.byte(type & 0x7f);
    else code.s32(type);
  }

  /** In front of a call's operands' end: just before the instruction. `place` is its byte in the module. */
  call(opcode: number, callee: number, place: number, code: Code): void {
    const { importedFunctions } = this.module;
    if (opcode === OP_CALL && callee < importedFunctions) this.storeZero(code, this.base);
    else if (opcode === OP_CALL_INDIRECT || this.functions[callee - importedFunctions] === 1) {
      code.constant(0);
      code.localGet(this.local);
      code.constant64(BigInt(SHIFT));
      code.byte(OP_I64_SHL);
      code.constant64(hashOf(place));
      code.byte(OP_I64_XOR);
      code.memory(OP_I64_STORE, this.base);
    }
  }

  /** Writes the way out of a function in the place of a return; false: the instruction itself does. `depth` blocks are open. */
  return(depth: number, code: Code): boolean {
    if (this.local < 0) return false;
    code.branch(OP_BR, depth - 1);
    return true;
  }

  /** In front of the function's last end. */
  end(code: Code): void {
    if (this.local < 0) return;
    code.byte(OP_END);
    this.storeZero(code, this.base);
    code.localGet(this.local);
    code.constant64(FIRST);
    code.byte(OP_I64_EQ);
    code.open(OP_IF);
    this.storeZero(code, this.base + PATH_BYTES);
    code.byte(OP_END);
  }

  private load(code: Code, address: number): void {
    code.constant(0);
    code.memory(OP_I64_LOAD, address);
  }

  private storeZero(code: Code, address: number): void {
    code.constant(0);
    code.plain(OP_I64_CONST, 0);
    code.memory(OP_I64_STORE, address);
  }
}

/** Block types of blocks without parameters; several results need a type of their own. */
export function blockTypeOf(results: Uint8Array, addType: (type: FunctionType) => number): number {
  if (results.length === 0) return EMPTY - 128;
  if (results.length === 1) return results[0] - 128;
  return addType({ params: new Uint8Array(0), results });
}

/** 64 bits that look random: two rounds of MurmurHash3's finaliser. */
function hashOf(place: number): bigint {
  const half = (seed: number): bigint => {
    let bits = Math.imul(place ^ seed, 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return BigInt((bits ^ (bits >>> 16)) >>> 0);
  };
  return (half(0x9747b28c) << 32n) | half(0x3c6ef372);
}
