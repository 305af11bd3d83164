// Why a free, or a realloc, was refused: from the heap's report and from what lies at the pointer.
// The reports themselves are Scudo's (common/report.ts); here they get the words that people look for.

import { SegmentationFault } from "../../platform/hardware/faults.ts";
import type { Address } from "../../platform/hardware/integers.ts";
import { HeapError } from "../common/heap-error.ts";
import type { Explanation } from "../inspection/explain.ts";
import type { Cause } from "./finding.ts";

const MISMATCHES = new Set(["type-mismatch", "size-mismatch", "alignment-mismatch"]);
const DAMAGES = new Set(["corrupted-header", "invalid-state", "misaligned"]);

/** null: the error is not about the chunk, but about the heap (no memory, disabled). */
export function causeOfRefusal(pointer: Address, error: unknown, place: Explanation): Cause | null {
  if (error instanceof SegmentationFault) return "foreign-pointer";
  if (!(error instanceof HeapError)) return null;
  if (MISMATCHES.has(error.kind)) return "mismatched-free";
  if (!DAMAGES.has(error.kind)) return null;
  // Recycling came upon another chunk.
  if (error.address !== null && error.address !== pointer) return "damaged-header";
  const { chunk } = place;
  if (chunk !== null && place.place === "chunk" && chunk.pointer !== place.address) return "interior-pointer";
  if (error.kind === "invalid-state") return "double-free";
  if (chunk !== null && chunk.pointer === place.address) return "damaged-header";
  if (place.place === "free-block" || place.place === "before-chunk" || place.place === "after-chunk")
    return "damaged-header";
  return "foreign-pointer";
}
