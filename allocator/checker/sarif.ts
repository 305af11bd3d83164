// Findings for machines: plain JSON, and SARIF 2.1.0 (OASIS), which code hosts and editors show at the line.
// What code hosts ask beyond the standard (a location for each result, help for each rule, URIs relative to a root) is met here.

import type { Location, Log, ReportingDescriptor, Result } from "sarif";
import { requireOptions } from "../../platform/hardware/given-options.ts";
import type { Finding, FindingKind } from "./finding.ts";
import { formatFinding } from "./finding-text.ts";
import { type Frame, isProgramFrame, pathOfFrame } from "./frames.ts";

/** Findings as values that JSON can hold: the same fields, and the text. */
export function findingsToJson(findings: readonly Finding[]): object[] {
  return findings.map((finding) => ({ ...finding, text: formatFinding(finding) }));
}

export interface SarifOptions {
  /** Folder, as a path, that the source files' URIs are relative to. Default: the folder that the program runs in. */
  readonly sourceRoot?: string;
  /** Version of the program that was run, for the log's readers. Default: none. */
  readonly automationId?: string;
}

/** The library's own version, which SARIF's readers show; a test holds it to package.json. */
export const TOOL_VERSION = "0.1.0";
/** What URIs are relative to, by the name that code hosts know. */
const ROOT_ID = "%SRCROOT%";

interface Rule {
  readonly id: FindingKind;
  readonly name: string;
  readonly short: string;
  readonly full: string;
  readonly help: string;
  readonly cwe: readonly string[];
  readonly severity: string;
}

const RULES: readonly Rule[] = [
  {
    id: "uninitialised",
    name: "UseOfUninitialisedMemory",
    short: "Unwritten bytes are used.",
    full: "The program uses bytes of a block that it has not written since the block was allocated, so that the result depends on what lay there before.",
    help: "Write the bytes before they are read: a field that was left out, padding, or the rest of a buffer that was not filled. A block from calloc reads zero.",
    cwe: ["457", "908"],
    severity: "7.0",
  },
  {
    id: "invalid-access",
    name: "InvalidAccess",
    short: "Memory outside every live block is accessed.",
    full: "The program loads from or stores to memory that is not its own at this moment: a block that was freed, bytes in front of or behind a block, or memory that it declared out of bounds.",
    help: "Compare the access's offset with the block's size, and the place of the access with the places where the block was allocated and freed.",
    cwe: ["119", "416", "787"],
    severity: "9.0",
  },
  {
    id: "invalid-free",
    name: "InvalidFree",
    short: "What is freed is not the begin of a live block.",
    full: "The program frees, or gives to realloc, a pointer that the heap has not given out or has taken back already: a double free, a pointer into a block, or memory of something else.",
    help: "Free each block once, by the pointer that its allocation answered and by the functions that belong to that allocation.",
    cwe: ["415", "590", "761"],
    severity: "8.0",
  },
  {
    id: "leak",
    name: "MemoryLeak",
    short: "A block is live and nothing points to it.",
    full: "The program holds no pointer to a block any more, neither in its roots nor in a block that they lead to, and can therefore never free it.",
    help: "Free the block on every way out of the function that owns it, errors included.",
    cwe: ["401"],
    severity: "4.0",
  },
];

/** One run of SARIF 2.1.0: a result a finding, its stack, the block's stacks as related locations. */
export function findingsToSarif(findings: readonly Finding[], options: SarifOptions = {}): object {
  requireOptions("toSarif", options, { sourceRoot: "string", automationId: "string" });
  const root = rootUri(options.sourceRoot ?? globalThis.process?.cwd?.() ?? "/");
  const automation = options.automationId === undefined ? {} : { automationDetails: { id: options.automationId } };
  const log: Log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "refheap",
            semanticVersion: TOOL_VERSION,
            version: TOOL_VERSION,
            rules: RULES.map(descriptorOf),
          },
        },
        ...automation,
        columnKind: "utf16CodeUnits",
        originalUriBaseIds: { [ROOT_ID]: { uri: root, description: { text: "The root of the program's sources." } } },
        results: findings.map((finding) => toResult(finding, root)),
      },
    ],
  };
  return log;
}

