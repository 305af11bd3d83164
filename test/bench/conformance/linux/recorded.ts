// Replays a share of the recorded Linux files, so that several test files can divide the work.
import { fileURLToPath } from "node:url";
import { readLines } from "../../../../bench/conformance/lines.ts";
import { linux } from "../../../../bench/conformance/linux/linux.ts";
import { describeFailure, runScript } from "../../../../bench/conformance/runner.ts";
import { parseScript } from "../../../../bench/conformance/script.ts";

export interface Replay {
  readonly count: number;
  /** Reports of those that failed, a few lines each. */
  readonly failures: readonly string[];
}

/** Every script whose line number is `share` modulo `shares`. */
export async function replay(name: string, { share = 0, shares = 1 } = {}): Promise<Replay> {
  const file = fileURLToPath(new URL(`../../../golden/linux/${name}`, import.meta.url));
  const failures: string[] = [];
  let count = 0;
  for await (const line of readLines(file)) {
    if (line.number % shares !== share) continue;
    count++;
    const script = parseScript(line.text);
    const failure = runScript(linux, script);
    if (failure !== undefined) failures.push(describeFailure(script, failure, { ...line, file: name }).join("\n"));
  }
  return { count, failures };
}
