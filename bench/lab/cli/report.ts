// `refheap report`: results as one HTML page that needs no network, or its pictures as SVG files, or its figures as CSV.
import { Command, Option } from "commander";
import type { DrawOptions } from "./draw-report.ts";
import { machineOption } from "./values.ts";

export function reportCommand(): Command {
  return new Command("report")
    .summary("draw results as one HTML page")
    .description(
      "Draws files of results: RSS over time, faults, bytes, estimated times, page maps, and a table with differences. " +
        "The page has no script, loads nothing, and can be read on a phone and in the dark.",
    )
    .argument("<results...>", "files that refheap replay --out or refheap merge wrote")
    .addOption(new Option("-o, --out <file>", "the page to write").default("refheap-report.html"))
    .option("--svg <folder>", "also write each picture as an SVG file")
    .option("--csv <file>", "also write the figures as CSV")
    .option("-b, --baseline <policy>", "the policy to hold the others against; default: the first of each trace")
    .addOption(machineOption())
    .action(async (files: string[], options: DrawOptions) => {
      const { drawReport } = await import("./draw-report.ts");
      await drawReport(files, options);
    });
}
