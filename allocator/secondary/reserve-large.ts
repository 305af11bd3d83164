// Where a large block's mapping lies: address space for its pages between two guard pages (S11.3), on a huge page where that pays.
// What is mapped there and where in it the block lies is secondary.ts.

import type { ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { NO_MEMORY, type Program } from "../common/program.ts";
import { roundUp } from "../common/rounding.ts";
import type { LargeMapping } from "./large-mapping.ts";

/**
 * Reserves address space of which `commitSize` bytes will be committed. What lies around them costs no memory.
 * @param alignment from a page on: the chunk begins on it, with its headers in the page before
 * @param row gets the mapping
 * @returns false: there is none; the row is as it was
 */
export function reserveLarge(program: Program, commitSize: ByteCount, alignment: number, row: LargeMapping): boolean {
  if (alignment >= PAGE_SIZE) return reserveAligned(program, commitSize, alignment, row);
  const unit = program.hugeAlignment(commitSize);
  // With little address space left a mapping begins anywhere.
  return (
    (unit > PAGE_SIZE && reserveOn(program, commitSize, unit, row)) || reserveOn(program, commitSize, PAGE_SIZE, row)
  );
}

/** The committed part begins on a multiple of `unit`, at least a page. */
function reserveOn(program: Program, commitSize: ByteCount, unit: ByteCount, row: LargeMapping): boolean {
  const mapSize = commitSize + PAGE_SIZE + unit;
  const mapBase = program.reserve(mapSize);
  if (mapBase === NO_MEMORY) return false;
  row.set(mapBase, mapSize, roundUp(mapBase + PAGE_SIZE, unit), commitSize);
  return true;
}

/** The committed part reaches from the page before a multiple of `alignment` to the reservation's end. */
function reserveAligned(program: Program, commitSize: ByteCount, alignment: number, row: LargeMapping): boolean {
  const mapSize = commitSize + alignment + PAGE_SIZE;
  const mapBase = program.reserve(mapSize);
  if (mapBase === NO_MEMORY) return false;
  const commitBase = roundUp(mapBase + PAGE_SIZE + 1, alignment) - PAGE_SIZE;
  row.set(mapBase, mapSize, commitBase, mapBase + mapSize - PAGE_SIZE - commitBase);
  return true;
}
