// A comparison as the command prints it: tables as wide as the terminal, then what they answer, in a sentence for each trace.
import { wrapped } from "../../harness/table.ts";
import type { ComparedTrace } from "../report/comparison.ts";
import { formatComparison } from "../report/comparison-text.ts";
import { summaries } from "../report/summary.ts";
import { painted, terminalWidth } from "./terminal.ts";

/** @param stream where to: `refheap run` leaves standard output to the program */
export function printComparison(
  compared: readonly ComparedTrace[],
  machineName: string,
  stream: NodeJS.WriteStream = process.stdout,
): void {
  const width = terminalWidth(stream);
  const tables = compared.map((one) => painted(formatComparison(one, machineName, width), stream));
  const found = summaries(compared);
  const sentences = found.map(({ trace, sentence }) =>
    painted(wrapped(found.length > 1 ? `${trace}: ${sentence}` : sentence, width), stream),
  );
  stream.write(`${[...tables, ...sentences].join("\n\n")}\n`);
}