function descriptorOf({ id, name, short, full, help, cwe, severity }: Rule): ReportingDescriptor {
  const tags = ["memory", "security", ...cwe.map((number) => `external/cwe/cwe-${number.padStart(3, "0")}`)];
  return {
    id,
    name,
    shortDescription: { text: short },
    fullDescription: { text: full },
    help: { text: help, markdown: help },
    defaultConfiguration: { level: id === "leak" ? "warning" : "error" },
    properties: { tags, "security-severity": severity, precision: "very-high", "problem.severity": "error" },
  };
}

function toResult(finding: Finding, root: string): Result {
  const { kind, block, origin, originFrame } = finding;
  const stack = programFrames(finding.stack);
  const allocation = programFrames(block?.allocation ?? []);
  const free = programFrames(block?.free ?? []);
  const source = programFrames(origin?.allocation ?? []);
  const frame = originFrame === null ? [] : [originFrame];
  const related = [
    ...allocation.slice(0, 1).map((frame) => locate(frame, root, "allocated here")),
    ...free.slice(0, 1).map((frame) => locate(frame, root, "freed here")),
    ...source.slice(0, 1).map((frame) => locate(frame, root, "the undefined bytes were allocated here")),
    ...frame.map((place) => locate(place, root, "the undefined bits are from this function's stack frame")),
  ];
  const place = stack[0] ?? allocation[0];
  return {
    ruleId: kind,
    ruleIndex: RULES.findIndex(({ id }) => id === kind),
    level: kind === "leak" && finding.leakKind !== "definitely lost" ? "warning" : "error",
    message: { text: `${formatFinding(finding).split("\n")[0]}.` },
    occurrenceCount: finding.count,
    locations: [place === undefined ? UNKNOWN_PLACE : locate(place, root)],
    ...(stack.length === 0 ? {} : { stacks: [{ frames: stack.map((frame) => ({ location: locate(frame, root) })) }] }),
    ...(related.length === 0 ? {} : { relatedLocations: related.map((location, id) => ({ ...location, id })) }),
    partialFingerprints: { "refheapFinding/v1": fingerprint(finding, stack) },
  };
}

/** Where nothing is known of the place (a heap that keeps no stacks): the root's manifest, so that hosts take the result. */
const UNKNOWN_PLACE: Location = {
  physicalLocation: {
    artifactLocation: { uri: "package.json", uriBaseId: ROOT_ID },
    region: { startLine: 1, startColumn: 1 },
  },
  message: { text: "The place is not known: the heap keeps no stacks." },
};

function programFrames(frames: readonly Frame[]): Frame[] {
  return frames.filter(isProgramFrame);
}

function locate(frame: Frame, root: string, message?: string): Location {
  const uri = pathToUri(pathOfFrame(frame));
  const artifactLocation = uri.startsWith(root) ? { uri: uri.slice(root.length), uriBaseId: ROOT_ID } : { uri };
  return {
    physicalLocation: { artifactLocation, region: { startLine: frame.line, startColumn: frame.column } },
    ...(message === undefined ? {} : { message: { text: message } }),
    ...(frame.functionName === "" ? {} : { logicalLocations: [{ fullyQualifiedName: frame.functionName }] }),
  };
}

/** A folder's URI, which ends in a slash. */
function rootUri(path: string): string {
  return pathToUri(path.endsWith("/") ? path : `${path}/`);
}

/** The file URI of a path; what has a scheme is a URI already. Windows' paths begin with a drive. */
function pathToUri(path: string): string {
  if (/^[a-z][a-z+.-]+:/i.test(path)) return path;
  const plain = path.replaceAll("\\", "/");
  return new URL(encodeURI(plain).replaceAll("?", "%3F").replaceAll("#", "%23"), "file:///").href;
}

/** Equal for the same mistake after edits elsewhere in its file: the kind and the functions and files of the stack. */
function fingerprint({ kind, operation, cause, leakKind }: Finding, stack: readonly Frame[]): string {
  const places = stack.map((frame) => `${frame.functionName}@${pathOfFrame(frame).split("/").at(-1)}`);
  const text = [kind, operation, cause, leakKind, ...places].join("|");
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
