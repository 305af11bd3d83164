// `refheap merge`: the shards of a sweep, run anywhere by anything, become one file of results.
import { Command } from "commander";
import { type ReplayResult, type ResultFile, resultFile, taskKey } from "../replay/result.ts";
import { readResultFiles, typedCommand, writeWhole } from "./result-files.ts";
import { plural } from "./tally-text.ts";

export function mergeCommand(): Command {
  return new Command("merge")
    .summary("join the results of refheap replay --shard")
    .description(
      "Joins files of results into OUTPUT, in the sweep's order. Says which shards are missing; a result twice is an error.",
    )
    .argument("<output>", "the file to write; - is standard output")
    .argument("<results...>", "files that refheap replay --shard i/n --out FILE wrote")
    .action(merge);
}

async function merge(output: string, files: string[]): Promise<void> {
  const parts = await readResultFiles(files);
  const merged = mergeResults(parts, files);
  const text = `${JSON.stringify(resultFile(typedCommand(), merged, { tasks: parts[0].tasks }))}\n`;
  if (output === "-") process.stdout.write(text);
  else await writeWhole(output, text);
  process.stderr.write(`${output}: ${plural(merged.length, "result")} from ${plural(files.length, "file")}\n`);
}

/**
 * Deals the shards' results back into the order that the whole sweep has.
 * @throws Error for shards of different sweeps, a shard twice, or one that is missing.
 */
function mergeResults(parts: readonly ResultFile[], names: readonly string[]): ReplayResult[] {
  const of = parts[0].shard.of;
  const byIndex: (readonly ReplayResult[] | undefined)[] = [];
  parts.forEach((part, position) => {
    if (part.shard.of !== of || part.tasks !== parts[0].tasks) {
      throw new Error(
        `${names[position]}: shard ${part.shard.index}/${part.shard.of} of ${part.tasks} replays belongs to another sweep than ` +
          `${names[0]} (${parts[0].shard.index}/${of} of ${parts[0].tasks})`,
      );
    }
    if (byIndex[part.shard.index - 1] !== undefined)
      throw new Error(`${names[position]}: shard ${part.shard.index}/${of} is given twice`);
    byIndex[part.shard.index - 1] = part.results;
  });
  const missing = Array.from({ length: of }, (_, index) => index + 1).filter(
    (index) => byIndex[index - 1] === undefined,
  );
  if (missing.length > 0) throw new Error(`shards missing: ${missing.map((index) => `${index}/${of}`).join(", ")}`);
  const merged = Array.from({ length: parts[0].tasks }, (_, task) => byIndex[task % of]?.[Math.floor(task / of)]);
  const lost = merged.indexOf(undefined);
  if (lost >= 0) throw new Error(`${names[lost % of]}: result ${Math.floor(lost / of) + 1} of its shard is missing`);
  const results = merged as ReplayResult[];
  if (new Set(results.map(taskKey)).size < results.length) throw new Error("a replay is in the results twice");
  return results;
}
