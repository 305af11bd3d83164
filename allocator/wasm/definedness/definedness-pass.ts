// Rewrites one function body so that undefined bits follow its values: each local and each slot of the operand stack has a shadow,
// memory has one at a fixed distance, and what must not depend on undefined bits is reported. It checks addresses, too.
// Here is the walk and control flow: where paths join, the shadows of operands are in their slots' homes.

import { tableLabels } from "../binary/body-reader.ts";
import {
  ACCESS_BYTES,
  DEPENDS,
  I32,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_DROP,
  OP_ELSE,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I32_AND,
  OP_I32_EQZ,
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
  OP_REF_FUNC,
  OP_REF_NULL,
  OP_RETURN,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
  OP_SELECT,
  OP_SELECT_TYPED,
  OP_TABLE_COPY,
  OP_TABLE_FILL,
  OP_TABLE_GET,
  OP_TABLE_GROW,
  OP_TABLE_INIT,
  OP_TABLE_SET,
  OP_UNREACHABLE,
  POPS,
  PUSHES,
  UNKNOWN,
  V128,
} from "../binary/instructions.ts";
import type { Module } from "../binary/module.ts";
import { writeWholeCheck } from "../rewriting/address-pass.ts";
import type { Code } from "../rewriting/code.ts";
import { appendBody, type OffsetObserver } from "../rewriting/rewritten-body.ts";
import { CallCode } from "./call-code.ts";
import { DefinedRun } from "./defined-run.ts";
import { PURPOSE_BRANCH, PURPOSE_CONDITION, PURPOSE_LOOK, PURPOSE_VALUES } from "./definedness-body.ts";
import { DEFINED, pushZero } from "./slots.ts";
import { type DefinednessTargets, USE_CONDITION, USE_TABLE_INDEX } from "./targets.ts";
import { shadowType, widthOf } from "./widths.ts";

const SIMD_OR = 0x50;
const SIMD_XOR = 0x51;

/** Instructions on memory and tables as a whole. */
const BULK = new Set([
  OP_MEMORY_SIZE,
  OP_MEMORY_GROW,
  OP_MEMORY_COPY,
  OP_MEMORY_FILL,
  OP_MEMORY_INIT,
  OP_TABLE_SET,
  OP_TABLE_INIT,
  OP_TABLE_COPY,
  OP_TABLE_GROW,
  OP_TABLE_FILL,
]);

export class DefinednessPass extends CallCode {
  private readonly run: DefinedRun;

  constructor(module: Module, targets: DefinednessTargets) {
    super(module, targets);
    const { walker, code, scratch, known, slots } = this;
    const localShadow = (local: number): number => this.localShadow(local);
    const takesFrame = (base: number): boolean => this.takesFrame(base);
    this.run = new DefinedRun({ module, walker, code, scratch, targets, known, slots, localShadow, takesFrame });
  }

  /** Appends the new body of the `body`-th defined function, with its length. @throws ModuleError */
  rewrite(body: number, out: Code, observer: OffsetObserver | null = null): void {
    const { walker, code, scratch, module, known } = this;
    known.forget();
    do this.walk(body, null);
    while (known.isWrong);
    if (observer !== null) this.walk(body, observer);
    appendBody(out, { module, walker, scratch, code }, observer);
  }

  /** Writes the body's code once, by what earlier walks found out of its loops. Each walk that is wrong finds out more. */
  private walk(body: number, observer: OffsetObserver | null): void {
    const { walker, code, scratch } = this;
    walker.begin(body);
    code.length = 0;
    scratch.begin(walker.localCount);
    this.checked.begin();
    this.run.beginBody();
    this.beginLocals();
    this.beginValues();
    this.targets.paths?.begin(body, walker.type, code, scratch);
    this.takeArguments();
    writeWholeCheck(code, this.targets, walker.functionIndex);
    const look = () => scratch.of(I32, PURPOSE_LOOK);
    while (walker.next()) {
      this.run.next(observer, look);
      this.instruction();
    }
  }

  private instruction(): void {
    const { opcode } = this.walker;
    this.sinceStack++;
    if (ACCESS_BYTES[opcode] !== 0) this.access(opcode);
    else if (opcode === OP_LOCAL_GET) this.localGet();
    else if (opcode === OP_LOCAL_SET || opcode === OP_LOCAL_TEE) this.localSet(opcode);
    else if (opcode === OP_GLOBAL_GET || opcode === OP_GLOBAL_SET) this.globalAccess(opcode);
    else if (BULK.has(opcode)) this.bulk(opcode);
    else if (POPS[opcode] === DEPENDS) this.dependent(opcode);
    else if (POPS[opcode] === 0) this.constant(opcode);
    else this.compute(opcode);
  }

  private constant(opcode: number): void {
    const { walker } = this;
    this.copy();
    if (PUSHES[opcode] === 0) return;
    this.slots.setDefined(walker.height);
    this.facts.constant(walker.height, opcode, walker.start);
  }

