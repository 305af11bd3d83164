// "Did you mean …?" for values of options, as the argument library has it for commands and options themselves.
import { closest, distance } from "fastest-levenshtein";

const FARTHEST = 4;

/** A sentence with the nearest of the names, or "" if none is near. */
export function didYouMean(text: string, names: readonly string[]): string {
  const nearest = closest(text, names);
  const isNear = nearest !== undefined && distance(text, nearest) <= Math.min(FARTHEST, Math.ceil(nearest.length / 2));
  return isNear ? ` (Did you mean ${nearest}?)` : "";
}
