// What the pass for definedness adds to a module: helper functions, and globals for the shadows of globals, arguments and results.
// Made once a module; globals of arguments and results as functions come that have so many.

import { I32, I64, OP_END, OP_I32_EQZ, OP_I32_OR, OP_IF, OP_SELECT, V128 } from "../binary/instructions.ts";
import { EXTERNAL_GLOBAL, type FunctionType, type Module } from "../binary/module.ts";
import type { PassTargets } from "../rewriting/address-pass.ts";
import type { Code } from "../rewriting/code.ts";
import { ADDRESS_AND_SIZE, ONE_NUMBER, THREE_NUMBERS } from "../rewriting/helpers.ts";
import type { Additions, Instrument } from "../rewriting/instrumentation.ts";
import {
  copyShadowHelper,
  FIVE_NUMBERS,
  FOUR_NUMBERS,
  fillShadowHelper,
  frameHelper,
  hostFrameHelper,
  leafHelper,
  longerFrameHelper,
  stackHelper,
} from "./definedness-helpers.ts";
import { DefinednessPass } from "./definedness-pass.ts";
import { loadOriginHelper, storeOriginHelper, TWO_TO_ONE } from "./origin-code.ts";
import { pushZero } from "./slots.ts";
import { loadedHelper, type StoredBytes, storedHelper } from "./stored-bytes.ts";
import { type DefinednessTargets, USE_ARGUMENT } from "./targets.ts";
import { shadowType, widthOf } from "./widths.ts";

export interface DefinednessOptions {
  readonly exactArithmetic: boolean;
  /** Whether arguments of calls that leave the guest must be defined. */
  readonly checksArguments: boolean;
  /** From a guest address to the shadow of its byte. */
  readonly validityBase: number;
  /** From four times a guest's word to its origin: where origins of memory begin, or −1, where they are not followed. */
  readonly originBase: number;
  /** Origins of stack memory are this plus the byte of the module at which it is taken. */
  readonly frameOrigins: number;
  /** The global that is the guest's stack pointer, or −1. */
  readonly stackGlobal: number;
  /** Where the host is to hear of undefined bytes that are loaded or stored: at this address and above. */
  readonly loadsFrom: number;
  readonly storesFrom: number;
  /** Where the bits of bytes lie that the guest stored with undefined bits. */
  readonly storedBase: number;
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
  const { validityBase, originBase, stackGlobal } = options;
  const tracksOrigins = originBase >= 0;
  const host = (type: FunctionType, purpose: Parameters<Additions["addHostFunction"]>[1]): number =>
    additions.addHostFunction(type, purpose);
  const bytesFrom = (from: number, purpose: Parameters<Additions["addHostFunction"]>[1]): StoredBytes => ({
    from,
    storedBase: options.storedBase,
    host: host(ADDRESS_AND_SIZE, purpose),
  });
  const stored = additions.addFunction(
    ADDRESS_AND_SIZE,
    storedHelper(bytesFrom(options.storesFrom, "definedness store"), validityBase),
  );
  const setOrigin = tracksOrigins ? host(THREE_NUMBERS, "definedness origin") : -1;
  const shadows = { validityBase, originBase };
  const frameType = tracksOrigins ? ADDRESS_AND_SIZE : ONE_NUMBER;
  const longerFrameType = tracksOrigins ? THREE_NUMBERS : ADDRESS_AND_SIZE;
  const origins = new Map<number, number>();
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
    return additions.addShadowGlobal(shadowType(type));
  });
  const isShared = (global: number): boolean =>
    global < module.importedGlobals ||
    module.exports.some(({ kind, index }) => kind === EXTERNAL_GLOBAL && index === global);
  const globalCopies = globalShadows.map((shadow, global) =>
    shadow < 0 || !isShared(global) ? -1 : additions.addShadowGlobal(module.globals[global].type),
  );
  const hasStack = stackGlobal !== NO_STACK;
  return {
    ...base,
    validityBase,
    reportHelper: host(tracksOrigins ? THREE_NUMBERS : ADDRESS_AND_SIZE, "definedness use"),
    loadedHelper: additions.addFunction(
      ADDRESS_AND_SIZE,
      loadedHelper(bytesFrom(options.loadsFrom, "definedness load")),
    ),
    storedHelper: tracksOrigins ? additions.addFunction(THREE_NUMBERS, storeOriginHelper(originBase, stored)) : stored,
    frameHelper: hasStack ? additions.addFunction(frameType, frameHelper(shadows, stackGlobal, setOrigin)) : -1,
    leafHelper: hasStack ? additions.addFunction(frameType, leafHelper(shadows, stackGlobal, setOrigin)) : -1,
    longerFrameHelper: hasStack ? additions.addFunction(longerFrameType, longerFrameHelper(shadows, setOrigin)) : -1,
    stackHelper: hasStack ? additions.addFunction(frameType, stackHelper(shadows, stackGlobal, setOrigin)) : -1,
    hostFrameHelper: hasStack ? additions.addFunction(ONE_NUMBER, hostFrameHelper(validityBase, stackGlobal)) : -1,
    hostFrames: options.hostFrames,
    copyShadowHelper: additions.addFunction(
      THREE_NUMBERS,
      copyShadowHelper(
        validityBase,
        base.checksAccesses ? base.copyHelper : -1,
        stored,
        tracksOrigins ? host(THREE_NUMBERS, "definedness copy") : -1,
      ),
    ),
    fillShadowHelper: additions.addFunction(
      tracksOrigins ? FIVE_NUMBERS : FOUR_NUMBERS,
      fillShadowHelper(validityBase, base.checksAccesses ? base.fillHelper : -1, stored, setOrigin),
    ),
    argumentFlag: additions.addShadowGlobal(I32),
    argumentGlobal: positions(),
    resultGlobal: positions(),
    tracksOrigins,
    originGlobal: (shadowGlobal) => {
      const made = origins.get(shadowGlobal) ?? additions.addShadowGlobal(I32);
      origins.set(shadowGlobal, made);
      return made;
    },
    loadOriginHelper: tracksOrigins
      ? additions.addFunction(TWO_TO_ONE, loadOriginHelper(validityBase, originBase))
      : -1,
    frameOrigins: options.frameOrigins,
    globalShadows,
    globalCopies,
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
      pushIsArgumentUndefined(code, position, param, targets);
      if (i > 0) code.byte(OP_I32_OR);
    }
    code.open(OP_IF);
    code.constant(USE_ARGUMENT);
    code.constant(offset);
    if (targets.tracksOrigins) pushArgumentOrigin(code, params, targets);
    code.call(targets.reportHelper);
    code.byte(OP_END);
  }
  code.byte(OP_END);
}

function pushIsArgumentUndefined(code: Code, position: number, type: number, targets: DefinednessTargets): void {
  code.globalGet(targets.argumentGlobal(position, shadowType(type)));
  if (shadowType(type) === V128) code.two(0xfd, 0x53);
  else if (shadowType(type) === I64) {
    pushZero(code, type);
    code.byte(widthOf(type).ne);
  }
}

/** The origin of the first argument that has undefined bits. */
function pushArgumentOrigin(
  code: Code,
  params: readonly (readonly [position: number, type: number])[],
  targets: DefinednessTargets,
): void {
  code.constant(0);
  for (const [position, type] of params.toReversed()) {
    code.globalGet(targets.originGlobal(targets.argumentGlobal(position, shadowType(type))));
    pushIsArgumentUndefined(code, position, type, targets);
    code.plain(OP_I32_EQZ, OP_SELECT);
  }
}
