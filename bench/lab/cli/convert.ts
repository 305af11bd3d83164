// `refheap convert`: any trace into one of our own formats, which keep everything and read fastest.
import { Command } from "commander";
import { readingProgress, startLine } from "../../harness/progress.ts";
import type { TraceFormat } from "../traces/detect.ts";
import { openTrace, STANDARD_INPUT, storedBytes } from "../traces/open.ts";
import { WRITABLE_FORMATS, type WritableFormat, writeTrace } from "../traces/write.ts";
import { checkOutput } from "./result-files.ts";
import { describeTally, plural } from "./tally-text.ts";
import { choiceOption, formatOption, skipBadOption } from "./values.ts";

interface ConvertOptions {
  readonly to?: WritableFormat;
  readonly format?: TraceFormat;
  readonly skipBad?: boolean;
}

export function convertCommand(): Command {
  return new Command("convert")
    .summary("rewrite a trace in refheap's binary or text format")
    .description(
      "Reads TRACE in any format and writes OUTPUT in refheap's own: binary, or text if OUTPUT ends in .txt. " +
        "A name that ends in .gz is gzip'd. The two formats convert into each other without loss. " +
        "TRACE and OUTPUT may be - for standard input and output.",
    )
    .argument("<trace>", "the trace to read")
    .argument("<output>", "the file to write")
    .addOption(choiceOption("--to <format>", "format to write", WRITABLE_FORMATS))
    .addOption(formatOption())
    .addOption(skipBadOption())
    .action(convert);
}

async function convert(file: string, output: string, options: ConvertOptions): Promise<void> {
  checkOutput(output);
  const progress = startLine();
  const trace = await openTrace(file, { ...options, ...readingProgress(file, storedBytes(file), progress) });
  const format = options.to ?? (/\.txt(\.gz)?$/.test(output) ? "text" : "binary");
  const { events, ids } = await writeTrace(trace.batches, output, format).finally(() => progress.done());
  if (output !== STANDARD_INPUT) {
    process.stderr.write(`${output}: ${plural(events, "event")} of ${plural(ids, "block id")}, from ${trace.format}\n`);
  }
  for (const line of describeTally(trace.tally)) process.stderr.write(`${file}: ${line}\n`);
}
