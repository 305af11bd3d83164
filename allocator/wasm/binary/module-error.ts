// What a WebAssembly module that cannot be put on the heap gets: one error, with a code, and where in the file it is wrong.
// Errors of the engine's own (CompileError, LinkError, RuntimeError) are passed on as they are, never wrapped in this one.

/**
 * `truncated`: the file ends inside a section or instruction. `malformed`: it cannot be what it says. `unsupported`: a proposal
 * that this library does not rewrite. `memory`: no memory, several, or limits that leave no room. `allocator`: a function named
 * as one of malloc's family has another signature.
 */
export type ModuleErrorCode = "truncated" | "malformed" | "unsupported" | "memory" | "allocator";

/** A module that cannot be read, or that uses what is not supported. Its bytes are left as they were. */
export class ModuleError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "ModuleError";
  /** What is wrong with it. */
  readonly code: ModuleErrorCode;
  /** Byte of the module, or −1 where the fault has no place. */
  readonly offset: number;

  constructor(code: ModuleErrorCode, explanation: string, offset = -1) {
    super(offset < 0 ? explanation : `${explanation} (at byte ${offset} of the module)`);
    this.code = code;
    this.offset = offset;
  }
}
