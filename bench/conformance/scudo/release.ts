// Page release: many chunks of one size, some freed in address order, then both purges; the class's line after each.
import { compareFields, type Difference } from "./difference.ts";
import type { Observation } from "./record.ts";
import { chunkFields, createSubject, type Subject } from "./subject.ts";

const M_PURGE = -101;
const M_PURGE_ALL = -104;

/** Whether the chunk at `index` by address is freed. */
type Choice = (index: number, count: number) => boolean;

const choices: Readonly<Record<string, Choice>> = {
  all: () => true,
  "the lower half": (index, count) => index < Math.floor(count / 2),
  "the upper half": (index, count) => index >= Math.floor(count / 2),
};
const ordinals = ["", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

/** "all", "the lower half", "every second", "all but every 64th". */
function choiceOf(words: string): Choice {
  const known = choices[words];
  if (known !== undefined) return known;
  const [, allBut, ordinal] = /^(all but )?every (\w+)$/.exec(words) ?? [];
  const step = Math.max(ordinals.indexOf(ordinal ?? "none"), Number.parseInt(ordinal ?? "0", 10) || 0);
  if (!(step >= 2)) throw new RangeError(`freed: no such choice as ${words}`);
  return allBut === undefined ? (index) => index % step === 0 : (index) => index % step !== 0;
}

/** What holds for every order in which blocks came (docs/divergences.md): the rest depends on where the unused ones lie. */
const ALWAYS = ["popped", "pushed", "inuse", "total"];

/** Seeds tried until the chunks lie as the recorded ones did. */
const SEEDS = 64;

export function replayRelease([recorded]: readonly Observation[]): Difference | undefined {
  const count = Number(recorded!.count);
  const freed = choiceOf(String(recorded!.freed));
  const { subject, pointers } = allocateAsRecorded(recorded!, count);
  const { heap, memory } = subject;
  const { classId } = chunkFields(memory, pointers[0]!);
  if (classId !== recorded!.class) return { field: "class", expected: recorded!.class, got: classId };
  for (let index = 0; index < count; index++) if (freed(index, count)) heap.free(pointers[index]!);
  const exact = recorded!.stable === true && recorded!.blocks_contiguous === true;
  const steps: readonly (readonly [string, () => void])[] = [
    ["after_frees", () => {}],
    ["after_purge", () => heap.mallopt(M_PURGE, 0)],
    ["after_purge_all", () => heap.mallopt(M_PURGE_ALL, 0)],
  ];
  for (const [name, act] of steps) {
    act();
    const line = classLine(subject, classId);
    const got = exact ? line : Object.fromEntries(ALWAYS.map((field) => [field, line[field]]));
    const difference = compareFields(recorded![name] as Observation, got);
    if (difference !== undefined) return { ...difference, field: `${name}.${difference.field}` };
  }
  return undefined;
}

/**
 * The chunks, sorted by address. Where a block that was carved and not handed out lies is luck, and decides how many ranges are
 * released; if the recorded chunks had it behind them all, ours must too.
 */
function allocateAsRecorded(recorded: Observation, count: number): { subject: Subject; pointers: Float64Array } {
  for (let seed = 1; ; seed++) {
    const subject = createSubject(recorded.options, seed);
    const pointers = new Float64Array(count);
    for (let index = 0; index < count; index++) pointers[index] = subject.heap.malloc(Number(recorded.size));
    pointers.sort();
    const isContiguous = pointers[count - 1]! - pointers[0]! === (count - 1) * Number(recorded.block);
    if (isContiguous || recorded.blocks_contiguous !== true || seed === SEEDS) return { subject, pointers };
  }
}

/** The words of the class's line in the statistics. */
function classLine({ heap }: Subject, classId: number): Record<string, number> {
  const one = heap.stats().primary.classes.find((row) => row.classId === classId)!;
  const kilobytes = (bytes: number): number => Math.floor(bytes / 1024);
  return {
    mapped_k: kilobytes(one.mappedBytes),
    popped: one.poppedBlocks,
    pushed: one.pushedBlocks,
    inuse: one.inUseBlocks,
    total: one.totalBlocks,
    releases: one.releasedRanges,
    last_released_k: kilobytes(one.lastReleasedBytes),
    latest_pushed_k: kilobytes(one.latestPushedBytes),
  };
}
