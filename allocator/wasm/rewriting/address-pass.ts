// Rewrites one function body so that every load, store and bulk operation is checked, and memory.size and memory.grow are asked of
// the simulated kernel. How a check looks is address-checks.ts; the functions that are called are helpers.ts.

import { BodyWalker } from "../binary/body-walker.ts";
import {
  ACCESS_BYTES,
  DEPENDS,
  I32,
  IS_STORE,
  OP_BLOCK,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_ELSE,
  OP_END,
  OP_GLOBAL_SET,
  OP_I32_LT_U,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_LOOP,
  OP_MEMORY_COPY,
  OP_MEMORY_FILL,
  OP_MEMORY_GROW,
  OP_MEMORY_INIT,
  OP_MEMORY_SIZE,
  OP_RETURN,
  OPERANDS,
  POPS,
} from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import { type CheckTargets, writeCheck } from "./address-checks.ts";
import type { CallPaths } from "./call-paths.ts";
import { CheckedAddresses } from "./checked-addresses.ts";
import { Code } from "./code.ts";
import type { WholeKind } from "./helpers.ts";
import { appendBody, type OffsetObserver } from "./rewritten-body.ts";
import { ScratchLocals } from "./scratch-locals.ts";
import { StraightRun } from "./straight-run.ts";

/** Purposes of scratch locals. */
const PURPOSE_ADDRESS = 0;
const PURPOSE_SUM = 1;
const PURPOSE_VALUE = 2;
const PURPOSE_COUNT = 3;

/** Indices of what the pass calls. */
export interface PassTargets extends CheckTargets {
  /** Functions (address, size) of ranges that are no instruction's. */
  readonly wholeStoreHelper: number;
  readonly copyHelper: number;
  readonly fillHelper: number;
  readonly growHelper: number;
  /** Check what C's memcpy or memset, or one like it, is asked for. They are called where it begins, with its arguments. */
  readonly rangesHelpers: Readonly<Record<WholeKind, number>>;
  /** Functions that are so: inside, their loads look like those that go over strings by words, and may pass an end. */
  readonly wholeFunctions: ReadonlyMap<number, WholeKind>;
  /** Keeps the paths of calls that lead to the heap; or null. */
  readonly paths: CallPaths | null;
  /** The i32 global with the guest's memory size in pages. */
  readonly pagesGlobal: number;
  /** Whether loads and stores are checked; if not, only memory.size and memory.grow are replaced. */
  readonly checksAccesses: boolean;
  /** The guest's stack pointer, the global with the least value that it had, and the function that is called with a lesser one; or null. */
  readonly stack: { readonly global: number; readonly deepest: number; readonly helper: number } | null;
}

/** Of a new stack pointer, in a local: whether it is deeper than any before. */
export function writeStackCheck(code: Code, { stack, checksAccesses }: PassTargets, value: number): void {
  if (stack === null || !checksAccesses) return;
  code.localGet(value);
  code.globalGet(stack.deepest);
  code.byte(OP_I32_LT_U);
  code.open(OP_IF);
  code.localGet(value);
  code.call(stack.helper);
  code.byte(OP_END);
}

/** Of a function that copies or fills, the check of all that it is asked for. */
export function writeWholeCheck(code: Code, targets: PassTargets, functionIndex: number): void {
  const kind = targets.wholeFunctions.get(functionIndex);
  if (kind === undefined) return;
  for (const parameter of [0, 1, 2]) code.localGet(parameter);
  code.call(targets.rangesHelpers[kind]);
}

export class AddressPass {
  private readonly module: Module;
  private readonly targets: PassTargets;
  private readonly walker: BodyWalker;
  private readonly code = new Code(4096);
  private readonly scratch = new ScratchLocals();
  private readonly checked = new CheckedAddresses();
  /** For each slot of the operand stack: the local whose value it is, plus 1, while that local has not been set again; 0: unknown. */
  private sources = new Int32Array(256);
  private readonly run: StraightRun;

  constructor(module: Module, targets: PassTargets) {
    this.module = module;
    this.targets = targets;
    this.walker = new BodyWalker(module);
    this.run = new StraightRun(module, this.walker, this.code, targets.shadowBase);
  }

  /** Appends the new body of the `body`-th defined function, with its length. @throws ModuleError */
  rewrite(body: number, out: Code, observer: OffsetObserver | null = null): void {
    const { walker, code, scratch, module } = this;
    walker.begin(body);
    code.length = 0;
    scratch.begin(walker.localCount);
    this.checked.begin();
    this.run.beginBody();
    this.targets.paths?.begin(body, walker.type, code, scratch);
    writeWholeCheck(code, this.targets, walker.functionIndex);
    const sum = () => scratch.of(I32, PURPOSE_SUM);
    while (walker.next()) {
      this.run.next(observer, sum);
      this.instruction();
    }
    appendBody(out, { module, walker, scratch, code }, observer);
  }

  private instruction(): void {
    const { walker } = this;
    const { opcode } = walker;
    if (ACCESS_BYTES[opcode] !== 0) this.access(opcode);
    else if (opcode === OP_LOCAL_GET) this.localGet();
    else if (opcode === OP_LOCAL_SET || opcode === OP_LOCAL_TEE) this.localSet(opcode);
    else if (POPS[opcode] === DEPENDS) this.dependent(opcode);
    else this.other(opcode);
  }

  private copy(): void {
    const { walker } = this;
    this.code.append(this.module.bytes, walker.start, walker.end);
  }

  private setSource(slot: number, source: number): void {
    if (slot >= this.sources.length) {
      const longer = new Int32Array(slot * 2);
      longer.set(this.sources);
      this.sources = longer;
    }
    this.sources[slot] = source;
  }

