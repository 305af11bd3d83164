// Findings as text. The stable form names blocks, never addresses or lines, so that it can be an inline snapshot.

import { type OptionKinds, requireOptions } from "../../platform/hardware/given-options.ts";
import type { ByteCount } from "../../platform/hardware/integers.ts";
import type { Block, Finding, Operation } from "./finding.ts";
import { type Frame, formatFrame, isProgramFrame } from "./frames.ts";

/** How findings are written as text. */
export interface TextOptions {
  /** Leave out what changes from run to run or with each edit: lines, columns, folders. Default false. */
  readonly stable?: boolean;
}

const TEXT_OPTIONS: OptionKinds = { stable: "boolean" };

const OPERATIONS: Record<Operation, string> = {
  load: "load of",
  read: "transfer to the host of",
  compare: "comparison of",
  string: "string read of",
  "system call": "system call given",
  copy: "copy from",
  store: "store of",
  check: "check of",
  "page load": "load from an untouched page, at least",
  free: "free of",
  realloc: "realloc of",
  condition: "",
  address: "",
  "table index": "",
  divisor: "",
  argument: "",
  length: "",
};

/** Of values that undefined bits decide, what they are used as. */
const VALUE_USES: Partial<Record<Operation, string>> = {
  condition: "Conditional branch depends on uninitialised bits",
  address: "Address depends on uninitialised bits",
  "table index": "Indirect call or table access depends on uninitialised bits",
  divisor: "Division that can trap by uninitialised bits",
  argument: "Uninitialised bits are an argument for the host",
  length: "Length of a memory operation depends on uninitialised bits",
};

const ACCESS_CAUSES = {
  "use-after-free": "Use after free",
  "out-of-bounds": "Access out of bounds",
  "no-access": "No access",
} as const;

const FREE_CAUSES = {
  "double-free": "Double free",
  "interior-pointer": "Invalid free, of a pointer into a block",
  "foreign-pointer": "Invalid free, of memory that is no block of the heap",
  "mismatched-free": "Mismatched free",
  "damaged-header": "Invalid free, of a block whose header is damaged",
} as const;

/** One finding: a headline, its stack, and what is known of the block. Without a final newline. */
export function formatFinding(finding: Finding, options: TextOptions = {}): string {
  requireOptions("formatFinding", options, TEXT_OPTIONS);
  const { stable = false } = options;
  const lines = [headline(finding), ...formatStack(finding.stack, stable)];
  if (finding.kind !== "leak" && finding.block !== null) lines.push(...describeBlock(finding, stable));
  else if (finding.origin !== null) lines.push(...describeOrigin(finding.origin, stable, "bits are"));
  if (finding.originFrame !== null)
    lines.push(`  the undefined bits are from a stack frame`, `    ${formatFrame(finding.originFrame, { stable })}`);
  if (finding.count > 1 && !stable) lines.push(`  (${finding.count} times)`);
  return lines.join("\n");
}

/** All findings, an empty line between them, and a line that counts them. */
export function formatFindings(findings: readonly Finding[], options: TextOptions = {}): string {
  requireOptions("toText", options, TEXT_OPTIONS);
  const parts = findings.map((finding) => formatFinding(finding, options));
  return [...parts, `${findings.length === 0 ? "no" : findings.length} error${findings.length === 1 ? "" : "s"}`].join(
    "\n\n",
  );
}

function headline(finding: Finding): string {
  if (finding.kind === "leak") return leakHeadline(finding);
  if (finding.kind === "invalid-free") return freeHeadline(finding);
  const use = VALUE_USES[finding.operation ?? "load"];
  if (use !== undefined) return use;
  const access = `${OPERATIONS[finding.operation ?? "load"]} ${countBytes(finding.size)}`;
  const place = placeOf(finding);
  if (finding.kind === "uninitialised") return `Use of uninitialised memory: ${access}${place}${firstByte(finding)}`;
  const cause = (finding.cause ?? "no-access") as keyof typeof ACCESS_CAUSES;
  return `${ACCESS_CAUSES[cause]}: ${access}${place}`;
}

function freeHeadline({ operation, cause, block, offset }: Finding): string {
  const what = FREE_CAUSES[(cause ?? "foreign-pointer") as keyof typeof FREE_CAUSES];
  const action = OPERATIONS[operation ?? "free"];
  if (block === null || offset === null) return `${what}: ${action} a pointer outside every block`;
  const of = `${block.state === "freed" ? "the freed " : ""}${block.name} of ${countBytes(block.size)}`;
  if (offset === 0) return `${what}: ${action} ${of}`;
  const place = offset < 0 ? `${countBytes(-offset)} in front of` : `offset ${offset} of`;
  return `${what}: ${action} ${place} ${of}`;
}

function placeOf({ block, offset, size }: Finding): string {
  if (block === null || offset === null) return " outside every block";
  const of = `${block.state === "freed" ? "the freed " : ""}${block.name} of ${countBytes(block.size)}`;
  if (offset < 0) return ` ${countBytes(-offset)} in front of ${of}`;
  if (offset >= block.size) return ` ${offset === block.size ? "right" : countBytes(offset - block.size)} behind ${of}`;
  const over = offset + size > block.size ? `, ${countBytes(offset + size - block.size)} beyond its end` : "";
  return ` at offset ${offset} of ${of}${over}`;
}

function firstByte({ address, firstUndefined, offset }: Finding): string {
  if (firstUndefined === null || firstUndefined === address) return "";
  const distance = firstUndefined - address;
  if (offset === null) return `, of which byte ${distance} is the first undefined`;
  return `; the first undefined byte is at offset ${offset + distance}`;
}

function describeBlock(finding: Finding, stable: boolean): string[] {
  const { block } = finding;
  if (block === null) return [];
  const growth =
    block.grownFrom === null
      ? ""
      : (finding.firstUndefined ?? 0) >= block.pointer + block.grownFrom
        ? `; the byte is among the ${block.size - block.grownFrom} that realloc added to ${block.grownFrom}`
        : `; realloc made it of ${countBytes(block.grownFrom)}`;
  const from = block.arena === null ? `from ${block.origin}` : `a chunk of ${block.arena}`;
  const lines = [`  ${block.name}: ${from}${growth}`, ...formatStack(block.allocation, stable)];
  if (block.free.length > 0) lines.push(`  ${block.name} was freed`, ...formatStack(block.free, stable));
  if (finding.origin !== null) lines.push(...describeOrigin(finding.origin, stable, "bytes were copied"));
  return lines;
}

function describeOrigin(origin: Block, stable: boolean, how: string): string[] {
  const from = origin.arena === null ? `from ${origin.origin}` : `a chunk of ${origin.arena}`;
  const headline = `  the undefined ${how} from ${origin.name} of ${countBytes(origin.size)}, ${from}`;
  return [headline, ...formatStack(origin.allocation, stable)];
}

function leakHeadline({ bytes, blocks, leakKind, size }: Finding): string {
  const each = blocks > 1 ? `, ${countBytes(size)} the first` : "";
  return `${countBytes(bytes)} in ${blocks} block${blocks === 1 ? "" : "s"} ${blocks === 1 ? "is" : "are"} ${leakKind}${each}`;
}

function formatStack(frames: readonly Frame[], stable: boolean): string[] {
  return frames.filter(isProgramFrame).map((frame) => `    ${formatFrame(frame, { stable })}`);
}

export function countBytes(bytes: ByteCount): string {
  return `${bytes} byte${bytes === 1 ? "" : "s"}`;
}
