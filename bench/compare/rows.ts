// Rows of a benchmark's --json file of any form: each list of samples in it, named by the path and the words beside it.
// What two files' rows say together is compare.ts.

/** One list of samples, nanoseconds or another unit that the two files share. */
export interface Row {
  readonly name: string;
  readonly samples: readonly number[];
}

/** Words beside a list of samples that say which one it is. */
function labelOf(object: Readonly<Record<string, unknown>>): string {
  return Object.values(object)
    .filter((value) => typeof value === "string" || typeof value === "number")
    .join(", ");
}

function isSamples(value: unknown): value is number[] {
  return Array.isArray(value) && value.length >= 2 && value.every((each) => typeof each === "number");
}

/** Depth first, in the file's order. An object of an array is named by its words, not its place: rows may come and go. */
export function rowsOf(document: unknown): Row[] {
  const rows: Row[] = [];
  visit(document, "", rows);
  return rows;
}

function visit(value: unknown, path: string, rows: Row[]): void {
  if (typeof value !== "object" || value === null) return;
  if (isSamples(value)) {
    rows.push({ name: path, samples: value });
    return;
  }
  if (Array.isArray(value)) {
    for (const each of value) visit(each, path, rows);
    return;
  }
  const record = value as Readonly<Record<string, unknown>>;
  const label = path === "" ? "" : labelOf(record);
  const here = [path, label].filter((part) => part !== "").join(": ");
  for (const [key, each] of Object.entries(record)) {
    if (key === "host") continue;
    visit(each, isSamples(each) && here !== "" ? here : here === "" ? key : `${here} ${key}`, rows);
  }
}
