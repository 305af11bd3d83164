// A comparison on standard output: tables as wide as the terminal, then what they answer, in a sentence for each trace.
import { wrapped } from "../../harness/table.ts";
import type { ComparedTrace } from "../report/comparison.ts";
import { formatComparison } from "../report/comparison-text.ts";
import { summaries } from "../report/summary.ts";
import { painted, terminalWidth } from "./terminal.ts";

export function printComparison(compared: readonly ComparedTrace[], machineName: string): void {
  const width = terminalWidth();
  const tables = compared.map((one) => painted(formatComparison(one, machineName, width)));
  const found = summaries(compared);
  const sentences = found.map(({ trace, sentence }) =>
    painted(wrapped(found.length > 1 ? `${trace}: ${sentence}` : sentence, width)),
  );
  process.stdout.write(`${[...tables, ...sentences].join("\n\n")}\n`);
}
