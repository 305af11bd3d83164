// Suppressions: findings that are known and not wanted, by kind, function name or file name, as objects or as lines of text.

import type { Finding, FindingKind } from "./finding.ts";
import { pathOfFrame } from "./frames.ts";

/** All that is given must match; `*` in a name stands for any characters. A name is looked for in every frame of the stack. */
export interface Suppression {
  readonly kind?: FindingKind;
  readonly functionName?: string;
  /** The end of the path: `codec.ts`, `vendor/*.ts`. */
  readonly file?: string;
}

const KINDS: readonly FindingKind[] = ["uninitialised", "invalid-access", "leak"];

/**
 * One suppression a line: `kind`, `fun:NAME`, `file:NAME` in any order, separated by blanks. `#` begins a comment.
 * @throws SyntaxError naming the line
 */
export function parseSuppressions(text: string): Suppression[] {
  const suppressions: Suppression[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const words = line
      .replace(/#.*/, "")
      .trim()
      .split(/\s+/)
      .filter((word) => word !== "");
    if (words.length > 0) suppressions.push(parseLine(words, index + 1));
  }
  return suppressions;
}

function parseLine(words: readonly string[], line: number): Suppression {
  const suppression: { -readonly [Name in keyof Suppression]: Suppression[Name] } = {};
  for (const word of words) {
    if (word.startsWith("fun:")) suppression.functionName = word.slice(4);
    else if (word.startsWith("file:")) suppression.file = word.slice(5);
    else if ((KINDS as readonly string[]).includes(word)) suppression.kind = word as FindingKind;
    else
      throw new SyntaxError(
        `suppressions, line ${line}: "${word}" is none of ${KINDS.join(", ")}, fun:NAME, file:NAME`,
      );
  }
  return suppression;
}

export function isSuppressed(finding: Finding, suppressions: readonly Suppression[]): boolean {
  return suppressions.some((suppression) => matches(finding, suppression));
}

function matches(finding: Finding, { kind, functionName, file }: Suppression): boolean {
  if (kind !== undefined && kind !== finding.kind) return false;
  const { stack } = finding;
  if (functionName !== undefined && !stack.some((frame) => fits(frame.functionName, functionName))) return false;
  return (
    file === undefined || stack.some((frame) => fits(pathOfFrame(frame), file.startsWith("/") ? file : `*/${file}`))
  );
}

function fits(text: string, pattern: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join(".*")}$`).test(text);
}