  private localGet(): void {
    const { walker } = this;
    this.copy();
    this.setSource(walker.height, walker.first + 1);
  }

  private localSet(opcode: number): void {
    const { walker, sources } = this;
    const { first: local, height } = walker;
    this.copy();
    for (let slot = 0; slot < height; slot++) if (sources[slot] === local + 1) sources[slot] = 0;
    this.checked.forgetLocal(local);
    if (opcode === OP_LOCAL_TEE && height > walker.floor) this.setSource(height - 1, local + 1);
  }

  /** Instructions whose stack effect the tables have. */
  private other(opcode: number): void {
    const { walker, targets } = this;
    if (opcode === OP_MEMORY_SIZE) this.code.globalGet(targets.pagesGlobal);
    else if (opcode === OP_MEMORY_GROW) {
      this.code.call(targets.growHelper);
      this.checked.forgetAll();
    } else if (opcode === OP_MEMORY_COPY && targets.checksAccesses) this.code.call(targets.copyHelper);
    else if (opcode === OP_MEMORY_FILL && targets.checksAccesses) this.code.call(targets.fillHelper);
    else if (opcode === OP_MEMORY_INIT && targets.checksAccesses) this.memoryInit();
    else this.copy();
    this.setSource(Math.max(walker.height - POPS[opcode], walker.floor), 0);
  }

  private dependent(opcode: number): void {
    const { walker, checked, targets, code } = this;
    switch (opcode) {
      case OP_BLOCK:
      case OP_LOOP:
      case OP_IF:
        checked.open(opcode === OP_LOOP);
        if (opcode === OP_LOOP) {
          this.run.loop();
          const { length } = walker.paramsOf(walker.first);
          this.forgetSources(walker.height - length, length);
        }
        break;
      case OP_ELSE:
        checked.alternate();
        this.forgetSources(walker.floor, walker.blockParams.length);
        break;
      case OP_END:
        checked.close();
        if (walker.depth === 1) targets.paths?.end(code);
        this.forgetSources(walker.floor, walker.blockResults.length);
        break;
      case OP_CALL:
      case OP_CALL_INDIRECT: {
        const { params, results } = walker.callee;
        checked.forgetAll();
        targets.paths?.call(opcode, walker.first, walker.start, code);
        this.forgetSources(walker.height - params.length - (opcode === OP_CALL ? 0 : 1), results.length);
        break;
      }
      case OP_RETURN:
        if (targets.paths?.return(walker.depth, code) === true) return;
        break;
      case OP_GLOBAL_SET:
        this.globalSet();
        return;
      default:
        // All that is left pushes one operand at most, where its first was or, without any, on top.
        this.forgetSources(walker.height - 3, 4);
    }
    this.copy();
  }

  private forgetSources(slot: number, count: number): void {
    const from = Math.max(this.walker.floor, slot);
    for (let at = from; at < from + count; at++) this.setSource(at, 0);
  }

  private globalSet(): void {
    const { walker, targets, code } = this;
    if (walker.first === targets.stack?.global && !walker.isDead) {
      const value = this.scratch.of(I32, PURPOSE_ADDRESS);
      code.localSet(value);
      writeStackCheck(code, targets, value);
      code.localGet(value);
    }
    this.copy();
  }

  private access(opcode: number): void {
    const { walker, targets } = this;
    const { height } = walker;
    const pops = POPS[opcode];
    if (targets.checksAccesses && !walker.isDead) {
      const slot = height - pops;
      const source = this.sources[slot] - 1;
      if (source >= 0) this.checkLocal(opcode, source);
      else if (pops === 1) this.checkTop(opcode);
      else this.checkUnder(opcode);
    }
    this.copy();
    this.setSource(Math.max(height - pops, walker.floor), 0);
  }

  /** The address is a local's value. */
  private checkLocal(opcode: number, local: number): void {
    const { walker, checked } = this;
    const size = ACCESS_BYTES[opcode];
    const isStore = IS_STORE[opcode];
    const offset = walker.second;
    if (checked.has(local, offset, size, isStore)) return;
    this.writeCheck(opcode, local);
    checked.add(local, offset, size, isStore);
  }

  private writeCheck(opcode: number, local: number): void {
    const { walker, scratch, code, targets } = this;
    this.run.access();
    const sum = (walker.second & 7) === 0 ? -1 : scratch.of(I32, PURPOSE_SUM);
    writeCheck(code, targets, opcode, walker.first, local, walker.second, sum);
  }

  /** The address is the top of the stack: a load's. */
  private checkTop(opcode: number): void {
    const address = this.scratch.of(I32, PURPOSE_ADDRESS);
    this.code.localTee(address);
    this.writeCheck(opcode, address);
  }

  /** The address lies under a value. */
  private checkUnder(opcode: number): void {
    const { scratch, code } = this;
    const address = scratch.of(I32, PURPOSE_ADDRESS);
    const value = scratch.of(OPERANDS[opcode * 3 + 1], PURPOSE_VALUE);
    code.localSet(value);
    code.localTee(address);
    this.writeCheck(opcode, address);
    code.localGet(value);
  }

  private memoryInit(): void {
    const { scratch, code, targets } = this;
    const to = scratch.of(I32, PURPOSE_ADDRESS);
    const from = scratch.of(I32, PURPOSE_VALUE);
    const count = scratch.of(I32, PURPOSE_COUNT);
    code.localSet(count);
    code.localSet(from);
    code.localTee(to);
    code.localGet(count);
    code.call(targets.wholeStoreHelper);
    code.localGet(to);
    code.localGet(from);
    code.localGet(count);
    this.copy();
  }
}