  private dependent(opcode: number): void {
    const { walker } = this;
    switch (opcode) {
      case OP_BLOCK:
      case OP_LOOP:
      case OP_IF:
        this.openBlock(opcode);
        break;
      case OP_ELSE:
        this.alternate();
        break;
      case OP_END:
        this.closeBlock();
        break;
      case OP_BR:
        if (!walker.isDead) this.branch(walker.first, 0);
        if (!walker.isDead && walker.first === walker.depth - 1) this.leaveLeafFrame();
        this.copy();
        break;
      case OP_BR_IF:
        this.branchIf();
        break;
      case OP_BR_TABLE:
        this.branchTable();
        break;
      case OP_RETURN:
        if (!walker.isDead) this.returnResults();
        if (this.targets.paths?.return(walker.depth, this.code) !== true) this.copy();
        break;
      case OP_CALL:
      case OP_CALL_INDIRECT:
      case OP_RETURN_CALL:
      case OP_RETURN_CALL_INDIRECT:
        this.call(opcode);
        break;
      case OP_SELECT:
      case OP_SELECT_TYPED:
        this.select(opcode);
        break;
      case OP_TABLE_GET:
        if (!walker.isDead) this.checkSlot(walker.height - 1, I32, USE_TABLE_INDEX);
        this.copy();
        this.leave(walker.height - 1);
        break;
      case OP_REF_NULL:
      case OP_REF_FUNC:
        this.copy();
        this.slots.setDefined(walker.height);
        break;
      case OP_DROP:
      case OP_UNREACHABLE:
        this.copy();
        break;
      default:
        this.copy();
    }
  }

  private openBlock(opcode: number): void {
    const { walker, slots, known, checked } = this;
    const isLoop = opcode === OP_LOOP;
    if (!walker.isDead) {
      const conditions = opcode === OP_IF ? 1 : 0;
      if (conditions === 1) this.checkCondition(walker.height - 1);
      const height = walker.height - conditions;
      slots.unshareAll(height);
      const params = walker.paramsOf(walker.first);
      if (opcode !== OP_BLOCK) {
        const base = height - params.length;
        for (let i = 0; i < params.length; i++) {
          slots.copyHome(base + i, base + i, params[i]);
          slots.setHome(base + i, params[i]);
        }
      }
    }
    if (isLoop) this.run.loop();
    this.copy();
    if (isLoop) this.facts.join();
    checked.open(isLoop);
    known.open(isLoop);
  }

  /** The shadows of a block's results go home, where every path to its end puts them. */
  private resultsHome(): void {
    const { walker, slots } = this;
    if (walker.isDead) return;
    const types = walker.blockResults;
    for (let i = 0; i < types.length; i++) slots.copyHome(walker.floor + i, walker.floor + i, types[i]);
  }

  private alternate(): void {
    const { walker, slots } = this;
    this.resultsHome();
    this.copy();
    this.facts.join();
    this.checked.alternate();
    this.known.alternate();
    for (const [i, type] of walker.blockParams.entries()) slots.setHome(walker.floor + i, type);
  }

  private closeBlock(): void {
    const { walker, slots } = this;
    if (walker.depth === 1) {
      if (!walker.isDead) this.returnResults();
      this.targets.paths?.end(this.code);
      this.copy();
      return;
    }
    this.resultsHome();
    this.copy();
    this.facts.join();
    this.checked.close();
    this.known.close();
    for (const [i, type] of walker.blockResults.entries()) slots.setHome(walker.floor + i, type);
  }

  private returnResults(): void {
    this.passResults(0);
    this.leaveLeafFrame();
  }

  /** Puts the shadows of what a branch takes along, which lies below `above` other operands, where the label expects them. */
  private branch(label: number, above: number): void {
    const { walker, slots, known } = this;
    known.branch(label);
    if (label === walker.depth - 1) {
      this.passResults(above);
      return;
    }
    const types = walker.labelTypes(label);
    const target = walker.labelHeight(label);
    const base = walker.height - above - types.length;
    // Upwards: a target lies at or below what is still to be copied.
    for (let i = 0; i < types.length; i++) slots.copyHome(base + i, target + i, types[i]);
  }

  private branchIf(): void {
    const { walker, code, scratch } = this;
    if (walker.isDead) {
      this.copy();
      return;
    }
    this.checkCondition(walker.height - 1);
    const label = walker.first;
    const isFunction = label === walker.depth - 1;
    const { length } = walker.labelTypes(label);
    if (length === 0) {
      this.known.branch(label);
      this.copy();
      return;
    }
    if (isFunction || walker.labelHeight(label) === walker.height - 1 - length) {
      this.branch(label, 1);
      this.copy();
      return;
    }
    // Homes of slots that live on if the branch is not taken must not change.
    const condition = scratch.of(I32, PURPOSE_CONDITION);
    code.localTee(condition);
    code.open(OP_IF);
    this.branch(label, 1);
    code.byte(OP_END);
    code.localGet(condition);
    this.copy();
  }

