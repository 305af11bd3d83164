// Findings for machines: plain JSON, and SARIF 2.1.0 (OASIS), which code hosts and editors show at the line.

import type { Finding } from "./finding.ts";
import { type Frame, isProgramFrame, pathOfFrame } from "./frames.ts";
import { formatFinding } from "./text.ts";

/** Findings as values that JSON can hold: the same fields, and the text. */
export function findingsToJson(findings: readonly Finding[]): object[] {
  return findings.map((finding) => ({ ...finding, text: formatFinding(finding) }));
}

const RULES = [
  { id: "uninitialised", name: "UseOfUninitialisedMemory", cwe: "CWE-457" },
  { id: "invalid-access", name: "InvalidAccess", cwe: "CWE-119" },
  { id: "leak", name: "MemoryLeak", cwe: "CWE-401" },
] as const;

/** One run of SARIF 2.1.0: a result a finding, its stack, the block's stacks as related locations. */
export function findingsToSarif(findings: readonly Finding[]): object {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "refheap",
            rules: RULES.map(({ id, name, cwe }) => ({ id, name, properties: { tags: [cwe] } })),
          },
        },
        results: findings.map(toResult),
      },
    ],
  };
}

function toResult(finding: Finding): object {
  const stack = programFrames(finding.stack);
  const allocation = programFrames(finding.block?.allocation ?? []);
  const free = programFrames(finding.block?.free ?? []);
  const related = [
    ...allocation.slice(0, 1).map((frame) => ({ ...location(frame), message: { text: "allocated here" } })),
    ...free.slice(0, 1).map((frame) => ({ ...location(frame), message: { text: "freed here" } })),
  ];
  const place = stack[0] ?? allocation[0];
  return {
    ruleId: finding.kind,
    level: finding.kind === "leak" && finding.leakKind !== "definitely lost" ? "warning" : "error",
    message: { text: formatFinding(finding).split("\n")[0] },
    occurrenceCount: finding.count,
    locations: place === undefined ? [] : [location(place)],
    stacks: stack.length === 0 ? [] : [{ frames: stack.map((frame) => ({ location: location(frame) })) }],
    relatedLocations: related,
  };
}

function programFrames(frames: readonly Frame[]): Frame[] {
  return frames.filter(isProgramFrame);
}

function location(frame: Frame): object {
  return {
    physicalLocation: {
      artifactLocation: { uri: new URL(pathOfFrame(frame), "file:///").href },
      region: { startLine: frame.line, startColumn: frame.column },
    },
    logicalLocations: frame.functionName === "" ? [] : [{ fullyQualifiedName: frame.functionName }],
  };
}
