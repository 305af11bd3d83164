// Suppressions: findings that are known and not wanted, by kind, function name or file name, as objects or as lines of text.

import type { Finding, FindingKind } from "./finding.ts";
import { type Frame, fileNameOf, isProgramFrame, pathOfFrame } from "./frames.ts";
import { linkedNames } from "./function-names.ts";

/** All that is given must match; `*` in a name stands for any characters. A name is looked for in every frame of the stack. */
export interface Suppression {
  /** Only findings of this kind; absent: of all. */
  readonly kind?: FindingKind;
  /** A function of the finding's stack, as it reads or as linkers know it; `*` stands for any text. */
  readonly functionName?: string;
  /** The end of the path: `codec.ts`, `vendor/*.ts`. */
  readonly file?: string;
}

const KINDS: readonly FindingKind[] = ["uninitialised", "invalid-access", "invalid-free", "leak"];
const LINKED = /^_[ZR]/;
/** A word, or a prefix with a name in quotes, which may hold blanks, `#` and the names of kinds. */
const WORD = /(?:(?:fun|file):)?"[^"]*"|\S+/g;

/**
 * One suppression a line: `kind`, `fun:NAME`, `file:NAME` in any order, separated by blanks. A name goes on over blanks to
 * the next of these (`fun:new Parser`), or stands in quotes. `#` at a line's begin or after a blank begins a comment.
 * @throws SyntaxError naming the line
 */
export function parseSuppressions(text: string): Suppression[] {
  const suppressions: Suppression[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = withoutComment(line).match(WORD) ?? [];
    if (words.length > 0) suppressions.push(parseLine(words, index + 1));
  }
  return suppressions;
}

/** Quotes keep what is in them from being a comment. */
function withoutComment(line: string): string {
  let isQuoted = false;
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '"') isQuoted = !isQuoted;
    else if (line[i] === "#" && !isQuoted && (i === 0 || /\s/.test(line[i - 1]))) return line.slice(0, i);
  }
  return line;
}

function parseLine(words: readonly string[], line: number): Suppression {
  const suppression: { -readonly [Name in keyof Suppression]: Suppression[Name] } = {};
  let open: "functionName" | "file" | null = null;
  for (const word of words) {
    const prefix = word.startsWith("fun:") ? "functionName" : word.startsWith("file:") ? "file" : null;
    if (prefix !== null) {
      const name = word.slice(word.indexOf(":") + 1);
      suppression[prefix] = name.replaceAll('"', "");
      if (suppression[prefix] === "") throw new SyntaxError(`suppressions, line ${line}: "${word}" names nothing`);
      open = name.startsWith('"') ? null : prefix;
    } else if ((KINDS as readonly string[]).includes(word)) {
      suppression.kind = word as FindingKind;
      open = null;
    } else if (open !== null) suppression[open] += ` ${word}`;
    else {
      throw new SyntaxError(
        `suppressions, line ${line}: "${word}" is not one of ${KINDS.join(", ")}, fun:NAME, file:NAME`,
      );
    }
  }
  return suppression;
}

/** A line for each finding that would suppress it: its kind, and the first named function of the program with its file. */
export function formatSuppressions(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => {
    const stack = finding.stack.filter(isProgramFrame);
    const frame = stack.find(({ functionName }) => functionName !== "") ?? stack[0];
    return frame === undefined ? finding.kind : `${finding.kind}${describeFrame(frame)}`;
  });
  return [...new Set(lines)].map((line) => `${line}\n`).join("");
}

function describeFrame(frame: Frame): string {
  const name = frame.functionName === "" ? "" : ` fun:${quoted(frame.functionName)}`;
  return `${name} file:${quoted(fileNameOf(frame))}`;
}

/** A name with blanks in quotes. A quote or a star of its own cannot be written and is any character. */
function quoted(name: string): string {
  const plain = name.replaceAll('"', "*");
  return /\s|^$/.test(plain) ? `"${plain}"` : plain;
}

export function isSuppressed(finding: Finding, suppressions: readonly Suppression[]): boolean {
  return suppressions.some((suppression) => matches(finding, suppression));
}

function matches(finding: Finding, { kind, functionName, file }: Suppression): boolean {
  if (kind !== undefined && kind !== finding.kind) return false;
  const { stack } = finding;
  if (functionName !== undefined && !stack.some((frame) => isCalled(frame.functionName, functionName))) return false;
  if (file === undefined) return true;
  // A guest's files are as its debug information names them, without a folder perhaps.
  return stack.some((frame) =>
    file.startsWith("/") ? fits(pathOfFrame(frame), file) : fits(`/${pathOfFrame(frame)}`, `*/${file}`),
  );
}

/** A pattern that begins as linkers' names of C++ and Rust do may be meant for these. */
function isCalled(readable: string, pattern: string): boolean {
  if (fits(readable, pattern)) return true;
  return LINKED.test(pattern) && linkedNames(readable).some((name) => fits(name, pattern));
}

function fits(text: string, pattern: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join(".*")}$`).test(text);
}
