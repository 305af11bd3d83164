// Which family a heap is of: plain, tagged, or one that watches its program, by its options or by the heap that was forked.
// What belongs to a family is made by its own factory.

import type { FamilyOptions } from "../combined/combined-parts.ts";
import { makePlainFamily, type PlainFamily } from "../combined/family.ts";
import { makeTaggedFamily, type TaggedFamily } from "../tagging/family.ts";
import { type ByteFamily, makeByteFamily, makePageFamily, type PageFamily } from "../tracking/family.ts";

/** Program, secondary and allocator that belong together; `kind` says which. */
export type HeapFamily = PlainFamily | TaggedFamily | PageFamily | ByteFamily;

/**
 * @param inherited the family of the heap that was forked into this process
 * @throws RangeError: tags or validity bits on a machine that has none
 */
export function makeFamily(given: FamilyOptions, inherited?: HeapFamily): HeapFamily {
  if (inherited !== undefined) return inheritFamily(given, inherited);
  const { tagging, uninitialised } = given.options;
  if (tagging !== "off") return makeTaggedFamily(given);
  if (uninitialised === "byte") return makeByteFamily(given);
  return uninitialised === "page" ? makePageFamily(given) : makePlainFamily(given);
}

function inheritFamily(given: FamilyOptions, parent: HeapFamily): HeapFamily {
  switch (parent.kind) {
    case "plain":
      return makePlainFamily(given, parent);
    case "tagged":
      return makeTaggedFamily(given, parent);
    case "page":
      return makePageFamily(given, parent);
    case "byte":
      return makeByteFamily(given, parent);
  }
}
