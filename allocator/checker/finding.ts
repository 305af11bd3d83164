// What the checker finds, as data: kinds, the access, the block that it concerns. Texts are finding-text.ts, the form for code hosts is sarif.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Frame } from "./frames.ts";

/**
 * `uninitialised`: bytes are used before a store defines them. `invalid-access`: memory outside live blocks is accessed.
 * `invalid-free`: what is freed, or given to realloc, is no live block's begin. `leak`: a block that nothing points to.
 */
export type FindingKind = "uninitialised" | "invalid-access" | "invalid-free" | "leak";

/**
 * How the bytes were used or reached. `condition` to `length`: a value that is decided by undefined bits is the condition of a
 * branch, an address, an index of a table, a divisor that can trap, an argument for the host, or the length of a bulk operation.
 */
export type Operation =
  | "condition"
  | "address"
  | "table index"
  | "divisor"
  | "argument"
  | "length"
  | "load"
  | "read"
  | "compare"
  | "string"
  | "system call"
  | "copy"
  | "store"
  | "check"
  | "page load"
  | "free"
  | "realloc";

/**
 * Why an access is invalid, or a free: of a block that was freed already, of a pointer into a block, of memory that is no block
 * of the heap, by another family of functions or with another size than the block's, of a block whose header is damaged.
 */
export type Cause =
  | "use-after-free"
  | "out-of-bounds"
  | "no-access"
  | "double-free"
  | "interior-pointer"
  | "foreign-pointer"
  | "mismatched-free"
  | "damaged-header";

/** How an unreachable block is lost, by Memcheck's words. */
export type LeakKind = "definitely lost" | "indirectly lost" | "possibly lost" | "still reachable";

/** A block of the heap that a finding is about. */
export interface Block {
  /** "block A", "block B" in the order in which reports mention them: stable where addresses are not. */
  readonly name: string;
  /** Address of its first byte. */
  readonly pointer: Address;
  /** Bytes, as they were asked for. */
  readonly size: ByteCount;
  /** Whether it had been freed when the finding was made. */
  readonly state: "live" | "freed";
  /** What it came from. */
  readonly origin: "malloc" | "new" | "new[]" | "memalign" | "arena" | "unknown";
  /** Of a block that realloc made longer: its size before; else null. */
  readonly grownFrom: number | null;
  /** The arena whose chunk it is, or null. */
  readonly arena: string | null;
  /** The stack of the allocation; empty if no stacks are kept. */
  readonly allocation: readonly Frame[];
  /** The stack of the free; empty if it is live, or if no stacks are kept. */
  readonly free: readonly Frame[];
}

/** Where undefined bits are from: memory of a block, or of a function's stack frame; one of both is there. */
export interface Origin {
  readonly block: Block | null;
  readonly frame: Frame | null;
}

/** One place where the program does something wrong, and how often it did. */
export interface Finding {
  /** What is wrong. */
  readonly kind: FindingKind;
  /** What the program did; null for a leak. */
  readonly operation: Operation | null;
  /** Why the bytes were not the program's to use; null for undefined bytes and for leaks. */
  readonly cause: Cause | null;
  /** How a leaked block was lost; null for all other findings. */
  readonly leakKind: LeakKind | null;
  /** First byte and number of bytes of the access, or of the leaked block; of a value that was used, 0 and 0. */
  readonly address: Address;
  /** Bytes, as they were asked for. */
  readonly size: ByteCount;
  /** Address of the first undefined byte; null where that is not what is wrong. */
  readonly firstUndefined: number | null;
  /** From the block's begin to the access; negative in front of it; null without a block. */
  readonly offset: number | null;
  /** The block that the address belongs to, or belonged to; null if none is known. */
  readonly block: Block | null;
  /** Of undefined bytes that came by copy, or bits in a value: the block that they are from; else null. */
  readonly origin: Block | null;
  /** Of undefined bits of a guest's stack: the function whose frame they are from, and the line at which it took it; else null. */
  readonly originFrame: Frame | null;
  /** The stack of what the program did, innermost first; of a leak, of the allocation. */
  readonly stack: readonly Frame[];
  /** How often it happened, with the same stack. */
  count: number;
  /** Of a leak: how many blocks and bytes the group has. */
  readonly blocks: number;
  /** Bytes of the access; of a leak, of all its blocks. */
  readonly bytes: ByteCount;
}

/** A finding that happened once; what is not given is not known of it. */
export function makeFinding({
  kind,
  operation,
  address,
  size,
  stack,
  ...others
}: Pick<Finding, "kind" | "operation" | "address" | "size" | "stack"> & Partial<Finding>): Finding {
  return {
    kind,
    operation,
    cause: null,
    leakKind: null,
    address,
    size,
    firstUndefined: null,
    offset: null,
    block: null,
    origin: null,
    originFrame: null,
    stack,
    count: 1,
    blocks: 0,
    bytes: 0,
    ...others,
  };
}
