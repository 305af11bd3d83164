// Comparing what was recorded with what the heap did, field by field: the first difference is what a person is shown.

/** A field in which the two differ. */
export interface Difference {
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Answers that a replay gives, under the recording's own field names. */
export type Answers = Readonly<Record<string, unknown>>;

/** The first field of `got` whose recorded value is another; fields that were not recorded are not compared. */
export function compareFields(recorded: Answers, got: Answers): Difference | undefined {
  for (const [field, value] of Object.entries(got)) {
    if (!Object.hasOwn(recorded, field)) continue;
    if (JSON.stringify(value) !== JSON.stringify(recorded[field]))
      return { field, expected: recorded[field], got: value };
  }
  return undefined;
}

/** As {@link compareFields}, but a recorded field that the replay did not answer is a difference, unless it is excused. */
export function compareAll(recorded: Answers, got: Answers, excused: readonly string[] = []): Difference | undefined {
  const difference = compareFields(recorded, got);
  if (difference !== undefined) return difference;
  const missing = Object.keys(recorded).find((field) => !Object.hasOwn(got, field) && !excused.includes(field));
  return missing === undefined ? undefined : { field: missing, expected: recorded[missing], got: "not replayed" };
}

/** The first line that differs; the arrays' lengths count too. */
export function compareLines(
  field: string,
  expected: readonly string[],
  got: readonly string[],
): Difference | undefined {
  for (let index = 0; index < Math.max(expected.length, got.length); index++) {
    if (expected[index] === got[index]) continue;
    const absent = "(no line)";
    return { field: `${field}, line ${index + 1}`, expected: expected[index] ?? absent, got: got[index] ?? absent };
  }
  return undefined;
}

/** A difference unless `got` lies in [low, high]. */
export function compareRange(field: string, got: number, low: number, high: number): Difference | undefined {
  return got >= low && got <= high ? undefined : { field, expected: `${low} to ${high}`, got };
}
