// The recorder of kernel scripts: compiles the C program beside this file, and has it run scripts on the kernel of this machine. Where
// that kernel is not the one that is simulated, there is none, with the reason.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findCompiler } from "../../harness/c-compiler.ts";
import { linux } from "../linux/linux.ts";
import { runScript } from "../runner.ts";
import type { Answer, Script } from "../script.ts";
import { HostSettings } from "./host-settings.ts";
import { wordsOf } from "./words.ts";

/** The release of Linux that is simulated. */
export const SIMULATED_RELEASE = "6.18";

/** What scripts are about: small pages alone, or huge ones too. */
export type RecordedKind = "linux" | "thp";

const SOURCES = ["recorder.c", "participant.c", "observe.c", "steps.c", "file-steps.c", "words.c"];

/** C sources are not built: they lie beside this file, or, seen from dist/, in the project's own folder. */
const folderOfSources = ["./", "../../../../bench/conformance/native/"]
  .map((place) => fileURLToPath(new URL(place, import.meta.url)))
  .find((folder) => existsSync(join(folder, SOURCES[0])));

/** Runs scripts on this machine's kernel, one after another. */
export class Recorder {
  private readonly settings = new HostSettings();
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  constructor(program: string) {
    // The C library's restartable sequences would be written to by the kernel: faults that no script takes.
    const env = { ...process.env, GLIBC_TUNABLES: "glibc.pthread.rseq=0" };
    this.child = spawn(program, { env });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    // A program ends though the recorder waits for a next script.
    this.child.unref();
    for (const stream of [this.child.stdin, this.child.stdout, this.child.stderr]) (stream as Socket).unref();
  }

  /** Ends the program that runs the scripts. */
  end(): void {
    this.child.kill();
  }

  /** Why scripts of a kind cannot be recorded here; undefined if they can. */
  reasonAgainst(kind: RecordedKind): string | undefined {
    return kind === "thp" ? this.settings.reasonAgainst() : undefined;
  }

  /**
   * The script with what this kernel answered.
   * @throws ScriptError for a step that the recorder does not know
   * @throws Error if the recorder itself failed
   */
  async record(script: Script, kind: RecordedKind): Promise<Script> {
    const words = wordsOf(script);
    if (kind === "thp") this.settings.apply(script);
    for (const stream of [this.child.stdin, this.child.stdout]) (stream as Socket).ref();
    this.child.stdin.write(`${kind}\n${words}end\n`);
    const answers: string[] = [];
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done === true) throw new Error("the recorder has ended");
      if (value === "done") break;
      if (value === "failed") throw new Error(`the recorder failed: ${answers.at(-1)}`);
      answers.push(value);
    }
    for (const stream of [this.child.stdin, this.child.stdout]) (stream as Socket).unref();
    const steps = script.steps.map((step, index) => ({ ...step, want: JSON.parse(answers[index]) as Answer }));
    return { ...script, steps };
  }
}

/** What nearly every script does: a page is read before it is written, another written, and what there is is looked at. */
const COMMON_STEPS: Script = {
  name: "common steps",
  steps: [
    { op: "mmap", addr: 0, len: 8 * 4096, prot: 3, flags: 0x32, fd: -1, off: 0, want: {} },
    { op: "load", addr: 0, want: {} },
    { op: "store", addr: 4096, value: 7, want: {} },
    { op: "observe", want: {} },
    { op: "store", addr: 0, value: 1, want: {} },
    { op: "observe", want: {} },
  ],
};

/** The recorder, or the reason why there is none. */
export async function makeRecorder(): Promise<Recorder | string> {
  const reason = reasonAgainst();
  if (reason !== undefined) return reason;
  const compiler = findCompiler();
  if (compiler === null) return "no C compiler (cc, gcc or clang) is installed";
  if (folderOfSources === undefined) return "the C sources are not here: needs the project's own folder";
  const folder = mkdtempSync(join(tmpdir(), "refheap-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "recorder");
  const sources = SOURCES.map((name) => join(folderOfSources, name));
  const { status, stderr } = spawnSync(compiler, ["-O1", "-static", "-o", program, ...sources], { encoding: "utf8" });
  if (status !== 0) return `${compiler} could not compile the recorder:\n${stderr}`;
  const recorder = new Recorder(program);
  // A release says nothing of patches: there are kernels that give a page of its own where this one maps the zero page.
  const failure = runScript(linux, await recorder.record(COMMON_STEPS, "linux"));
  if (failure === undefined) return recorder;
  recorder.end();
  const { field, expected, got } = failure.difference;
  return `this kernel is another Linux ${SIMULATED_RELEASE} than the one that is simulated: step ${failure.stepNumber} of the common steps, ${field}: ${JSON.stringify(expected)}, simulated ${JSON.stringify(got)}`;
}

function reasonAgainst(): string | undefined {
  if (process.platform !== "linux") return `needs Linux, this is ${process.platform}`;
  if (process.arch !== "x64") return `the kernel that is simulated is x86-64's, this is ${process.arch}`;
  const [, version] = /^(\d+\.\d+)/.exec(release()) ?? [];
  if (version !== SIMULATED_RELEASE)
    return `the kernel that is simulated is Linux ${SIMULATED_RELEASE}, this is ${release()}`;
  const overcommit = contentOf("/proc/sys/vm/overcommit_memory");
  if (overcommit !== "0") return `needs vm.overcommit_memory 0, as in the recordings; here it is ${overcommit}`;
  return undefined;
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "not to be read";
  }
}
