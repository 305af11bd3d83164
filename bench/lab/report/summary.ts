// What a comparison answers, in a sentence or two: how much lower the peak would be, and on what that hangs.
// The figures themselves are in comparison.ts.
import { POLICIES } from "../replay/policy.ts";
import type { ComparedPolicy, ComparedTrace } from "./comparison.ts";

/** What people ask about first, but for a policy of their own; without both, the policy with the lowest peak. */
const ASKED_FOR = "pattern-refpage";
/** Between the ends of what a trace leaves open, in points: from here on it is said. */
const WIDE_POINTS = 5;

/** The sentences of each trace, in the order of the traces. One trace may be there several times, with other touches. */
export function summaries(compared: readonly ComparedTrace[]): { readonly trace: string; readonly sentence: string }[] {
  const traces = [...new Set(compared.map(({ trace }) => trace))];
  return traces.map((trace) => ({ trace, sentence: summary(compared.filter((one) => one.trace === trace)) }));
}

function summary(ends: readonly ComparedTrace[]): string {
  const name = policyOf(ends[0]);
  if (name === null) return `One policy alone: ${ends[0].baseline}; another one to compare it with says what it saves.`;
  const changes = ends.flatMap(({ policies }) => {
    const difference = policies.find(({ policy }) => policy === name)?.figures[0].difference;
    return difference === undefined || difference === null ? [] : [difference.percent];
  });
  if (changes.length === 0) return `${ends[0].baseline} needs no memory here.`;
  const [least, most] = [Math.min(...changes), Math.max(...changes)];
  const subject = name === ASKED_FOR ? "With reference pages" : `With ${name}`;
  const sentence = `${subject} the peak would be ${change(least, most)} with ${ends[0].baseline}.`;
  if (ends.length < 2 || most - least < WIDE_POINTS) return sentence;
  return (
    `${sentence} It hangs on which pages the program touches, and the trace does not say: ` +
    `${ends.map(({ touches }) => `"${touches}"`).join(" and ")} are the ends. ` +
    "refheap record --native sees the touches of a program; --touch names a model."
  );
}

/** The policy that the sentence is about. */
function policyOf({ policies, baseline }: ComparedTrace): string | null {
  const others = policies.filter(({ policy }) => policy !== baseline);
  if (others.length === 0) return null;
  const own = others.find(({ policy }) => !Object.hasOwn(POLICIES, policy.split("+")[0]));
  const asked = own ?? others.find(({ policy }) => policy === ASKED_FOR);
  return (asked ?? others.reduce((best, one) => (peak(one) < peak(best) ? one : best))).policy;
}

function peak({ figures }: ComparedPolicy): number {
  return figures[0].value;
}

/** `41.0 to 63.2 % lower than`, `the same as`; a range that has zero in it names both directions. */
function change(least: number, most: number): string {
  const [low, high] = [least.toFixed(1), most.toFixed(1)].map(Number);
  if (low === 0 && high === 0) return "the same as";
  if (low === high) return `${Math.abs(low).toFixed(1)} % ${low < 0 ? "lower" : "higher"} than`;
  if (high <= 0) return `${(-high).toFixed(1)} to ${(-low).toFixed(1)} % lower than`;
  if (low >= 0) return `${low.toFixed(1)} to ${high.toFixed(1)} % higher than`;
  return `from ${(-low).toFixed(1)} % lower to ${high.toFixed(1)} % higher than`;
}
