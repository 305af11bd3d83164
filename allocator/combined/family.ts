// The plain family: the program, secondary and allocator of a heap without tags that watches nothing. The other families are
// in tagging/family.ts and tracking/family.ts; which one a heap gets is decided in heap/.

import { Program } from "../common/program.ts";
import { Secondary } from "../secondary/secondary.ts";
import { Allocator } from "./combined.ts";
import { type FamilyOptions, secondaryOptions } from "./combined-parts.ts";

export interface PlainFamily {
  readonly kind: "plain";
  readonly program: Program;
  readonly secondary: Secondary;
  readonly allocator: Allocator;
}

/** @param inherited the family of the heap that was forked into this process */
export function makePlainFamily(given: FamilyOptions, inherited?: PlainFamily): PlainFamily {
  const program = new Program(given.process, given.reports);
  const secondary = new Secondary(secondaryOptions(given, program));
  const allocator = new Allocator({ ...given, program, secondary }, inherited?.allocator);
  return { kind: "plain", program, secondary, allocator };
}
