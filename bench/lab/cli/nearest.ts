// "Did you mean …?" for values of options, as the argument library has it for commands and options themselves.
import { editDistance, nearestName } from "../../../allocator/options/option-error.ts";

const FARTHEST = 4;

/** A sentence with the nearest of the names, or "" if none is near. */
export function didYouMean(text: string, names: readonly string[]): string {
  const nearest = nearestName(text, names);
  const isNear = nearest !== null && editDistance(text, nearest) <= Math.min(FARTHEST, Math.ceil(nearest.length / 2));
  return isNear ? ` (Did you mean ${nearest}?)` : "";
}
