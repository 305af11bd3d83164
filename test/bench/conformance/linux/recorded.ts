// Replays a share of recorded files, so that several test files can divide the work.
import { fileURLToPath } from "node:url";
import { readLines } from "../../../../bench/conformance/lines.ts";
import { linux } from "../../../../bench/conformance/linux/linux.ts";
import { type Dialect, describeFailure, runScript } from "../../../../bench/conformance/runner.ts";
import { parseScript } from "../../../../bench/conformance/script.ts";

export interface Replay {
  readonly count: number;
  /** Reports of those that failed, a few lines each. */
  readonly failures: readonly string[];
}

export interface Recording {
  readonly dialect: Dialect;
  /** Folder of test/golden. */
  readonly folder: string;
}

const linuxRecording: Recording = { dialect: linux, folder: "linux" };

/** Every script whose line number is `share` modulo `shares`. */
export async function replay(
  name: string,
  { share = 0, shares = 1 } = {},
  { dialect, folder }: Recording = linuxRecording,
): Promise<Replay> {
  const file = fileURLToPath(new URL(`../../../golden/${folder}/${name}`, import.meta.url));
  const failures: string[] = [];
  let count = 0;
  for await (const line of readLines(file)) {
    if (line.number % shares !== share) continue;
    count++;
    const script = parseScript(line.text);
    // Reference pages were recorded on kernels whose areas have other borders here and there.
    const failure = runScript(dialect, script, { strict: folder !== "refpage", tables: true });
    if (failure !== undefined) failures.push(describeFailure(script, failure, { ...line, file: name }).join("\n"));
  }
  return { count, failures };
}
