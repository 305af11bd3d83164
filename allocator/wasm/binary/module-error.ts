// What a WebAssembly module that cannot be put on the heap gets: one error, with a code, and where in the file it is wrong.
// Errors of the engine's own (CompileError, LinkError, RuntimeError) are passed on as they are, never wrapped in this one.

/**
 * `truncated`: the file ends inside a section or instruction. `malformed`: it cannot be what it says. `unsupported`: a proposal
 * that this library does not rewrite. `memory`: no memory, several, or limits that leave no room. `allocator`: a function named
 * as one of malloc's family has another signature.
 */
export type ModuleErrorCode = "truncated" | "malformed" | "unsupported" | "memory" | "allocator";

export class ModuleError extends Error {
  override readonly name = "ModuleError";
  readonly code: ModuleErrorCode;
  /** Byte of the module, or −1 where the fault has no place. */
  readonly offset: number;

  constructor(code: ModuleErrorCode, explanation: string, offset = -1) {
    super(offset < 0 ? explanation : `${explanation} (at byte ${offset} of the module)`);
    this.code = code;
    this.offset = offset;
  }
}