  private branchTable(): void {
    const { walker } = this;
    if (walker.isDead) {
      this.copy();
      return;
    }
    this.checkSlot(walker.height - 1, I32, USE_CONDITION);
    const types = walker.labelTypes(walker.second);
    const labels = tableLabels(this.module.bytes, walker.start);
    const targets = [...new Set(labels)];
    for (const label of targets) this.known.branch(label);
    if (types.length === 0) this.copy();
    else if (targets.length === 1) {
      this.branch(targets[0], 1);
      this.copy();
    } else this.branchApart(types, labels, targets);
  }

  /** Shadows of what a br_table takes along have a different home at each label: there is a way of its own to each of them. */
  private branchApart(types: Uint8Array, labels: readonly number[], targets: readonly number[]): void {
    const { code, scratch } = this;
    const index = scratch.of(I32, PURPOSE_CONDITION);
    const values = Array.from(types, (type, i) => scratch.of(type, PURPOSE_BRANCH + i));
    code.localSet(index);
    for (const local of values.toReversed()) code.localSet(local);
    for (const _ of targets) code.open(OP_BLOCK);
    code.localGet(index);
    code.byte(OP_BR_TABLE);
    code.u32(labels.length - 1);
    for (const label of labels) code.u32(targets.indexOf(label));
    for (const [i, target] of targets.entries()) {
      code.byte(OP_END);
      this.branch(target, 1);
      for (const local of values) code.localGet(local);
      code.branch(OP_BR, target + targets.length - 1 - i);
    }
  }

  /** Where the condition is undefined, only what both values agree in is defined. */
  private select(opcode: number): void {
    const { walker, slots, code, scratch } = this;
    const base = walker.height - 3;
    let type = opcode === OP_SELECT_TYPED ? walker.first : walker.operand(1);
    if (type === UNKNOWN) type = walker.operand(2);
    if (walker.isDead || shadowType(type) === 0) {
      this.copy();
      this.leave(base);
      return;
    }
    const [first, second, condition] = [slots.shadow(base), slots.shadow(base + 1), slots.shadow(base + 2)];
    if (first === DEFINED && second === DEFINED && condition === DEFINED) {
      this.copy();
      slots.setDefined(base);
      return;
    }
    const flag = scratch.of(I32, PURPOSE_CONDITION);
    const values = [scratch.of(type, PURPOSE_VALUES), scratch.of(type, PURPOSE_VALUES + 1)];
    code.localSet(flag);
    if (condition !== DEFINED) {
      code.localSet(values[1]);
      code.localTee(values[0]);
      code.localGet(values[1]);
    }
    code.localGet(flag);
    this.copy();
    this.pushShadow(first, type);
    this.pushShadow(second, type);
    code.localGet(flag);
    code.two(OP_SELECT_TYPED, 1);
    code.byte(shadowType(type));
    if (condition !== DEFINED) {
      code.localGet(condition);
      code.plain(OP_I32_EQZ, OP_I32_EQZ);
      this.pushIsUndecided(flag, condition);
      code.byte(OP_I32_AND);
      this.pushDisagreement(values, [first, second], type);
    }
    const home = slots.setHome(base, type);
    // What is chosen may be defined where the choice is not: then its bits are undefined by the condition.
    this.originOfChoice([first, second, condition], flag, home, type);
    code.localSet(home);
  }

  /** The result's shadow is on the stack, and the shadows of the operands where they were. */
  private originOfChoice(shadows: readonly number[], flag: number, home: number, type: number): void {
    const { code, origins, targets } = this;
    if (!targets.tracksOrigins) return;
    const [first, second, condition] = shadows;
    const pushOrigin = (shadow: number) => (shadow === DEFINED ? code.constant(0) : code.localGet(origins.of(shadow)));
    pushOrigin(first);
    pushOrigin(second);
    code.localGet(flag);
    code.byte(OP_SELECT);
    if (condition !== DEFINED) {
      pushOrigin(condition);
      this.pushShadow(first, type);
      this.pushShadow(second, type);
      code.localGet(flag);
      code.two(OP_SELECT_TYPED, 1);
      code.byte(shadowType(type));
      this.isNotZero(type);
      code.byte(OP_SELECT);
    }
    code.localSet(origins.of(home));
  }

  private pushShadow(shadow: number, type: number): void {
    if (shadow === DEFINED) pushZero(this.code, type);
    else this.code.localGet(shadow);
  }

  /** Adds to the shadow under a truth value, if that holds, all bits in which the values are not surely the same. */
  private pushDisagreement(values: readonly number[], shadows: readonly number[], type: number): void {
    const { code } = this;
    const shadow = shadowType(type);
    const or = () => (shadow === V128 ? code.two(0xfd, SIMD_OR) : code.byte(widthOf(type).or));
    code.two(OP_IF, shadow);
    for (const value of values) {
      code.localGet(value);
      this.reinterpret(type);
    }
    if (shadow === V128) code.two(0xfd, SIMD_XOR);
    else code.byte(widthOf(type).xor);
    for (const operand of shadows) {
      if (operand === DEFINED) continue;
      code.localGet(operand);
      or();
    }
    code.byte(OP_ELSE);
    pushZero(code, type);
    code.byte(OP_END);
    or();
  }
}
