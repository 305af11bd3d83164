// What the pass for definedness finds in a module beside the guest's own: helper functions and globals, by their indices.
// They are made by the rewriter; what the helpers do is definedness-helpers.ts.

import type { PassTargets } from "../rewriting/address-pass.ts";

/** What was done with undefined bits. */
export const USE_CONDITION = 0;
export const USE_ADDRESS = 1;
export const USE_TABLE_INDEX = 2;
export const USE_DIVISOR = 3;
export const USE_ARGUMENT = 4;
export const USE_LENGTH = 5;
export type Use = 0 | 1 | 2 | 3 | 4 | 5;

export interface DefinednessTargets extends PassTargets {
  /** From a guest address to the shadow of its byte. */
  readonly validityBase: number;
  /** (use, offset of the instruction in the module), and the origin of the undefined bits if that is followed: reports. */
  readonly reportHelper: number;
  /** (address, size): bytes there have undefined bits; those that the host wrote are made defined. */
  readonly loadedHelper: number;
  /** (address, size), and the origin of the undefined bits if that is followed: the guest stores undefined bits there. */
  readonly storedHelper: number;
  /** (new stack pointer, origin): the frame between it and the stack pointer becomes undefined. */
  readonly frameHelper: number;
  /** (where the frame begins, or 0, origin): a function that has not set the stack pointer returns. */
  readonly leafHelper: number;
  /** (new begin, old begin, origin): a leaf function's frame becomes longer, by what is undefined. */
  readonly longerFrameHelper: number;
  /** (new stack pointer, origin), before it is set: what lies between it and the old one becomes undefined. */
  readonly stackHelper: number;
  /** (new stack pointer) of functions by which the host takes room on the stack. */
  readonly hostFrameHelper: number;
  readonly hostFrames: ReadonlySet<number>;
  /** (to, from, count) and (to, value, count, shadow of the value, and its origin if that is followed): memory with its shadow. */
  readonly copyShadowHelper: number;
  readonly fillShadowHelper: number;
  /** i32: the shadows of a call's arguments are in the argument globals; its callee takes them. */
  readonly argumentFlag: number;
  /** Global with the shadow of argument or result `position`, of the shadow's type. */
  argumentGlobal(position: number, type: number): number;
  resultGlobal(position: number, type: number): number;
  /** Whether the build follows where undefined bits are from. */
  readonly tracksOrigins: boolean;
  /** Globals with the origins of what has its shadow in a global. */
  originGlobal(shadowGlobal: number): number;
  /** (address, size): the origin of the first byte there that has undefined bits. */
  readonly loadOriginHelper: number;
  /** The origin of stack memory that the instruction at a byte of the module takes is this plus the byte. */
  readonly frameOrigins: number;
  /** Shadow of each of the guest's globals; −1: always defined. */
  readonly globalShadows: Int32Array;
  /** What the guest last set a global to that others can set, too: only while it has that value its shadow counts; −1: no such one. */
  readonly globalCopies: Int32Array;
  /** The guest's stack pointer, or −1. */
  readonly stackGlobal: number;
  /** Whether a function is not the guest's own code: imported, or the heap's. */
  isOutside(functionIndex: number): boolean;
  readonly exactArithmetic: boolean;
  readonly checksArguments: boolean;
}
