// What the pass for definedness adds to a module: helper functions, and globals for the shadows of globals, arguments and results.
// Made once a module; globals of arguments and results as functions come that have so many.

import { I32, I64, OP_END, OP_I32_OR, OP_IF, V128 } from "../binary/instructions.ts";
import type { FunctionType, Module } from "../binary/module.ts";
import type { PassTargets } from "../rewriting/address-pass.ts";
import type { Code } from "../rewriting/code.ts";
import { ADDRESS_AND_SIZE, ONE_NUMBER, THREE_NUMBERS } from "../rewriting/helpers.ts";
import type { Additions, Instrument } from "../rewriting/instrumentation.ts";
import {
  copyShadowHelper,
  FOUR_NUMBERS,
  fillShadowHelper,
  frameHelper,
  fromHelper,
  hostFrameHelper,
  stackHelper,
} from "./definedness-helpers.ts";
import { DefinednessPass } from "./definedness-pass.ts";
import { pushZero } from "./slots.ts";
import { type DefinednessTargets, USE_ARGUMENT } from "./targets.ts";
import { shadowType, widthOf } from "./widths.ts";

export interface DefinednessOptions {
  readonly exactArithmetic: boolean;
  /** Whether arguments of calls that leave the guest must be defined. */
  readonly checksArguments: boolean;
  /** From a guest address to the shadow of its byte. */
  readonly validityBase: number;
  /** The global that is the guest's stack pointer, or −1. */
  readonly stackGlobal: number;
  /** Where the host is to hear of undefined bytes that are loaded or stored: at this address and above. */
  readonly loadsFrom: number;
  readonly storesFrom: number;
  /** Functions that the host calls to have room on the stack, by index: what they give is the host's to write. */
  readonly hostFrames: ReadonlySet<number>;
}

const NO_STACK = -1;

/** The instrumentation for a rewriter. */
export function instrumentDefinedness(options: DefinednessOptions): Instrument {
  return (module, base, additions, isOutside) => {
    const targets = addDefinedness(module, base, additions, { ...options, isOutside });
    return {
      pass: new DefinednessPass(module, targets),
      writeOutsideFunction: (code, type, offset) => writeOutsideFunction(code, type, offset, targets),
    };
  };
}

function addDefinedness(
  module: Module,
  base: PassTargets,
  additions: Additions,
  options: DefinednessOptions & { isOutside(functionIndex: number): boolean },
): DefinednessTargets {
  const { validityBase, stackGlobal } = options;
  const host = (type: FunctionType, purpose: Parameters<Additions["addHostFunction"]>[1]): number =>
    additions.addHostFunction(type, purpose);
  const from = (address: number, purpose: Parameters<Additions["addHostFunction"]>[1]): number =>
    additions.addFunction(ADDRESS_AND_SIZE, fromHelper(address, host(ADDRESS_AND_SIZE, purpose)));
  const storedHelper = from(options.storesFrom, "definedness store");
  const positions = (): ((position: number, type: number) => number) => {
    const made = new Map<number, number>();
    return (position, type) => {
      const key = position * 256 + type;
      let index = made.get(key);
      if (index === undefined) {
        index = additions.addShadowGlobal(type);
        made.set(key, index);
      }
      return index;
    };
  };
  const globalShadows = Int32Array.from(module.globals, ({ type, mutable }, global) => {
    if (!mutable || global === stackGlobal || shadowType(type) === 0) return -1;
    // A global that others can set, too, would have a shadow that is not its own.
    if (global < module.importedGlobals) return -1;
    return additions.addShadowGlobal(shadowType(type));
  });
  const hasStack = stackGlobal !== NO_STACK;
  return {
    ...base,
    validityBase,
    reportHelper: host(ADDRESS_AND_SIZE, "definedness use"),
    loadedHelper: from(options.loadsFrom, "definedness load"),
    storedHelper,
    frameHelper: hasStack ? additions.addFunction(ONE_NUMBER, frameHelper(validityBase, stackGlobal)) : -1,
    stackHelper: hasStack ? additions.addFunction(ONE_NUMBER, stackHelper(validityBase, stackGlobal)) : -1,
    hostFrameHelper: hasStack ? additions.addFunction(ONE_NUMBER, hostFrameHelper(validityBase, stackGlobal)) : -1,
    hostFrames: options.hostFrames,
    copyShadowHelper: additions.addFunction(
      THREE_NUMBERS,
      copyShadowHelper(validityBase, base.checksAccesses ? base.copyHelper : -1, storedHelper),
    ),
    fillShadowHelper: additions.addFunction(
      FOUR_NUMBERS,
      fillShadowHelper(validityBase, base.checksAccesses ? base.fillHelper : -1, storedHelper),
    ),
    argumentFlag: additions.addShadowGlobal(I32),
    argumentGlobal: positions(),
    resultGlobal: positions(),
    globalShadows,
    stackGlobal,
    isOutside: options.isOutside,
    exactArithmetic: options.exactArithmetic,
    checksArguments: options.checksArguments,
  };
}

/** For the begin of a function that became the heap's: arguments with undefined bits are reported, the results are defined. */
function writeOutsideFunction(code: Code, type: FunctionType, offset: number, targets: DefinednessTargets): void {
  for (const [position, result] of type.results.entries()) {
    if (shadowType(result) === 0) continue;
    pushZero(code, result);
    code.globalSet(targets.resultGlobal(position, shadowType(result)));
  }
  const params = [...type.params.entries()].filter(([, param]) => shadowType(param) !== 0);
  if (params.length === 0) return;
  code.globalGet(targets.argumentFlag);
  code.open(OP_IF);
  code.constant(0);
  code.globalSet(targets.argumentFlag);
  if (targets.checksArguments) {
    for (const [i, [position, param]] of params.entries()) {
      code.globalGet(targets.argumentGlobal(position, shadowType(param)));
      if (shadowType(param) === V128) code.two(0xfd, 0x53);
      else if (shadowType(param) === I64) {
        pushZero(code, param);
        code.byte(widthOf(param).ne);
      }
      if (i > 0) code.byte(OP_I32_OR);
    }
    code.open(OP_IF);
    code.constant(USE_ARGUMENT);
    code.constant(offset);
    code.call(targets.reportHelper);
    code.byte(OP_END);
  }
  code.byte(OP_END);
}
