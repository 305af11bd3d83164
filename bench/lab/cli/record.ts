// `refheap record`: runs a program and records its allocations, of refheap's heaps or, by a preloaded library, of any program.
import { basename, resolve } from "node:path";
import { Command, Option } from "commander";
import { completeRecording, recordingFiles, removeRecordings } from "./complete-recordings.ts";
import { recordNative } from "./record-native.ts";
import { checkOutput } from "./result-files.ts";
import { runProgram } from "./run-program.ts";

interface RecordOptions {
  readonly out: string;
  readonly native?: boolean;
}

export function recordCommand(): Command {
  return new Command("record")
    .summary("run a program and record its allocations as a trace")
    .description(
      "Runs COMMAND. A Node program's refheap heaps are recorded with their touches, in refheap's binary format, one file a " +
        "heap (FILE, FILE.2, …). With --native any dynamically linked program of a Linux system with glibc is recorded, with the first load and store of " +
        "each page, one file a process (FILE, FILE.PID, …); it needs a C compiler. " +
        "The exit code is the program's.",
    )
    .argument("<command>", "the program; put -- before it")
    .argument("[arguments...]", "its arguments")
    .passThroughOptions()
    .addOption(new Option("-o, --out <file>", "the trace to write").default("refheap.rht"))
    .option("--native", "record a native program's malloc and touches by a preloaded library")
    .action(record);
}

async function record(command: string, arguments_: string[], options: RecordOptions): Promise<void> {
  checkOutput(options.out);
  const file = resolve(options.out);
  process.exitCode = await (options.native ? recordNative : recordHeaps)(command, arguments_, file);
}

async function recordHeaps(command: string, arguments_: string[], file: string): Promise<number> {
  removeRecordings(file);
  const { code } = await runProgram(command, arguments_, { ...process.env, ...nodeEnvironment(file) });
  const written = recordingFiles(file);
  for (const one of written) completeRecording(one);
  if (written.length === 0) {
    process.stderr.write(`refheap: nothing was recorded: ${command} made no heap\n`);
    return code;
  }
  const names = written.length === 1 ? basename(file) : `${basename(file)} to ${basename(written[written.length - 1])}`;
  process.stderr.write(`${names} written\n`);
  return code;
}

function nodeEnvironment(file: string): Record<string, string> {
  const preload = new URL("./record.preload.js", import.meta.url).href;
  return { REFHEAP_RECORD: file, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} --import=${preload}`.trim() };
}
