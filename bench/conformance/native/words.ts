// A script's steps as the lines of words that the recorder reads (recorder.c). What they answer is printed there.
import { type Script, ScriptError, type Step } from "../script.ts";

/** The arguments of each operation in the recorder's order; one with a value here may be left out in a script. */
const argumentsOf: Readonly<Record<string, readonly (string | readonly [string, string | number])[]>> = {
  load: ["addr"],
  store: ["addr", "value"],
  fill: ["addr", "len", "value"],
  copy: ["to", "from", "len"],
  dump: ["addr", "len"],
  touch: ["addr", "len", "value"],
  probe: ["addr", "len"],
  observe: [],
  mmap: ["addr", "len", "prot", "flags", "fd", "off", ["keep", "-"]],
  mremap: ["addr", "len", "newlen", "flags", "newaddr", ["keep", "-"]],
  munmap: ["addr", "len"],
  mprotect: ["addr", "len", "prot"],
  madvise: ["addr", "len", "advice"],
  msync: ["addr", "len", "flags"],
  mincore: ["addr", "len"],
  mlock: ["addr", "len"],
  mlock2: ["addr", "len", "flags"],
  munlock: ["addr", "len"],
  munlockall: [],
  rlimit: ["which", "value"],
  fork: [],
  exit: [],
  process_vm_readv: ["target", "flags", "local", "remote"],
  process_vm_writev: ["target", "flags", "local", "remote"],
  memfd: ["size"],
  reopen: ["fd", "mode"],
  close: ["fd"],
  ftruncate: ["fd", "size"],
  fpunch: ["fd", "off", "len"],
  fwrite: ["fd", "off", "len", "value"],
  fread: ["fd", "off", "len"],
  write: ["fd", "addr", "len", "off"],
  read: ["fd", "addr", "len", "off"],
  pipe_write: ["addr", "len"],
  pipe_read: ["addr", "len", "value"],
  thp_disable: ["value", "flags"],
  thp_disabled: [],
};

/** @throws ScriptError for an operation that the recorder does not know, or that lacks an argument */
export function wordsOf(script: Script): string {
  return script.steps.map((step) => `${lineOf(step)}\n`).join("");
}

function lineOf(step: Step): string {
  const names = Object.hasOwn(argumentsOf, step.op) ? argumentsOf[step.op] : undefined;
  if (names === undefined) throw new ScriptError(`the recorder does not know the op ${JSON.stringify(step.op)}`);
  const given = names.map((argument) => {
    const [name, otherwise] = typeof argument === "string" ? [argument, undefined] : argument;
    const value = step[name] ?? otherwise;
    if (value === undefined) throw new ScriptError(`${step.op} needs \`${name}\``);
    return wordOf(value);
  });
  return [step.op, String(step.p ?? 0), ...given].join(" ");
}

function wordOf(value: unknown): string {
  if (Array.isArray(value)) return [String(value.length), ...value.flat().map(wordOf)].join(" ");
  if (typeof value !== "number") return String(value);
  // JSON.parse has rounded 2^64 − 1 up to 2^64.
  return value >= 2 ** 64 ? String(2n ** 64n - 1n) : String(BigInt(value));
}
