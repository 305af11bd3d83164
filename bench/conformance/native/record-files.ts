// Scripts of files, recorded anew: each is run on the kernel of this machine, and printed with what that answered, in the format of the
// recordings.
import { type Line, readLines } from "../lines.ts";
import { parseScript } from "../script.ts";
import { makeRecorder, type RecordedKind } from "./recorder.ts";

export interface RecordOptions {
  /** Record only scripts of this name. */
  readonly only?: string;
  /** Where the lines go; the standard output by default. */
  readonly print?: (line: string) => void;
}

export function isRecordedKind(kind: string): kind is RecordedKind {
  return kind === "linux" || kind === "thp";
}

/**
 * @returns the reason why nothing can be recorded here, or undefined
 * @throws ScriptError, UnreadableFile
 */
export async function recordFiles(
  kind: RecordedKind,
  files: readonly string[],
  { only, print = console.log }: RecordOptions = {},
): Promise<string | undefined> {
  const recorder = await makeRecorder();
  if (typeof recorder === "string") return recorder;
  const reason = recorder.reasonAgainst(kind);
  if (reason !== undefined) return reason;
  for (const file of files) {
    for await (const { text } of readLines(file) as AsyncIterable<Line>) {
      const script = parseScript(text);
      if (only === undefined || script.name === only) print(JSON.stringify(await recorder.record(script, kind)));
    }
  }
  return undefined;
}
