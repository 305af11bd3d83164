// SARIF: valid by the standard's published schema, and by the rules that code hosts add (the public validator's GH1015, GH1017, GH2012).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv-draft-04";
import addFormats from "ajv-formats";
import type { Location, Log, ReportingDescriptor, Result } from "sarif";
import { expect, test } from "vitest";
import { findingsToSarif } from "../../../allocator/checker/sarif.ts";
import { Heap } from "../../../allocator/index.ts";

const require = createRequire(import.meta.url);
const schema = require("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
const ajv = new Ajv.default({ strict: false, allErrors: true, unicodeRegExp: false });
addFormats.default(ajv);
const isValid = ajv.compile(schema);

function findAll(stacks: boolean): Heap {
  const heap = new Heap({ uninitialised: "byte", stacks, memoryBytes: 64 * 2 ** 20, seed: 1 });
  const p = heap.malloc(8);
  heap.memory.getUint8(p);
  heap.memory.getUint8(p + 8);
  const q = heap.calloc(1, 8);
  heap.memory.copy(q, p, 8);
  heap.memory.getUint16(q);
  heap.free(p);
  heap.memory.getUint8(p);
  try {
    heap.free(p);
  } catch {}
  heap.checker.leakCheck();
  return heap;
}

test.each([true, false])("a log is valid by the schema; stacks: %s", (stacks) => {
  const log = findAll(stacks).checker.toSarif() as Log;
  isValid(JSON.parse(JSON.stringify(log)));
  expect(isValid.errors ?? []).toEqual([]);
  expect(log.runs[0]!.results!.map(({ ruleId }) => ruleId)).toEqual([
    ...["uninitialised", "invalid-access", "uninitialised", "invalid-access", "invalid-free", "leak"],
  ]);
});

test.each([true, false])("what code hosts ask for beyond it; stacks: %s", (stacks) => {
  const [run] = (findAll(stacks).checker.toSarif() as Log).runs;
  const { driver } = run!.tool;
  for (const { physicalLocation } of run!.results!.flatMap(({ locations }) => locations ?? [{}])) {
    // GH1015: each result has a place, in a file below the root.
    const { uri, uriBaseId } = physicalLocation!.artifactLocation!;
    expect([uri, uriBaseId]).toEqual([expect.stringMatching(/^(?![/.]|file:)[\w./-]+$/), "%SRCROOT%"]);
    expect(physicalLocation!.region!.startLine).toBeGreaterThan(0);
  }
  expect(run!.results!.every(({ locations }) => locations?.length === 1)).toBe(true);
  // GH1017: each rule says what it is, in short, in full, and what to do.
  for (const rule of driver.rules as ReportingDescriptor[]) {
    expect(
      [rule.shortDescription?.text, rule.fullDescription?.text, rule.help?.text].every((text) => /\.$/.test(text!)),
    ).toBe(true);
    expect(rule.id).toBe(rule.id.toLowerCase());
    expect(rule.name).toMatch(/^[A-Z]\w+$/);
  }
  for (const { ruleId, ruleIndex } of run!.results!) expect(driver.rules![ruleIndex!]!.id).toBe(ruleId);
  // GH2012: the tool's version.
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  expect([driver.semanticVersion, driver.name]).toEqual([version, "refheap"]);
  expect(run!.originalUriBaseIds!["%SRCROOT%"]!.uri).toMatch(/^file:\/\/\/.*\/$/);
});

test("URIs are relative to the root that is given, and absolute outside it", () => {
  const { checker } = findAll(true);
  const urisUnder = (sourceRoot: string) =>
    (checker.toSarif({ sourceRoot }) as Log).runs[0]!.results!.map(({ locations }) => locations![0]!.physicalLocation!);
  const folder = new URL(".", import.meta.url).pathname;
  expect(urisUnder(folder)[0]!.artifactLocation).toEqual({ uri: "sarif.test.ts", uriBaseId: "%SRCROOT%" });
  expect(urisUnder("/nowhere")[0]!.artifactLocation!.uri).toMatch(/^file:\/\/\/.*\/sarif\.test\.ts$/);
});

test("fingerprints survive moves inside the file and tell mistakes apart", () => {
  const prints = (heap: Heap) =>
    (heap.checker.toSarif() as Log).runs[0]!.results!.map(
      ({ partialFingerprints }) => Object.values(partialFingerprints!)[0],
    );
  expect(prints(findAll(true))).toEqual(prints(findAll(true)));
  expect(new Set(prints(findAll(true))).size).toBeGreaterThan(3);
});

test("a fingerprint is FNV-1a of what does not move, so that baselines of earlier versions still fit", () => {
  const heap = new Heap({ uninitialised: "byte", memoryBytes: 64 * 2 ** 20, seed: 1 });
  heap.memory.getUint8(heap.malloc(8));
  const stack = ["read", "main"].map((functionName) => ({ functionName, file: "/src/codec.ts", line: 5, column: 1 }));
  const log = findingsToSarif([{ ...heap.checker.findings[0]!, stack }], { sourceRoot: "/src" }) as Log;
  let hash = 0x811c9dc5;
  for (const character of "uninitialised|load|||read@codec.ts|main@codec.ts")
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  expect(Object.values(log.runs[0]!.results![0]!.partialFingerprints!)).toEqual([hash.toString(16).padStart(8, "0")]);
});

test("a result lies where the program made the mistake, and where a block was allocated is beside it", () => {
  const heap = new Heap({ uninitialised: "byte", stacks: true, memoryBytes: 64 * 2 ** 20, seed: 1 });
  const make = () => heap.malloc(8);
  const use = (p: number) => heap.memory.getUint8(p);
  use(make());
  const [{ locations, relatedLocations }] = (heap.checker.toSarif() as Log).runs[0]!.results! as [Result];
  const lineOf = (places: Location[] | undefined) => places![0]!.physicalLocation!.region!.startLine!;
  expect(lineOf(relatedLocations) + 1).toBe(lineOf(locations));
  expect(relatedLocations![0]!.message!.text).toBe("allocated here");
});
