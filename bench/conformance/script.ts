// Scripts of system calls as they stand in the recorded files: their types, how a line becomes one, and how a step's
// arguments are read. A file is data from outside: anything wrong in it is a ScriptError that says where.

/** `[value, count]`: a byte, or a refusal (-1 SEGV_MAPERR, -2 SEGV_ACCERR, -3 SIGBUS), and how many bytes in a row. */
export type Run = readonly [value: number, count: number];

/**
 * One area: `[start, end, perm, object, offset, Rss, Pss, SharedClean, SharedDirty, PrivateClean, PrivateDirty,
 * Anonymous, Locked, VmFlags, AnonHugePages, ShmemPmdMapped, THPeligible]`. start, end and offset in pages; Pss and Locked in KiB;
 * the other sizes in pages. A file may leave out the last three.
 */
export type VmaRow = readonly [
  start: number,
  end: number,
  perm: string,
  object: string,
  offset: number,
  rss: number,
  pss: number,
  sharedClean: number,
  sharedDirty: number,
  privateClean: number,
  privateDirty: number,
  anonymous: number,
  locked: number,
  vmFlags: string,
  anonHugePages?: number,
  shmemPmdMapped?: number,
  thpEligible?: number,
];

/** `[page, n, id, index, size]`: n pages from `page` are pages index, index+1, … of the folio `id`, which has `size` pages. */
export type FolioRow = readonly [page: number, n: number, id: number, index: number, size: number];

/** What a step answers: what a file expects under `want`, and what the simulated kernel gives. */
export interface Answer {
  readonly ret?: number | string;
  readonly err?: string;
  readonly sig?: string;
  readonly code?: string;
  readonly at?: number;
  readonly done?: number;
  readonly vec?: string;
  readonly runs?: readonly Run[];
  readonly data?: readonly Run[];
  readonly flt?: number;
  readonly vmas?: readonly VmaRow[];
  readonly pages?: string;
  readonly mincore?: string;
  readonly lck?: number;
  readonly pt?: number;
  readonly init?: readonly number[];
  /** Whether an address of the kernel's choice is a multiple of 2 MiB. */
  readonly aligned?: boolean;
  readonly folios?: readonly FolioRow[];
}

export interface Step {
  readonly op: string;
  readonly want: Answer;
  readonly [argument: string]: unknown;
}

export interface Script {
  readonly name: string;
  readonly theme?: string;
  readonly quirks?: readonly string[];
  /** Page initialisation policy of the kernel (reference-page scripts only). */
  readonly policy?: string;
  /** Settings of transparent huge pages (scripts about those only). */
  readonly env?: unknown;
  readonly steps: readonly Step[];
}

/** The file is wrong, not the kernel. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/** @throws ScriptError if the line is not JSON, or not a script. */
export function parseScript(text: string): Script {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ScriptError(`not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(value)) throw new ScriptError("a script is an object with `name` and `steps`");
  if (typeof value.name !== "string") throw new ScriptError("`name` is missing or no text");
  if (!Array.isArray(value.steps)) throw new ScriptError(`script ${value.name}: \`steps\` is missing or no list`);
  for (const [index, step] of value.steps.entries()) {
    const place = `script ${value.name}, step ${index + 1}`;
    if (!isRecord(step) || typeof step.op !== "string") throw new ScriptError(`${place}: \`op\` is missing or no text`);
    if (!isRecord(step.want)) throw new ScriptError(`${place}: \`want\` is missing or no object`);
  }
  return value as unknown as Script;
}

/** The largest 64-bit value that a number holds exactly; 2^64 − 1 lies in the same page. */
export const LARGEST_WORD = 2 ** 64 - 2048;

/** A numeric argument. Lengths may exceed 2^53: they stand for 64-bit values. @throws ScriptError */
export function numberOf(step: Step, key: string, fallback?: number): number {
  const value = step[key] ?? fallback;
  if (typeof value !== "number")
    throw new ScriptError(`${step.op} needs a number \`${key}\`, not ${JSON.stringify(value)}`);
  // JSON.parse has rounded 2^64 − 1 up to 2^64.
  return Math.min(value, LARGEST_WORD);
}

/** A vector of `[address, length]` pairs. @throws ScriptError */
export function vectorOf(step: Step, key: string): readonly (readonly [unknown, number])[] {
  const value = step[key];
  const isPair = (pair: unknown): boolean => Array.isArray(pair) && pair.length === 2 && typeof pair[1] === "number";
  if (!Array.isArray(value) || !value.every(isPair)) {
    throw new ScriptError(`${step.op} needs a list \`${key}\` of [addr, len], not ${JSON.stringify(value)}`);
  }
  return value;
}

/** The texts among a step's arguments: descriptors, and addresses that are no offsets. */
export function stringsOf(step: Step): string[] {
  const { op: _, want: __, ...given } = step;
  return Object.values(given).filter((value) => typeof value === "string");
}

/** The step without what was expected of it, for messages. */
export function describeStep(step: Step): string {
  const { want: _, ...given } = step;
  return JSON.stringify(given);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
