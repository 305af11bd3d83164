// Code for calls: shadows of arguments and results travel in globals beside them.
//
// An argument's global is zero, or not looked at, unless the flag is set: a caller with undefined bits in some argument writes all
// of them and sets the flag, and the callee takes them and clears it. So a call from the host needs nothing. A result's global is
// written by every return of the guest's code; before a call that may end elsewhere, by a table, the caller clears it.

import {
  I32,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_END,
  OP_I32_OR,
  OP_IF,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
} from "../binary/instructions.ts";
import { MemoryCode } from "./memory-code.ts";
import { DEFINED, pushZero } from "./slots.ts";
import { USE_ARGUMENT, USE_TABLE_INDEX } from "./targets.ts";
import { shadowType } from "./widths.ts";

export abstract class CallCode extends MemoryCode {
  /** At a function's begin: takes the shadows of its parameters. */
  protected takeArguments(): void {
    const { walker, code, targets } = this;
    const { params } = walker.type;
    if (!params.some((type) => shadowType(type) !== 0)) return;
    code.globalGet(targets.argumentFlag);
    code.open(OP_IF);
    for (const [position, type] of params.entries()) {
      if (shadowType(type) === 0) continue;
      this.takeFromGlobal(targets.argumentGlobal(position, shadowType(type)), this.localShadow(position));
    }
    code.constant(0);
    code.globalSet(targets.argumentFlag);
    code.byte(OP_END);
  }

  protected call(opcode: number): void {
    const { walker, slots, code, targets } = this;
    const isDirect = opcode === OP_CALL || opcode === OP_RETURN_CALL;
    const isTail = opcode === OP_RETURN_CALL || opcode === OP_RETURN_CALL_INDIRECT;
    const { params, results } = walker.callee;
    const top = walker.height - (isDirect ? 0 : 1);
    const base = top - params.length;
    if (walker.isDead) {
      this.copy();
      for (let i = 0; i < results.length; i++) this.leave(Math.max(base, walker.floor) + i);
      return;
    }
    if (!isDirect) this.checkSlot(top, I32, USE_TABLE_INDEX);
    const isOutside = isDirect && targets.isOutside(walker.first);
    let passes = false;
    if (isOutside) {
      if (targets.checksArguments)
        for (let i = 0; i < params.length; i++) this.checkSlot(base + i, params[i], USE_ARGUMENT);
    } else passes = this.passArguments(base, params);
    if (!isDirect || (isTail && isOutside)) this.clearResults(results);
    targets.paths?.call(opcode, walker.first, walker.start, code);
    this.copy();
    this.checked.forgetAll();
    if (isTail) return;
    if (passes && opcode === OP_CALL_INDIRECT) {
      code.constant(0);
      code.globalSet(targets.argumentFlag);
    }
    for (let i = 0; i < results.length; i++) {
      if (isOutside || shadowType(results[i]) === 0) slots.setDefined(base + i);
      else this.takeFromGlobal(targets.resultGlobal(i, shadowType(results[i])), slots.setHome(base + i, results[i]));
    }
  }

  /** @returns whether code was written that may set the flag */
  private passArguments(base: number, params: Uint8Array): boolean {
    const { slots, code, targets } = this;
    let count = 0;
    for (let i = 0; i < params.length; i++) {
      if (slots.shadow(base + i) === DEFINED) continue;
      this.pushIsUndefined(slots.shadow(base + i), params[i]);
      if (count++ > 0) code.byte(OP_I32_OR);
    }
    if (count === 0) return false;
    code.open(OP_IF);
    for (let i = 0; i < params.length; i++) {
      const type = shadowType(params[i]);
      if (type === 0) continue;
      this.putToGlobal(slots.shadow(base + i), type, targets.argumentGlobal(i, type));
    }
    code.constant(1);
    code.globalSet(targets.argumentFlag);
    code.byte(OP_END);
    return true;
  }

  private clearResults(results: Uint8Array): void {
    const { code, targets } = this;
    for (const [position, type] of results.entries()) {
      if (shadowType(type) === 0) continue;
      pushZero(code, type);
      code.globalSet(targets.resultGlobal(position, shadowType(type)));
    }
  }

  /** Before a return, or a branch to the function's end: the shadows of the results that lie on top, below `above` others. */
  protected passResults(above: number): void {
    const { walker, slots, targets } = this;
    const { results } = walker.type;
    const base = walker.height - above - results.length;
    for (const [position, type] of results.entries()) {
      if (shadowType(type) === 0) continue;
      this.putToGlobal(slots.shadow(base + position), type, targets.resultGlobal(position, shadowType(type)));
    }
  }
}
