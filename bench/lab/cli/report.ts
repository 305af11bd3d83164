// `refheap report`: results, or traces that are replayed first, as one HTML page that needs no network, or its pictures as
// SVG files, or its figures as CSV.
import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import type { DrawOptions } from "./draw-report.ts";
import { formatOption, machineOption, policyOption, skipBadOption, touchOption, wholeNumber } from "./values.ts";

export function reportCommand(): Command {
  return new Command("report")
    .summary("draw traces or results as one HTML page")
    .description(
      "Draws files of results, and traces, which are replayed first: what the answer is, in a sentence; RSS over time, faults, " +
        "bytes, estimated times, where the savings are, page maps, and a table with differences. " +
        "The page loads nothing, and can be read on a phone, on paper and in the dark; its one script only adds values under the pointer and zoom.",
    )
    .argument("<files...>", "traces, or files that refheap replay --out or refheap merge wrote")
    .addOption(new Option("-o, --out <file>", "the page to write").default("refheap-report.html"))
    .option("--svg <folder>", "also write each picture as an SVG file")
    .option("--csv <file>", "also write the figures as CSV")
    .option("--speedscope <file>", "also write the memory at the peaks by call site, for www.speedscope.app")
    .option("--firefox-profile <file>", "the same for profiler.firefox.com")
    .option("-b, --baseline <policy>", "the policy to hold the others against; default: the first of each trace")
    .addOption(policyOption())
    .addOption(touchOption())
    .addOption(
      new Option("-j, --jobs <n>", "threads")
        .argParser(wholeNumber(1, 1024))
        .default(availableParallelism(), "all cores"),
    )
    .addOption(formatOption())
    .addOption(skipBadOption())
    .addOption(machineOption())
    .addHelpText(
      "after",
      "\nExample:\n  refheap report app.mtrace -o app.html\n\n-p, -t, -f and --skip-bad are for traces.",
    )
    .action(async (files: string[], options: DrawOptions) => {
      const { drawReport } = await import("./draw-report.ts");
      await drawReport(files, options);
    });
}
