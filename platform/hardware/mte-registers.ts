// The register forms of the MTE instructions on whole 64-bit registers, as BigInt, with the tag where hardware has it.
// For those who hold real register values (conformance, documents); programs of the simulator use mte.ts and numbers.
import type { Tag } from "./integers.ts";
import { chooseNonExcludedTag } from "./tags.ts";

const TAG_SHIFT = 56n;
const TAG_FIELD = 15n << TAG_SHIFT;
const ADDRESS_BITS = 56;
const REGISTER_BITS = 64;

/** Bits 59:56 of a register. */
function registerTag(register: bigint): number {
  return Number((register & TAG_FIELD) >> TAG_SHIFT);
}

/** The register with another tag; bits 63:60 and the address stay. */
export function withRegisterTag(register: bigint, tag: Tag): bigint {
  return (register & ~TAG_FIELD) | (BigInt(tag) << TAG_SHIFT);
}

/** ADDG (`offset` from 0) or SUBG (`offset` up to 0): the sum of all 64 bits, then the tag put in. */
export function addgRegister(register: bigint, offset: number, steps: number, exclude: number): bigint {
  const tag = chooseNonExcludedTag(registerTag(register), steps, exclude);
  return withRegisterTag(BigInt.asUintN(REGISTER_BITS, register + BigInt(offset)), tag);
}

/** GMI. */
export function gmiRegister(register: bigint, mask: bigint): bigint {
  return mask | (1n << BigInt(registerTag(register)));
}

/** SUBP: bits 55:0 of both, sign-extended, subtracted. */
export function subpRegister(a: bigint, b: bigint): bigint {
  return BigInt.asUintN(REGISTER_BITS, BigInt.asIntN(ADDRESS_BITS, a) - BigInt.asIntN(ADDRESS_BITS, b));
}

/** SUBPS: the flags of {@link subpRegister}, N * 8 + Z * 4 + C * 2 + V. */
export function subpsFlags(a: bigint, b: bigint): number {
  const left = BigInt.asIntN(ADDRESS_BITS, a);
  const right = BigInt.asIntN(ADDRESS_BITS, b);
  const noBorrow = BigInt.asUintN(REGISTER_BITS, left) >= BigInt.asUintN(REGISTER_BITS, right);
  return (left < right ? 8 : 0) | (left === right ? 4 : 0) | (noBorrow ? 2 : 0);
}
