// `refheap record --native`: the program runs with the recorder preloaded; then each process's raw file becomes a trace.
// The recorder itself is bench/lab/native/, the command and its options are record.ts.
import { rmSync } from "node:fs";
import { basename } from "node:path";
import { convertRaw, type NativeRecording, type RawFile, rawFiles } from "../native/native-recording.ts";
import { prepareNativeRecorder } from "../native/recorder-library.ts";
import { runProgram } from "./run-program.ts";
import { plural } from "./tally-text.ts";

interface Written extends NativeRecording {
  readonly file: string;
}

/**
 * Runs the program and writes its traces: `file` for its own process (the last program of it, if one replaced another by
 * exec), `file.PID` for each other process, `file.PID.2` for a second program of one. Answers the exit code.
 * @throws Error that says what is missing: Linux with glibc, a C compiler
 */
export async function recordNative(command: string, arguments_: readonly string[], file: string): Promise<number> {
  const recorder = prepareNativeRecorder(file);
  try {
    const { code, pid } = await runProgram(command, arguments_, { ...process.env, ...recorder.environment });
    rmSync(file, { force: true });
    const written = convertAll(rawFiles(recorder.rawFolder), pid, file);
    describe(written, file, command);
    return code;
  } finally {
    recorder.remove();
  }
}

function convertAll(raws: readonly RawFile[], mainPid: number, file: string): Written[] {
  const main = raws.findLast(({ pid }) => pid === mainPid) ?? raws[0];
  const ordered = main === undefined ? [] : [main, ...raws.filter((raw) => raw !== main)];
  return ordered.flatMap((raw) => {
    const name = raw === main ? file : `${file}.${raw.pid}${raw.image === 1 ? "" : `.${raw.image}`}`;
    const recording = convertRaw(raw.path, name);
    rmSync(raw.path);
    return recording === null ? [] : [{ ...recording, file: name }];
  });
}

function describe(written: readonly Written[], file: string, command: string): void {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  if (written.length === 0) {
    say(`refheap: nothing was recorded: ${command} made no allocation that a preloaded library sees (is it static?)`);
    return;
  }
  const [first, ...others] = written;
  say(`${basename(first.file)} written: ${first.program}, ${plural(first.events, "event")}`);
  if (others.length > 0) {
    const programs = [...new Set(others.map(({ program }) => program))].slice(0, 5).join(", ");
    say(`${basename(file)}.PID written for ${plural(others.length, "other process", "other processes")}: ${programs}`);
  }
  for (const { file: name, isCut, unwatchedPages } of written) {
    if (isCut) say(`${basename(name)}: ends early, the disk is full or its file would be larger than allowed`);
    if (unwatchedPages > 0)
      say(`${basename(name)}: touches of ${unwatchedPages} pages could not be seen (vm.max_map_count)`);
  }
}
