// Lines of the recordings of a real Scudo: which kind a line is, told by its fields, and which lines belong to one process.
// How a kind is replayed is in the file of its family (shapes, contents, accounting, release, answers, misuse).
import type { Line } from "../lines.ts";

/** One parsed line. */
export type Observation = Readonly<Record<string, unknown>>;

export type Kind =
  | "align"
  | "checksum"
  | "errno"
  | "fill"
  | "mallinfo"
  | "malloc_info"
  | "mallopt"
  | "misuse"
  | "origins"
  | "print_stats"
  | "quarantine"
  | "realloc"
  | "release"
  | "rss"
  | "secondary_cache"
  | "setters"
  | "sizes"
  | "windows";

/** Lines of one process, replayed together. */
export interface Case {
  readonly kind: Kind | undefined;
  readonly place: Line;
  readonly observations: readonly Observation[];
}

/** The fields that only lines of this kind have all of; the first kind that fits counts. */
const signatures: readonly (readonly [Kind, readonly string[]])[] = [
  ["checksum", ["equivalent_cookie"]],
  ["errno", ["call", "errno"]],
  ["origins", ["call", "origin"]],
  ["fill", ["size", "round"]],
  ["fill", ["size", "shrunk_by"]],
  ["mallinfo", ["after", "hblkhd"]],
  ["mallinfo", ["mallinfo_hblkhd_int"]],
  ["malloc_info", ["calls", "lines"]],
  ["mallopt", ["param", "value", "result"]],
  ["misuse", ["case", "stderr"]],
  ["print_stats", ["what", "lines"]],
  ["quarantine", ["size", "mallocs_until_returned"]],
  ["quarantine", ["size", "state_after_free"]],
  ["realloc", ["from", "to", "in_place"]],
  ["release", ["size", "count", "freed", "after_frees"]],
  ["rss", ["chunk", "pages_after_malloc"]],
  ["secondary_cache", ["freed", "wanted"]],
  ["setters", ["setter"]],
  ["windows", ["size", "count", "span_bytes"]],
  ["align", ["align", "size", "class"]],
  ["sizes", ["from", "to", "class"]],
  ["sizes", ["size", "class"]],
  // Calls that answer something else than a pointer.
  ["errno", ["call"]],
];

export function kindOf(observation: Observation): Kind | undefined {
  return signatures.find(([, fields]) => fields.every((field) => Object.hasOwn(observation, field)))?.[0];
}

/** Whether `next` was observed in the same process as the line before it. */
function continues(kind: Kind | undefined, previous: Observation, next: Observation): boolean {
  if (kind === "mallinfo" || kind === "setters") return true;
  if (kind !== "fill" || next.round === undefined || previous.round === undefined) return false;
  return (
    next.size === previous.size && next.options === previous.options && Number(next.round) > Number(previous.round)
  );
}

/** Gathers lines into cases. A line that is no JSON object is a case of no kind, which fails. */
export class CaseGatherer {
  private readonly gathered: { kind: Kind | undefined; place: Line; observations: Observation[] }[] = [];

  add(line: Line): void {
    const observation = parseObservation(line.text);
    const kind = kindOf(observation);
    const last = this.gathered.at(-1);
    const previous = last?.observations.at(-1);
    if (last !== undefined && previous !== undefined && last.kind === kind && last.place.file === line.file) {
      if (continues(kind, previous, observation)) {
        last.observations.push(observation);
        return;
      }
    }
    this.gathered.push({ kind, place: line, observations: [observation] });
  }

  get cases(): readonly Case[] {
    return this.gathered;
  }
}

function parseObservation(text: string): Observation {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Observation) : {};
  } catch {
    return {};
  }
}
