// The tagged family: the program, secondary and allocator of a heap whose chunks have tags. Its mode and its reports are
// tag-control.ts and tag-watch.ts; the plain family is combined/family.ts.

import { type FamilyOptions, secondaryOptions } from "../combined/combined-parts.ts";
import { TaggedAllocator } from "./tagged-allocator.ts";
import { TaggedProgram } from "./tagged-program.ts";
import { TaggedSecondary } from "./tagged-secondary.ts";
import { requireTagging } from "./tagging.ts";

export interface TaggedFamily {
  readonly kind: "tagged";
  readonly program: TaggedProgram;
  readonly secondary: TaggedSecondary;
  readonly allocator: TaggedAllocator;
}

/**
 * @param inherited the family of the heap that was forked into this process
 * @throws RangeError: a machine or configuration that has no tags
 */
export function makeTaggedFamily(given: FamilyOptions, inherited?: TaggedFamily): TaggedFamily {
  const { process, options, reports, seed } = given;
  requireTagging(options.tagging, process.kernel.machine, options.config);
  const program = new TaggedProgram(process, { seed, reports });
  const { onTagFailure, write } = options;
  const secondary = new TaggedSecondary({ ...secondaryOptions(given, program), onTagFailure, write });
  const allocator = new TaggedAllocator({ ...given, program, secondary }, inherited?.allocator);
  return { kind: "tagged", program, secondary, allocator };
}
