// Recorded single instructions: those on registers, and those on an area of 1,024 bytes across a page border.
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import * as registers from "../../../platform/hardware/mte-registers.ts";
import {
  TAG_CHECK_ASYMM,
  TAG_CHECK_ASYNC,
  TAG_CHECK_NONE,
  TAG_CHECK_SYNC,
} from "../../../platform/hardware/tag-check.ts";
import { tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";
import { PROT_MTE, PROT_NONE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import { modeNames } from "./calls.ts";
import { oneOf, unknownName } from "./names.ts";
import { bytesOf, expectFault, expectSame, type Fault, hexOf, initialBytes, observe } from "./observed.ts";
import { AREA, kernelWithBlock, Program, READ_WRITE_MTE, tagStores } from "./program.ts";

interface Pointer {
  readonly addr: number;
  readonly tag: number;
}

export interface RegisterCase {
  readonly id: string;
  readonly op: string;
  readonly wide?: boolean;
  readonly incl?: number;
  readonly xn: Pointer | string;
  readonly xm?: Pointer | number | string;
  readonly imm6?: number;
  readonly imm4?: number;
  readonly xd?: Pointer | number | string;
  readonly nzcv?: number;
  readonly allowed?: readonly number[];
  readonly draws?: number;
}

interface ThenStep {
  readonly op: "ld" | "st" | "ldg";
  readonly at: number;
  readonly ptag: number;
  readonly size?: number;
  readonly value?: string;
  readonly tag?: number;
  readonly fault: Fault | null;
}

export interface MemoryCase {
  readonly id: string;
  readonly op: string;
  readonly mode: string;
  readonly pages: string;
  readonly seed: number;
  readonly tags: string;
  readonly at: number;
  readonly ptag: number;
  readonly vtag?: number;
  readonly value?: string;
  readonly block?: number;
  readonly xt?: Pointer;
  readonly xtAfter?: Pointer;
  readonly fault: Fault | null;
  readonly then: readonly ThenStep[];
  readonly tagsAfter: string;
  readonly bytesAfter: readonly (readonly [number, string])[];
}

const AREA_BYTES = 1024;
const DEFAULT_BLOCK = 512;
const DEFAULT_DRAWS = 16;
const registerInstructions = ["irg", "addg", "subg", "gmi", "subp", "subps"];
const modes = { none: TAG_CHECK_NONE, sync: TAG_CHECK_SYNC, async: TAG_CHECK_ASYNC, asymm: TAG_CHECK_ASYMM } as const;

function numberOf({ addr, tag }: Pointer): number {
  return withTag(addr, tag);
}

function pointerOf(address: number): Pointer {
  return { addr: withoutTag(address), tag: tagOf(address) };
}

/** @throws CaseFailed */
export function runRegisterCase(recorded: RegisterCase): void {
  if (recorded.wide === true) runWideCase(recorded);
  else runNarrowCase(recorded);
}

function runNarrowCase({
  op,
  incl = 0xffff,
  xn,
  xm,
  imm6 = 0,
  imm4 = 0,
  xd,
  nzcv,
  allowed,
  draws,
}: RegisterCase): void {
  const program = new Program(kernelWithBlock(DEFAULT_BLOCK).createProcess({ name: "case" }), AREA);
  const { memory } = program;
  memory.tagExclude = ~incl & 0xffff;
  const source = numberOf(xn as Pointer);
  switch (op) {
    case "irg":
      for (let draw = draws ?? DEFAULT_DRAWS; draw > 0; draw--) {
        const { addr, tag } = pointerOf(mte.irg(memory, source, xm as number));
        expectSame("address", withoutTag(source), addr);
        expectSame("tag is allowed", true, allowed?.includes(tag));
        if (xd !== undefined) expectSame("xd", xd, { addr, tag });
      }
      break;
    case "addg":
      expectSame("xd", xd, pointerOf(mte.addg(memory, source, imm6, imm4)));
      break;
    case "subg":
      expectSame("xd", xd, pointerOf(mte.subg(memory, source, imm6, imm4)));
      break;
    case "gmi":
      expectSame("xd", xd, mte.gmi(source, xm as number));
      break;
    case "subp":
      expectSame("xd", xd, mte.subp(source, numberOf(xm as Pointer)));
      break;
    case "subps":
      expectSame("xd", xd, mte.subps(memory, source, numberOf(xm as Pointer)));
      expectSame("nzcv", nzcv, memory.nzcv);
      break;
    default:
      throw unknownName("instruction", op, registerInstructions);
  }
  program.end();
}

function register(hex: unknown): bigint {
  return BigInt(`0x${hex as string}`);
}

function hexadecimal(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}

function runWideCase(recorded: RegisterCase): void {
  const { op, incl = 0xffff, imm6 = 0, imm4 = 0, xd, nzcv, allowed, draws } = recorded;
  const xn = register(recorded.xn);
  const exclude = ~incl & 0xffff;
  switch (op) {
    case "irg": {
      const program = new Program(kernelWithBlock(DEFAULT_BLOCK).createProcess({ name: "case" }), AREA);
      program.memory.tagExclude = exclude;
      const excluded = Number(register(recorded.xm) & 0xffffn);
      for (let draw = draws ?? DEFAULT_DRAWS; draw > 0; draw--) {
        const tag = tagOf(mte.irg(program.memory, 0, excluded));
        expectSame("tag is allowed", true, allowed?.includes(tag));
        if (xd !== undefined) expectSame("xd", xd, hexadecimal(registers.withRegisterTag(xn, tag)));
      }
      program.end();
      break;
    }
    case "addg":
      expectSame("xd", xd, hexadecimal(registers.addgRegister(xn, imm6, imm4, exclude)));
      break;
    case "subg":
      expectSame("xd", xd, hexadecimal(registers.addgRegister(xn, -imm6, imm4, exclude)));
      break;
    case "gmi":
      expectSame("xd", xd, hexadecimal(registers.gmiRegister(xn, register(recorded.xm))));
      break;
    case "subp":
    case "subps":
      expectSame("xd", xd, hexadecimal(registers.subpRegister(xn, register(recorded.xm))));
      if (op === "subps") expectSame("nzcv", nzcv, registers.subpsFlags(xn, register(recorded.xm)));
      break;
    default:
      throw unknownName("instruction", op, registerInstructions);
  }
}

/** Protections of a page's letter during the case; u is unmapped then. */
const protections: Readonly<Record<string, number>> = {
  m: READ_WRITE_MTE,
  p: PROT_READ | PROT_WRITE,
  r: PROT_READ | PROT_MTE,
  q: PROT_READ,
  n: PROT_NONE | PROT_MTE,
};

/** @throws CaseFailed. MalformedCase for pages, an instruction or a step that the format does not have. */
export function runMemoryCase(recorded: MemoryCase): void {
  for (const letter of recorded.pages) oneOf("page", letter, [...Object.keys(protections), "u"]);
  oneOf("instruction", recorded.op, ["ldg", ...tagStores]);
  for (const { op } of recorded.then) oneOf("op in `then`", op, ["ld", "st", "ldg"]);
  const kernel = kernelWithBlock(recorded.block ?? DEFAULT_BLOCK);
  const program = new Program(kernel.createProcess({ name: "case" }), AREA + PAGE_SIZE - AREA_BYTES / 2);
  const { process, memory, base } = program;
  prepare(program, recorded);
  memory.tagCheckMode = modes[oneOf("mode", recorded.mode, modeNames)];
  runInstruction(program, recorded);
  for (const [index, step] of recorded.then.entries())
    runThenStep(program, step, `then ${index + 1} (${step.op} ${step.at})`);
  memory.tagCheckMode = TAG_CHECK_NONE;
  for (const [index, letter] of [...recorded.pages].entries()) {
    const page = AREA + index * PAGE_SIZE;
    if (letter === "u") process.mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE, 0x32);
    else process.mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
  }
  expectSame("tagsAfter", recorded.tagsAfter, program.getTags(0, AREA_BYTES / 16));
  const expected = initialContents(recorded);
  for (const [offset, hex] of recorded.bytesAfter) expected.set(bytesOf(hex), offset);
  expectSame("bytesAfter", hexOf(expected), hexOf(memory.read(base, AREA_BYTES)));
  program.end();
}

/** The bytes before the instruction; a page that is not there counts as zeroes. */
function initialContents({ seed, pages }: MemoryCase): Uint8Array {
  const bytes = initialBytes(seed, AREA_BYTES);
  const half = AREA_BYTES / 2;
  for (let page = 0; page < 2; page++) if (pages[page] === "u") bytes.fill(0, page * half, (page + 1) * half);
  return bytes;
}

function prepare(program: Program, recorded: MemoryCase): void {
  const { process, base } = program;
  for (const [index, letter] of [...recorded.pages].entries()) {
    const hasTags = letter === "u" || (protections[letter] & PROT_MTE) !== 0;
    program.map(AREA + index * PAGE_SIZE - base, PAGE_SIZE, hasTags ? READ_WRITE_MTE : PROT_READ | PROT_WRITE);
  }
  program.poke(0, initialBytes(recorded.seed, AREA_BYTES));
  program.setTags(0, recorded.tags);
  for (const [index, letter] of [...recorded.pages].entries()) {
    const page = AREA + index * PAGE_SIZE;
    if (letter === "u") process.munmap(page, PAGE_SIZE);
    else process.mprotect(page, PAGE_SIZE, protections[letter]);
  }
}

function runInstruction(program: Program, recorded: MemoryCase): void {
  const { memory, base } = program;
  if (recorded.op === "ldg") {
    let after = numberOf(recorded.xt as Pointer);
    const fault = observe(base, () => {
      after = mte.ldg(memory, program.pointer(recorded.at, recorded.ptag), after);
    });
    expectFault("fault", recorded.fault, fault);
    if (fault === null) expectSame("xtAfter", recorded.xtAfter, pointerOf(after));
    return;
  }
  const action = program.tagStore(recorded);
  const fault = observe(base, action);
  // The recorded CPU changes nothing if the second page of two granules faults; ours too.
  expectFault("fault", recorded.fault, fault);
}

function runThenStep(program: Program, step: ThenStep, where: string): void {
  if (step.op === "ld") {
    const { value, fault } = program.load(step.at, step.ptag, step.size as number);
    expectFault(where, step.fault, fault);
    if (fault === null) expectSame(where, step.value, value);
  } else if (step.op === "st") {
    expectFault(where, step.fault, program.store(step.at, step.ptag, step.value as string));
  } else {
    let tag: number | undefined;
    const fault = observe(program.base, () => {
      tag = tagOf(mte.ldg(program.memory, program.pointer(step.at, step.ptag)));
    });
    expectFault(where, step.fault, fault);
    if (fault === null) expectSame(where, step.tag, tag);
  }
}
