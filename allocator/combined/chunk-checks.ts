// Checks of what a free says about its chunk against what the header recorded (S4.1 steps 7 and 8).
// Reading headers is chunk-header.ts's and combined.ts's; the texts are report.ts's.

import type { Address } from "../../platform/hardware/integers.ts";
import { type ReportContext, reportDeallocTypeMismatch, reportDeleteSizeMismatch } from "../common/report.ts";
import { ORIGIN_MALLOC, ORIGIN_MEMALIGN } from "./chunk-header.ts";

/** A chunk is freed by the kind of call that allocated it; free() also takes what memalign gave. */
export function checkOrigin(pointer: Address, recorded: number, given: number, context: ReportContext): void {
  if (recorded === given || (recorded === ORIGIN_MEMALIGN && given === ORIGIN_MALLOC)) return;
  reportDeallocTypeMismatch("deallocating", pointer, recorded, given, context);
}

/** A sized free names the size that was asked for, in bytes. */
export function checkSize(pointer: Address, recorded: number, given: number, context: ReportContext): void {
  if (given !== recorded) reportDeleteSizeMismatch(pointer, given, recorded, context);
}
