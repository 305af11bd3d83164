// `refheap record`: runs a program and records its allocations, of refheap's heaps or, by glibc's mtrace, of any program.
import { spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { prepareNativeRecorder } from "./native-record.ts";

interface RecordOptions {
  readonly out: string;
  readonly native?: boolean;
}

export function recordCommand(): Command {
  return new Command("record")
    .summary("run a program and record its allocations as a trace")
    .description(
      "Runs COMMAND. A Node program's refheap heaps are recorded with their touches, in refheap's binary format, one file a " +
        "heap (FILE, FILE.2, …). With --native any program of a glibc system is recorded by mtrace, without touches. " +
        "The exit code is the program's.",
    )
    .argument("<command>", "the program; put -- before it")
    .argument("[arguments...]", "its arguments")
    .passThroughOptions()
    .addOption(new Option("-o, --out <file>", "the trace to write").default("refheap.rht"))
    .option("--native", "record a native program's malloc by glibc's mtrace")
    .action(record);
}

async function record(command: string, arguments_: string[], options: RecordOptions): Promise<void> {
  const file = resolve(options.out);
  rmSync(file, { force: true });
  const native = options.native ? prepareNativeRecorder(file) : null;
  try {
    const environment = native?.environment ?? nodeEnvironment(file);
    process.exitCode = await run(command, arguments_, { ...process.env, ...environment });
  } finally {
    native?.remove();
  }
  if (existsSync(file)) process.stderr.write(`${options.out} written\n`);
  else {
    process.stderr.write(
      `refheap: nothing was recorded: ${command} made no ${options.native ? "allocation" : "heap"}\n`,
    );
    process.exitCode ||= 1;
  }
}

function nodeEnvironment(file: string): Record<string, string> {
  const preload = new URL("./record.preload.js", import.meta.url).href;
  return { REFHEAP_RECORD: file, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} --import=${preload}`.trim() };
}

/** The exit code, or 128 plus the signal's number as shells have it. */
function run(command: string, arguments_: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((done, fail) => {
    const child = spawn(command, arguments_, { stdio: "inherit", env });
    child.on("error", (error: NodeJS.ErrnoException) => {
      fail(error.code === "ENOENT" ? new Error(`${command}: no such program`) : error);
    });
    child.on("close", (code, signal) => done(code ?? 128 + constants.signals[signal as NodeJS.Signals]));
  });
}
