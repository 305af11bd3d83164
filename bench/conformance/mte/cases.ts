// Recorded cases of prctl, PROT_MTE, tags, signals and whole scenarios: system calls and instructions in one list of steps.

import * as mte from "../../../platform/hardware/mte.ts";
import { tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";
import * as mman from "../../../platform/kernel/abi/mman.ts";
import { SA_SIGINFO, SIG_BLOCK, SIG_UNBLOCK, SIGSEGV, SIGUSR1 } from "../../../platform/kernel/signals.ts";
import { type CallResult, Calls, call, type ModeName } from "./calls.ts";
import { openDiskFile } from "./disk-file.ts";
import { flagsNamed, numberNamed, oneOf, unknownName } from "./names.ts";
import { CaseFailed, expectFault, expectSame, type Fault, observe } from "./observed.ts";
import { AREA, kernelWithBlock, Program, tagStores } from "./program.ts";
import { raisesFlag } from "./scripts.ts";

/** A step; which of the fields it has depends on `op`. */
export interface CaseStep {
  readonly op: string;
  readonly at: number;
  readonly len?: number;
  readonly ptag?: number;
  readonly vtag?: number;
  readonly tag?: number;
  readonly tags?: string;
  readonly size?: number;
  readonly value?: string | number;
  readonly bytes?: string;
  readonly flag?: boolean;
  readonly fault?: Fault;
  readonly ret?: number;
  readonly error?: string;
  readonly async?: number;
  readonly order?: string;
  readonly si_addr?: number;
  readonly option?: string;
  readonly args?: readonly (number | string)[];
  readonly prot?: number | readonly string[];
  readonly kind?: string;
  readonly sameFile?: boolean;
  readonly advice?: string;
  readonly flags?: string | readonly string[];
  readonly block?: number | readonly string[];
  readonly unblock?: readonly string[];
  readonly to?: number;
  readonly toTag?: number;
  readonly newLen?: number;
  readonly pattern?: number;
  readonly addr?: number;
  readonly exclude?: number;
  readonly allowed?: readonly number[];
  readonly imm6?: number;
  readonly imm4?: number;
  readonly tagAfter?: number;
  readonly mask?: number;
  readonly result?: number;
  readonly at2?: number;
  readonly ptag2?: number;
  readonly diff?: number;
  readonly mode?: ModeName;
  readonly child?: readonly CaseStep[];
  readonly sigsegv?: string;
  readonly access?: CaseStep;
  readonly killedBy?: string;
  readonly before?: number;
  readonly inside?: number;
  readonly after?: number;
}

export interface StepCase {
  readonly id: string;
  readonly group: string;
  readonly what?: string;
  readonly basis?: string;
  readonly steps: readonly CaseStep[];
}

const DEFAULT_BLOCK = 512;
const IRG_DRAWS = 16;
const mappingKinds = ["anon-private", "anon-shared", "memfd-private", "memfd-shared", "file-private", "file-shared"];
/** Steps other than the tag stores of program.ts. */
const otherSteps = [
  ...["prctl", "mmap", "mprotect", "munmap", "madvise", "mlock", "msync", "mremap", "read", "write"],
  ...["settags", "tags", "ldg", "irg", "addg", "gmi", "subp", "tco", "gettco", "ld", "st"],
  ...["kernel", "preferred", "sigaction", "sigmask", "handlerTco", "fork", "forkFault", "execve"],
];
const knownSteps: ReadonlySet<unknown> = new Set([...otherSteps, ...tagStores]);

/** @throws CaseFailed */
export function runStepCase(recorded: StepCase): void {
  checkSteps(recorded.steps, "");
  const block = recorded.steps.find((step) => step.op === "gva" || step.op === "gzva" || step.op === "zva")?.block;
  const kernel = kernelWithBlock(typeof block === "number" ? block : DEFAULT_BLOCK);
  kernel.preferredTagCheckMode = "async";
  const participant = new Participant(new Program(kernel.createProcess({ name: recorded.id }), AREA), []);
  participant.calls.catchFaults();
  participant.runSteps(recorded.steps, "");
  participant.program.memory.asyncTagFault = false;
  participant.program.end();
}

/** Nothing runs of a case with a step that the format does not have. @throws MalformedCase */
function checkSteps(steps: readonly CaseStep[], prefix: string): void {
  for (const [index, step] of steps.entries()) {
    if (!knownSteps.has(step?.op)) {
      throw unknownName(`op in ${prefix}step ${index + 1}:`, step?.op, [...(knownSteps as Set<string>)]);
    }
    checkSteps(step.child ?? [], `${prefix}step ${index + 1}, child `);
  }
}

/** One process of a case, with what its steps leave behind for each other. */
class Participant {
  readonly program: Program;
  readonly calls: Calls;
  private lastFile = -1;

  constructor(program: Program, signals: Calls["signals"]) {
    this.program = program;
    this.calls = new Calls(program.process, signals);
  }

  runSteps(steps: readonly CaseStep[], prefix: string): void {
    for (const [index, step] of steps.entries()) {
      const where = `${prefix}step ${index + 1} (${step.op})`;
      const before = this.calls.asyncReports;
      this.runStep(step, where);
      if (step.async !== undefined) expectSame(`${where}, async`, step.async, this.calls.asyncReports - before);
      if (step.si_addr !== undefined) expectSame(`${where}, si_addr`, step.si_addr, this.calls.signals.at(-1)?.address);
    }
  }

  private runStep(step: CaseStep, where: string): void {
    if (this.runCall(step, where) || this.runTagStep(step, where) || this.runSignalStep(step, where)) return;
    if (step.op === "ld" || step.op === "st") {
      this.runAccess(step, where);
      return;
    }
    const action = this.program.tagStore({ ...step, at: step.at ?? 0, value: step.value as string });
    const count = this.calls.signals.length;
    expectFault(where, step.fault, this.withTagBits(observe(this.program.base, action), count));
  }

  private runCall(step: CaseStep, where: string): boolean {
    const { process } = this.program;
    const address = this.program.pointer(step.at ?? 0, step.ptag ?? 0);
    const length = step.len ?? 0;
    let got: CallResult;
    switch (step.op) {
      case "prctl":
        got = call(() => process.prctl(numberNamed("prctl option", step.option), ...(step.args ?? []).map(Number)));
        break;
      case "mmap":
        got = call(() => this.mmap(step, address, length));
        break;
      case "mprotect":
        got = call(() => process.mprotect(address, length, flagsNamed("protection", step.prot)) ?? 0);
        break;
      case "munmap":
        if (step.order === "signal first") this.calls.catchFaults(SA_SIGINFO, () => this.requireMapped(step, where));
        got = call(() => process.munmap(address, length) ?? 0);
        break;
      case "madvise":
        got = call(() => process.madvise(address, length, numberNamed("advice", step.advice)) ?? 0);
        break;
      case "mlock":
        got = call(() => process.mlock(address, length) ?? 0);
        break;
      case "msync":
        got = call(() => process.msync(address, length, flagsNamed("msync flag", step.flags)) ?? 0);
        break;
      case "mremap":
        got = call(() => this.mremap(step, address, length));
        break;
      case "read":
        got = this.calls.read(address, length, step.pattern ?? 0);
        break;
      case "write":
        got = this.calls.write(address, length);
        break;
      default:
        return false;
    }
    if (step.error === undefined) {
      expectSame(where, { ret: step.ret }, { ret: got.ret, error: got.error });
      if (step.bytes !== undefined) expectSame(`${where}, bytes`, step.bytes, got.bytes);
    } else expectSame(where, { error: step.error }, { error: got.error ?? `ret ${got.ret}` });
    return true;
  }

  /** @returns 0 for the address that was asked for, as the files have it. */
  private mmap(step: CaseStep, address: number, length: number): number {
    const { process } = this.program;
    const kind = oneOf("kind of mapping", step.kind, mappingKinds);
    let flags = mman.MAP_FIXED | (kind.endsWith("-shared") ? mman.MAP_SHARED : mman.MAP_PRIVATE);
    if (kind.startsWith("anon")) flags |= mman.MAP_ANONYMOUS;
    else if (step.sameFile !== true) {
      if (kind.startsWith("memfd")) {
        this.lastFile = process.memfd_create("case");
        process.ftruncate(this.lastFile, length);
      } else {
        this.lastFile = openDiskFile(process, length);
      }
    }
    const fd = (flags & mman.MAP_ANONYMOUS) === 0 ? this.lastFile : -1;
    return process.mmap(address, length, flagsNamed("protection", step.prot), flags, fd, 0) - address;
  }

  private mremap(step: CaseStep, address: number, length: number): number {
    const { process } = this.program;
    const to = this.program.pointer(step.to ?? 0, step.toTag ?? 0);
    const newLength = step.newLen ?? length;
    if (step.to === step.at) return process.mremap(address, length, newLength, 0) - withoutTag(address);
    return process.mremap(address, length, newLength, mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED, to) - withoutTag(to);
  }

  /** In a signal handler: the call that the signal interrupts must not have done its work yet. */
  private requireMapped(step: CaseStep, where: string): void {
    const fault = observe(this.program.base, () => this.program.peek(step.at, 1));
    if (fault !== null) throw new CaseFailed({ where, expected: step.order, got: "the call first" });
  }

  private runTagStep(step: CaseStep, where: string): boolean {
    const { program } = this;
    const { memory } = program;
    switch (step.op) {
      case "settags":
        program.setTags(step.at, step.tags as string);
        return true;
      case "tags":
        expectSame(where, step.tags, program.getTags(step.at, (step.tags as string).length));
        return true;
      case "ldg": {
        let tag: number | undefined;
        const fault = observe(program.base, () => {
          tag = tagOf(mte.ldg(memory, program.pointer(step.at, step.ptag)));
        });
        expectFault(where, step.fault, fault);
        if (fault === null) expectSame(where, step.tag, tag);
        return true;
      }
      case "irg":
        for (let draw = 0; draw < IRG_DRAWS; draw++) {
          const drawn = mte.irg(memory, program.pointer(step.addr ?? 0, step.tag), step.exclude);
          expectSame(`${where}, address`, program.pointer(step.addr ?? 0), withoutTag(drawn));
          expectSame(`${where}, tag ${tagOf(drawn)} is allowed`, true, step.allowed?.includes(tagOf(drawn)));
        }
        return true;
      case "addg":
        expectSame(
          where,
          step.tagAfter,
          tagOf(mte.addg(memory, program.pointer(0, step.tag), step.imm6 ?? 0, step.imm4 ?? 0)),
        );
        return true;
      case "gmi":
        expectSame(where, step.result, mte.gmi(withTag(0, step.tag ?? 0), step.mask ?? 0));
        return true;
      case "subp":
        expectSame(
          where,
          step.diff,
          mte.subp(program.pointer(step.at, step.ptag), program.pointer(step.at2 ?? 0, step.ptag2)),
        );
        return true;
      case "tco":
        memory.tco = step.value === 1;
        return true;
      case "gettco":
        expectSame(where, step.value, memory.tco ? 1 : 0);
        return true;
      default:
        return false;
    }
  }

  private runSignalStep(step: CaseStep, where: string): boolean {
    const { process, memory } = this.program;
    switch (step.op) {
      case "kernel":
        this.calls.enterKernel();
        return true;
      case "preferred":
        process.kernel.preferredTagCheckMode = oneOf("mode", step.mode, ["sync", "async", "asymm"]);
        return true;
      case "sigaction":
        this.calls.catchFaults(flagsNamed("signal flag", step.flags));
        return true;
      case "sigmask": {
        if (step.block !== undefined) process.sigprocmask(SIG_BLOCK, [SIGSEGV]);
        if (step.unblock !== undefined) process.sigprocmask(SIG_UNBLOCK, [SIGSEGV]);
        return true;
      }
      case "handlerTco": {
        let inside = -1;
        process.sigaction(SIGUSR1, {
          flags: 0,
          handler: () => {
            inside = memory.tco ? 1 : 0;
          },
        });
        memory.tco = step.before === 1;
        process.kill(process.pid, SIGUSR1);
        expectSame(where, [step.inside, step.after], [inside, memory.tco ? 1 : 0]);
        return true;
      }
      case "fork": {
        const child = new Participant(new Program(process.fork(), AREA), this.calls.signals);
        child.runSteps(step.child ?? [], `${where}, child `);
        child.program.memory.asyncTagFault = false;
        child.program.end();
        process.wait4(child.program.process.pid);
        return true;
      }
      case "forkFault": {
        const child = new Program(process.fork(), AREA);
        if (oneOf("sigsegv", step.sigsegv, ["blocked", "ignored"]) === "blocked")
          child.process.sigprocmask(SIG_BLOCK, [SIGSEGV]);
        else child.process.sigaction(SIGSEGV, "ignore");
        const { op, at, ptag = 0, size = 1, value } = step.access as CaseStep;
        if (op === "st") child.store(at, ptag, value as string);
        else child.load(at, ptag, size);
        const ended = process.wait4(child.process.pid);
        expectSame(where, step.killedBy, ended?.signal === SIGSEGV ? "SIGSEGV" : ended);
        return true;
      }
      case "execve":
        process.execve("case");
        return true;
      default:
        return false;
    }
  }

  private runAccess(step: CaseStep, where: string): void {
    const { program } = this;
    const count = this.calls.signals.length;
    const flag = raisesFlag(program, () => {
      if (step.op === "st") {
        expectFault(
          where,
          step.fault,
          this.withTagBits(program.store(step.at, step.ptag ?? 0, step.value as string), count),
        );
        return;
      }
      const { value, fault } = program.load(step.at, step.ptag ?? 0, step.size as number);
      expectFault(where, step.fault, this.withTagBits(fault, count));
      if (fault === null) expectSame(where, step.value, value);
    });
    expectSame(`${where}, flag`, step.flag === true, flag);
  }

  /** The fault with the address that the signal handler got, if one ran. */
  private withTagBits(fault: Fault | null, signalsBefore: number): Fault | null {
    const info = this.calls.signals[signalsBefore];
    if (fault === null || info === undefined) return fault;
    return { ...fault, off: withoutTag(info.address) - this.program.base, tagBits: tagOf(info.address) };
  }
}
