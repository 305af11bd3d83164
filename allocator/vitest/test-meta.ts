// Findings on their way from a test to the reporter, which runs in another process: they travel in the task's meta.
// Only what text and SARIF need goes along; heaps stay where they are.

import type { Finding } from "../checker/finding.ts";
import { CheckError } from "../testing/observe.ts";

/** The key in a task's meta. */
const KEY = "refheap";

/** What runners tell of a task, as far as it is used. */
export interface MetaHolder {
  readonly meta: object;
}

/** Puts the findings of a test's failed checks where the reporter finds them; a retry's take the place of the last try's. */
export function recordFindings({ meta }: MetaHolder, errors: readonly Error[]): void {
  const findings = errors.flatMap((error) => (error instanceof CheckError ? [...error.findings] : []));
  const notes = meta as Record<string, unknown>;
  if (findings.length > 0) notes[KEY] = findings;
  else delete notes[KEY];
}

/** The findings in a task's meta, as JSON brought them over. */
export function recordedFindings(meta: object): readonly Finding[] {
  const found = (meta as Record<string, unknown>)[KEY];
  return Array.isArray(found) ? found : [];
}
