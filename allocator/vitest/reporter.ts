// Entry "refheap/vitest/reporter": a reporter for Vitest that writes the findings of a whole run as SARIF and as GitHub annotations.
// How findings come from the tests' processes is test-meta.ts; SARIF itself is checker/sarif.ts.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type OptionKinds, requireOptions } from "../../platform/hardware/given-options.ts";
import type { Finding } from "../checker/finding.ts";
import { formatFinding } from "../checker/finding-text.ts";
import { isProgramFrame, pathOfFrame } from "../checker/frames.ts";
import { findingsToSarif } from "../checker/sarif.ts";
import { recordedFindings } from "./test-meta.ts";

/** Where the reporter writes to. */
export interface HeapReporterOptions {
  /** The SARIF file, from the folder that Vitest runs in. Default `"refheap.sarif"`; null: none is written. */
  readonly outputFile?: string | null;
  /** Whether each finding is printed as a workflow command that GitHub shows at its line. Default: in GitHub's actions only. */
  readonly annotations?: boolean;
  /** Folder that the URIs are relative to: the repository's root. Default: the folder that Vitest runs in. */
  readonly sourceRoot?: string;
  /** Takes the annotations, line by line. Default: standard output. */
  readonly write?: (line: string) => void;
}

const REPORTER_OPTIONS: OptionKinds = {
  outputFile: "any",
  annotations: "boolean",
  sourceRoot: "string",
  write: "function",
};

/** What Vitest (3.2 to 5) hands a reporter, as far as it is used. */
interface ReportedTest {
  meta(): object;
}

interface ReportedModule {
  readonly children: { allTests(): Iterable<ReportedTest> };
}

/** `reporters: ["default", new HeapReporter()]`, or by name: `reporters: ["default", "refheap/vitest/reporter"]`. */
export class HeapReporter {
  private readonly options: HeapReporterOptions;

  constructor(options: HeapReporterOptions = {}) {
    requireOptions("HeapReporter", options, REPORTER_OPTIONS);
    const { outputFile = null } = options;
    if (outputFile !== null && typeof outputFile !== "string")
      throw new TypeError(`HeapReporter: outputFile is a string or null, not ${typeof outputFile}`);
    this.options = options;
  }

  /** Vitest calls it when all tests are over. */
  onTestRunEnd(modules: readonly ReportedModule[]): void {
    const findings = distinct(modules.flatMap(({ children }) => [...children.allTests()].flatMap(findingsOf)));
    const { outputFile = "refheap.sarif", sourceRoot = process.cwd() } = this.options;
    if (outputFile !== null) {
      const file = resolve(outputFile);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${JSON.stringify(findingsToSarif(findings, { sourceRoot }), null, 2)}\n`);
    }
    const { annotations = process.env.GITHUB_ACTIONS === "true", write = console.log } = this.options;
    if (annotations) for (const finding of findings) write(annotation(finding, sourceRoot));
  }
}

// Vitest finds a reporter that is given by name as its module's default.
export { HeapReporter as default };

function findingsOf(test: ReportedTest): readonly Finding[] {
  return recordedFindings(test.meta());
}

/** The same mistake in several tests is one finding, as often as all of them met it. */
function distinct(findings: readonly Finding[]): Finding[] {
  const byText = new Map<string, Finding>();
  for (const finding of findings) {
    const { kind, operation, cause, leakKind, size, stack } = finding;
    const key = JSON.stringify([kind, operation, cause, leakKind, kind === "leak" ? 0 : size, stack]);
    const known = byText.get(key);
    if (known === undefined) byText.set(key, { ...finding });
    else known.count += finding.count;
  }
  return [...byText.values()];
}

/** A workflow command: `::error file=…,line=…,col=…,title=…::text`. */
function annotation(finding: Finding, sourceRoot: string): string {
  const [frame] = finding.stack.filter(isProgramFrame);
  const [headline, ...more] = formatFinding(finding).split("\n");
  const path = frame === undefined ? null : pathOfFrame(frame);
  const root = sourceRoot.endsWith("/") ? sourceRoot : `${sourceRoot}/`;
  const place =
    frame === undefined || path === null
      ? {}
      : { file: path.startsWith(root) ? path.slice(root.length) : path, line: frame.line, col: frame.column };
  const properties = Object.entries({ ...place, title: headline }).map(
    ([name, value]) => `${name}=${escapeProperty(value)}`,
  );
  return `::error ${properties.join(",")}::${escapeText([headline, ...more].join("\n"))}`;
}

function escapeText(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(value: string | number): string {
  return escapeText(String(value)).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
