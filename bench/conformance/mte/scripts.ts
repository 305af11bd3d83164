// Recorded scripts: a random sequence of tag stores, accesses, modes and kernel entries on 16 pages, compared step by step.
import { GRANULE_SIZE, PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import { tagOf } from "../../../platform/hardware/tags.ts";
import { type CallResult, Calls, type ModeName, modeNames } from "./calls.ts";
import { oneOf, unknownName } from "./names.ts";
import { expectFault, expectSame, type Fault, fnv1a, initialBytes, observe } from "./observed.ts";
import { AREA, kernelWithBlock, Program, tagStores } from "./program.ts";

export interface ScriptStep {
  readonly op: string;
  readonly at: number;
  readonly len?: number;
  readonly tag?: number;
  readonly ptag?: number;
  readonly vtag?: number;
  readonly size?: number;
  readonly value?: string | number;
  readonly mode?: ModeName;
  readonly pattern?: number;
  readonly stored?: boolean;
  readonly flag?: boolean;
  readonly fault?: Fault;
  readonly async?: number;
  readonly ret?: number;
  readonly error?: string;
  readonly bytes?: string;
}

export interface ScriptCase {
  readonly id: string;
  readonly seed: number;
  readonly steps: readonly ScriptStep[];
  readonly endBytes: string;
  readonly endTags: readonly (readonly [number, number, number])[];
}

const PAGES = 16;
const BYTES = PAGES * PAGE_SIZE;
const BLOCK_BYTES = 512;

const otherSteps = ["mode", "kernel", "tco", "read", "write", "tagrange", "ldg", "ld", "st"];
const knownSteps = [...otherSteps, ...tagStores];

/** @throws CaseFailed. MalformedCase for a step that scripts do not have, before anything runs. */
export function runScriptCase(recorded: ScriptCase): void {
  for (const [index, step] of recorded.steps.entries()) {
    if (!(knownSteps as string[]).includes(step?.op))
      throw unknownName(`op in step ${index + 1}:`, step?.op, knownSteps);
  }
  const process = kernelWithBlock(BLOCK_BYTES).createProcess({ name: recorded.id });
  const program = new Program(process, AREA);
  const calls = new Calls(process);
  calls.catchFaults();
  program.map(0, BYTES);
  program.poke(0, initialBytes(recorded.seed, BYTES));
  calls.setMode("none");
  for (const [index, step] of recorded.steps.entries()) runStep(program, calls, step, `step ${index + 1} (${step.op})`);
  program.memory.asyncTagFault = false;
  expectSame("endTags", expandTags(recorded.endTags), program.getTags(0, BYTES / GRANULE_SIZE));
  expectSame("endBytes", recorded.endBytes, fnv1a(program.peek(0, BYTES)));
  program.end();
}

function expandTags(runs: ScriptCase["endTags"]): string {
  const digits = new Array<string>(BYTES / GRANULE_SIZE).fill("0");
  for (const [granule, count, tag] of runs) digits.fill(tag.toString(16), granule, granule + count);
  return digits.join("");
}

function runStep(program: Program, calls: Calls, step: ScriptStep, where: string): void {
  const before = calls.asyncReports;
  switch (step.op) {
    case "mode":
      calls.setMode(oneOf("mode", step.mode, modeNames));
      break;
    case "kernel":
      calls.enterKernel();
      break;
    case "tco":
      program.memory.tco = step.value === 1;
      break;
    case "read":
      expectCall(where, step, calls.read(program.pointer(step.at, step.ptag), step.len ?? 0, step.pattern ?? 0));
      break;
    case "write":
      expectCall(where, step, calls.write(program.pointer(step.at, step.ptag), step.len ?? 0));
      break;
    case "tagrange":
      program.setTags(step.at, (step.tag ?? 0).toString(16).repeat((step.len ?? 0) / GRANULE_SIZE));
      break;
    case "ldg":
      expectSame(where, step.tag, tagOf(mte.ldg(program.memory, program.pointer(step.at, step.ptag))));
      break;
    case "ld":
    case "st":
      runAccess(program, step, where);
      break;
    default: {
      const action = program.tagStore({ ...step, at: step.at ?? 0, value: step.value as string });
      expectFault(where, step.fault, observe(program.base, action));
    }
  }
  if (step.async !== undefined) expectSame(`${where}, async`, step.async, calls.asyncReports - before);
}

function expectCall(where: string, step: ScriptStep, got: CallResult): void {
  const { ret, error, bytes } = step;
  if (error !== undefined) expectSame(where, { error }, { error: got.error });
  else if (bytes !== undefined) expectSame(where, { ret, bytes }, { ret: got.ret, bytes: got.bytes });
  else expectSame(where, { ret }, { ret: got.ret });
}

/** Whether `access` raises the asynchronous flag by itself; what was raised before stays. */
export function raisesFlag(program: Program, access: () => void): boolean {
  const { memory } = program;
  const before = memory.asyncTagFault;
  memory.asyncTagFault = false;
  access();
  const raised = memory.asyncTagFault;
  memory.asyncTagFault = raised || before;
  return raised;
}

function runAccess(program: Program, step: ScriptStep, where: string): void {
  const flag = raisesFlag(program, () => {
    if (step.op === "ld") {
      const { value, fault } = program.load(step.at, step.ptag ?? 0, step.size as number);
      expectFault(where, step.fault, fault);
      if (fault === null) expectSame(where, step.value, value);
    } else {
      const value = step.value as string;
      const before = program.peek(step.at, value.length / 2);
      expectFault(where, step.fault, program.store(step.at, step.ptag ?? 0, value));
      const after = program.peek(step.at, value.length / 2);
      const expected = step.stored === true ? value : hexadecimal(before);
      expectSame(`${where}, memory`, expected, hexadecimal(after));
    }
  });
  expectSame(`${where}, flag`, step.flag === true, flag);
}

function hexadecimal(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
