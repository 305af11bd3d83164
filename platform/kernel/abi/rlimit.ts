// Resource limits of a process, by Linux's numbers (asm-generic/resource.h); Infinity stands for RLIM_INFINITY.
// Who checks a limit is the call that it bounds.

import { keepClass } from "../../state/kept.ts";
import { named } from "./arguments.ts";
import { SystemError } from "./errors.ts";

/** Bytes of private writable memory. */
export const RLIMIT_DATA = 2;
/** Bytes of the stack. */
export const RLIMIT_STACK = 3;
/** Descriptors; the first that cannot be had. */
export const RLIMIT_NOFILE = 7;
/** Bytes that may be locked. */
export const RLIMIT_MEMLOCK = 8;
/** Bytes of address space. */
export const RLIMIT_AS = 9;

/** A limit of a process, in the limit's own unit; Infinity: none. */
export interface Limit {
  /** What counts. */
  readonly soft: number;
  /** As far as `soft` may be raised. */
  readonly hard: number;
}

/** RLIM_NLIMITS. */
const NUMBERS = 16;

const MIB = 2 ** 20;
/** Linux's defaults: include/asm-generic/resource.h, fs/file.c. Bytes, but NOFILE in descriptors. */
const defaults: ReadonlyMap<number, Limit> = new Map([
  [RLIMIT_DATA, { soft: Number.POSITIVE_INFINITY, hard: Number.POSITIVE_INFINITY }],
  [RLIMIT_STACK, { soft: 8 * MIB, hard: Number.POSITIVE_INFINITY }],
  [RLIMIT_NOFILE, { soft: 1024, hard: 4096 }],
  [RLIMIT_MEMLOCK, { soft: 8 * MIB, hard: 8 * MIB }],
  [RLIMIT_AS, { soft: Number.POSITIVE_INFINITY, hard: Number.POSITIVE_INFINITY }],
]);

/** The limits of a process (getrlimit(2)), by number: each mmap asks for two. */
export class ResourceLimits {
  private readonly softLimits = new Float64Array(NUMBERS).fill(Number.POSITIVE_INFINITY);
  private readonly hardLimits = new Float64Array(NUMBERS).fill(Number.POSITIVE_INFINITY);

  constructor(parent?: ResourceLimits) {
    if (parent === undefined) for (const [resource, limit] of defaults) this.put(resource, limit);
    else {
      this.softLimits.set(parent.softLimits);
      this.hardLimits.set(parent.hardLimits);
    }
  }

  /** What counts. */
  soft(resource: number): number {
    return this.softLimits[resource];
  }

  /** @throws SystemError EINVAL: a resource that is not simulated. */
  get(resource: number, syscall: string): Limit {
    if (!defaults.has(resource)) throw new SystemError("EINVAL", syscall, `resource ${named(resource)}`);
    return { soft: this.softLimits[resource], hard: this.hardLimits[resource] };
  }

  /** @throws SystemError EINVAL: unknown resource, soft above hard, or not a whole number from 0. */
  set(resource: number, limit: Limit, syscall: string): void {
    this.get(resource, syscall);
    for (const value of [limit.soft, limit.hard]) {
      if (typeof value !== "number" || !(value >= 0) || (Number.isFinite(value) && !Number.isSafeInteger(value))) {
        throw new SystemError("EINVAL", syscall, `limit ${named(value)}`);
      }
    }
    if (limit.soft > limit.hard)
      throw new SystemError("EINVAL", syscall, `soft ${limit.soft} above hard ${limit.hard}`);
    this.put(resource, limit);
  }

  private put(resource: number, { soft, hard }: Limit): void {
    this.softLimits[resource] = soft;
    this.hardLimits[resource] = hard;
  }
}

keepClass("ResourceLimits", ResourceLimits);
