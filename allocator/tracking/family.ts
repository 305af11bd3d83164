// The tracked families: the program, secondary and allocator of a heap that watches what its program reads, by clean pages or by
// bytes. What a use of unwritten bytes means is checker/; the plain family is combined/family.ts.

import { type FamilyOptions, secondaryOptions } from "../combined/combined-parts.ts";
import { ByteAllocator } from "./byte-allocator.ts";
import { TrackedAllocator } from "./tracked-allocator.ts";
import { TrackedProgram } from "./tracked-program.ts";
import { TrackedSecondary } from "./tracked-secondary.ts";

interface Tracked {
  readonly program: TrackedProgram;
  readonly secondary: TrackedSecondary;
}

/** Loads from clean pages of large chunks are noticed. */
export interface PageFamily extends Tracked {
  readonly kind: "page";
  readonly allocator: TrackedAllocator;
}

/** Each byte is tracked. */
export interface ByteFamily extends Tracked {
  readonly kind: "byte";
  readonly allocator: ByteAllocator;
}

/** @param inherited the family of the heap that was forked into this process */
export function makePageFamily(given: FamilyOptions, inherited?: PageFamily): PageFamily {
  const { program, secondary } = makeTracked(given, { tracksBytes: false }, inherited);
  const allocator = new TrackedAllocator({ ...given, program, secondary }, inherited?.allocator);
  return { kind: "page", program, secondary, allocator };
}

/**
 * @param inherited the family of the heap that was forked into this process
 * @throws RangeError: a machine without validity bits
 */
export function makeByteFamily(given: FamilyOptions, inherited?: ByteFamily): ByteFamily {
  if (!given.process.kernel.machine.shadow) {
    throw new RangeError('uninitialised: "byte" needs a machine with validity bits (shadow: true)');
  }
  const { program, secondary } = makeTracked(given, { tracksBytes: true }, inherited);
  const allocator = new ByteAllocator({ ...given, program, secondary }, inherited?.allocator);
  return { kind: "byte", program, secondary, allocator };
}

function makeTracked(
  given: FamilyOptions,
  { tracksBytes }: { readonly tracksBytes: boolean },
  inherited?: Tracked,
): Tracked {
  const { options, process, reports } = given;
  const program = new TrackedProgram(process, { tracksBytes, pattern: options.pattern, reports });
  if (inherited !== undefined) program.inheritDescriptors(inherited.program);
  const secondary = new TrackedSecondary(secondaryOptions(given, program));
  // With or without a list of freed blocks: large ones are in it exactly if small ones are.
  const { quarantine_size_kb, quarantine_max_chunk_size } = options.flags;
  if (tracksBytes && quarantine_max_chunk_size !== 0)
    secondary.waitingLimitBytes = Math.max(0, quarantine_size_kb) * 1024;
  return { program, secondary };
}
