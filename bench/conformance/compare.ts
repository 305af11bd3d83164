// Whether an answer is the one that was recorded: the levels of the format's "What to compare".
// The first two levels always count; exact borders of areas, clean or dirty file pages and `pt` only on request (`strict`).
import type { Answer, VmaRow } from "./script.ts";

export interface CompareOptions {
  /** Also compare what the format leaves to taste. */
  readonly strict?: boolean;
  /** Of that the number of page tables alone. */
  readonly tables?: boolean;
}

/** The first thing in which two answers differ. */
export interface Difference {
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Fields in the order in which a reader wants to hear of them: what happened, then what it cost, then the picture. */
const plainFields = ["err", "sig", "code", "ret", "at", "done", "vec", "runs", "data", "flt"] as const;
/** Fields that a file may leave out: what it does not say is not asked. */
const pictureFields = ["aligned", "pages", "mincore", "lck", "init", "folios"] as const;

const PERM = 2;
const OBJECT = 3;
const OFFSET = 4;
const PSS = 6;
const SHARED_CLEAN = 7;
const SHARED_DIRTY = 8;
const PRIVATE_CLEAN = 9;
const PRIVATE_DIRTY = 10;
const LOCKED = 12;
const VM_FLAGS = 13;
const SHMEM_PMD_MAPPED = 15;
const THP_ELIGIBLE = 16;
const columns = [
  "start",
  "end",
  "perm",
  "object",
  "offset",
  "Rss",
  "Pss",
  "SharedClean",
  "SharedDirty",
  "PrivateClean",
  "PrivateDirty",
  "Anonymous",
  "Locked",
  "VmFlags",
  "AnonHugePages",
  "ShmemPmdMapped",
  "THPeligible",
];

/**
 * Shared anonymous objects have no names of their own: a file calls them s0, s1, … and the kernel something else. This
 * keeps the pairs met so far in one script, both ways, so that two different objects can't pass for one.
 */
export class ObjectNames {
  private readonly toGot = new Map<string, string>();
  private readonly toExpected = new Map<string, string>();

  /** Whether `expected` may stand for `got`, given the pairs before. */
  match(expected: string, got: string): boolean {
    if (!expected.startsWith("s") || !got.startsWith("s")) return expected === got;
    const known = this.toGot.get(expected);
    if (known !== undefined) return known === got;
    if (this.toExpected.has(got)) return false;
    this.toGot.set(expected, got);
    this.toExpected.set(got, expected);
    return true;
  }
}

/** The first difference between what a step should answer and what it did, or undefined. */
export function compareAnswers(
  want: Answer,
  got: Answer,
  names: ObjectNames,
  options: CompareOptions = {},
): Difference | undefined {
  for (const field of plainFields) {
    const expected = field === "flt" ? (want.flt ?? 0) : want[field];
    const actual = field === "flt" ? (got.flt ?? 0) : got[field];
    if (!equal(expected, actual)) return { field, expected, got: actual };
  }
  // A script may leave out what it does not care for: the areas, `init`, the picture of pages.
  if (want.vmas !== undefined) {
    const difference = compareVmas(want.vmas, got.vmas ?? [], names, options);
    if (difference !== undefined) return difference;
  }
  for (const field of pictureFields) {
    if (want[field] !== undefined && !equal(want[field], got[field])) {
      return { field, expected: want[field], got: got[field] };
    }
  }
  if ((options.strict === true || options.tables === true) && want.pt !== undefined && want.pt !== got.pt) {
    return { field: "pt", expected: want.pt, got: got.pt };
  }
  return undefined;
}

/** One area, or equal neighbours as one; `pieces` is how many rows went into it. */
interface JoinedRow {
  readonly row: (number | string)[];
  readonly pieces: number;
}

/** Joins neighbours of equal perm, object and VmFlags, with contiguous offsets where there is an object; sizes add up. */
export function joinNeighbours(rows: readonly VmaRow[]): JoinedRow[] {
  const joined: JoinedRow[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    if (last === undefined || !continues(last.row, row)) {
      joined.push({ row: [...row] as JoinedRow["row"], pieces: 1 });
      continue;
    }
    const sum = last.row.map((value, column) => {
      if (column === THP_ELIGIBLE) return Math.max(value as number, row[column] as number);
      return column > OFFSET && column !== VM_FLAGS ? (value as number) + (row[column] as number) : value;
    });
    sum[1] = row[1];
    joined[joined.length - 1] = { row: sum, pieces: last.pieces + 1 };
  }
  return joined;
}

function continues(row: readonly (number | string)[], next: VmaRow): boolean {
  if (row[1] !== next[0] || row[PERM] !== next[PERM] || row[OBJECT] !== next[OBJECT]) return false;
  if (row[VM_FLAGS] !== next[VM_FLAGS]) return false;
  if (row[OBJECT] === "") return true;
  return (row[OFFSET] as number) + (row[1] as number) - (row[0] as number) === next[OFFSET];
}

function compareVmas(
  want: readonly VmaRow[],
  got: readonly VmaRow[],
  names: ObjectNames,
  options: CompareOptions,
): Difference | undefined {
  const strict = options.strict === true;
  const single = (row: VmaRow): JoinedRow => ({ row: [...row] as JoinedRow["row"], pieces: 1 });
  const expected = strict ? want.map(single) : joinNeighbours(want);
  const actual = strict ? got.map(single) : joinNeighbours(got);
  for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
    const here = expected[index];
    const there = actual[index];
    const column = here === undefined || there === undefined ? -1 : differingColumn(here, there, names, strict);
    if (column === undefined) continue;
    const field = `vmas, area ${index + 1}${column < 0 ? "" : ` (${columns[column]})`}`;
    return { field, expected: here?.row ?? "nothing", got: there?.row.slice(0, here?.row.length) ?? "nothing" };
  }
  return undefined;
}

function differingColumn(want: JoinedRow, got: JoinedRow, names: ObjectNames, strict: boolean): number | undefined {
  const mayHoldFilePages = want.row[OBJECT] !== "";
  for (let column = 0; column < want.row.length; column++) {
    const expected = want.row[column];
    const actual = got.row[column];
    if (column === OBJECT) {
      if (!names.match(expected as string, actual as string)) return column;
    } else if (column === THP_ELIGIBLE && (want.pieces !== got.pieces || (mayHoldFilePages && !strict))) {
      // A border decides whether a huge page fits; and of what is not private anonymous memory it is left to taste.
    } else if (column === SHMEM_PMD_MAPPED && !strict) {
      // How shared memory is mapped is left to taste.
    } else if (column === PSS || column === LOCKED) {
      // Each row was rounded down to KiB by itself, so that a sum depends on where the borders were.
      const slack = want.pieces === got.pieces ? 0 : Math.max(want.pieces, got.pieces) - 1;
      if (Math.abs((expected as number) - (actual as number)) > slack) return column;
    } else if (column >= SHARED_CLEAN && column <= PRIVATE_DIRTY && mayHoldFilePages && !strict) {
      // Clean or dirty is not compared where file pages may be: only the sum of both.
      const clean = column < PRIVATE_CLEAN ? SHARED_CLEAN : PRIVATE_CLEAN;
      const dirty = column < PRIVATE_CLEAN ? SHARED_DIRTY : PRIVATE_DIRTY;
      const sum = (row: (number | string)[]): number => (row[clean] as number) + (row[dirty] as number);
      if (sum(want.row) !== sum(got.row)) return column;
    } else if (expected !== actual) return column;
  }
  return undefined;
}

/** Structural equality of numbers, strings and nested lists. */
function equal(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((value, index) => equal(value, b[index]));
}
