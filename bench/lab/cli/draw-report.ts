// Drawing for `refheap report`, loaded only then: the plotting library is the larger part of the command.
// Options and help are report.ts.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { MachineModel } from "../cost/cost-model.ts";
import { machineModel } from "../cost/machine-models.ts";
import { DEFAULT_POLICIES, type Policy, parsePolicy } from "../replay/policy.ts";
import type { ReplayResult } from "../replay/result.ts";
import { BYTE_PARTS, FAULT_PARTS, partBars, rssChart, timeBars } from "../report/charts.ts";
import { type ComparedTrace, compareResults } from "../report/comparison.ts";
import { comparisonCsv } from "../report/comparison-text.ts";
import { firstSeeds, reportPage } from "../report/page.ts";
import { pageMapChart } from "../report/page-map-chart.ts";
import { firefoxProfile, speedscopeFile } from "../report/profile-export.ts";
import type { TraceFormat } from "../traces/detect.ts";
import { replayFiles } from "./replay-files.ts";
import { checkOutput, isResultFile, readResultFiles, typedCommand, writeWhole } from "./result-files.ts";
import { plural } from "./tally-text.ts";

export interface DrawOptions {
  readonly out: string;
  readonly svg?: string;
  readonly csv?: string;
  readonly speedscope?: string;
  readonly firefoxProfile?: string;
  readonly baseline?: string;
  readonly machine: string;
  readonly policy?: readonly Policy[];
  readonly touch?: string;
  readonly jobs: number;
  readonly format?: TraceFormat;
  readonly skipBad?: boolean;
}

/** Reads the results and writes the page, and what else was asked for. */
export async function drawReport(files: readonly string[], options: DrawOptions): Promise<void> {
  for (const file of [options.out, options.csv, options.speedscope, options.firefoxProfile])
    if (file !== undefined) checkOutput(file);
  const resultFiles = files.filter(isResultFile);
  const parts = await readResultFiles(resultFiles);
  const traces = files.filter((file) => !resultFiles.includes(file));
  const results = [...parts.flatMap((part) => part.results), ...(await replayTraces(traces, options))];
  if (results.length === 0) throw new Error(`${files.join(", ")}: no results to draw`);
  const machine = machineModel(options.machine);
  const compared = compareResults(results, machine, options.baseline);
  const command = [...parts.map((part) => part.command), typedCommand()].join("\n");
  await writeWhole(options.out, reportPage(results, { machine, command, baseline: options.baseline }));
  const written = [options.out];
  if (options.svg !== undefined) {
    const pictures = await writePictures(options.svg, results, compared, machine);
    written.push(`${plural(pictures, "picture")} in ${options.svg}`);
  }
  if (options.csv !== undefined) {
    await writeWhole(options.csv, comparisonCsv(compared));
    written.push(options.csv);
  }
  for (const [file, make] of [
    [options.speedscope, speedscopeFile],
    [options.firefoxProfile, firefoxProfile],
  ] as const) {
    if (file === undefined) continue;
    await writeWhole(file, JSON.stringify(make(results)));
    written.push(file);
  }
  process.stderr.write(`written: ${written.join(", ")}\n`);
}

async function replayTraces(traces: readonly string[], options: DrawOptions): Promise<ReplayResult[]> {
  if (traces.length === 0) return [];
  const { results } = await replayFiles(traces, {
    policies: options.policy ?? DEFAULT_POLICIES.map(parsePolicy),
    seeds: [1],
    touch: options.touch,
    jobs: options.jobs,
    shared: { skipBad: options.skipBad, format: options.format },
  });
  return results;
}

async function writePictures(
  folder: string,
  results: readonly ReplayResult[],
  compared: readonly ComparedTrace[],
  machine: MachineModel,
): Promise<number> {
  await mkdir(folder, { recursive: true });
  let count = 0;
  for (const [index, one] of compared.entries()) {
    const own = firstSeeds(results, one);
    const pictures: Record<string, string> = {
      rss: rssChart(own, "wide"),
      faults: partBars(FAULT_PARTS, "page faults", own, "wide"),
      bytes: partBars(BYTE_PARTS, "MiB", own, "wide"),
      time: timeBars(one, machine.name, "wide"),
      ...Object.fromEntries(own.map(({ policy, pageMap }) => [`pages-${policy.name}`, pageMapChart(pageMap, "wide")])),
    };
    for (const [name, svg] of Object.entries(pictures)) {
      const file = join(folder, `${index + 1}-${name.replaceAll(/[^\w.+=-]/g, "_")}.svg`);
      await writeWhole(file, `${standalone(svg)}\n`);
      count++;
    }
  }
  return count;
}

/** As a file of its own a picture has no page around it: it needs its namespace, a ground, and a text colour of its own. */
function standalone(svg: string): string {
  return svg
    .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace(
      'style="background:transparent;font-family:inherit;',
      'style="background:white;color:#1c1e21;font-family:sans-serif;',
    );
}
